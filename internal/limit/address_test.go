package limit

import (
	"net/netip"
	"testing"
)

func TestAddressOf(t *testing.T) {
	same := func(a, b string, want bool) {
		t.Helper()
		if got := AddressOf(netip.MustParseAddr(a)) == AddressOf(netip.MustParseAddr(b)); got != want {
			t.Errorf("%s and %s count as one: %v", a, b, got)
		}
	}
	same("192.0.2.1", "192.0.2.1", true)
	same("192.0.2.1", "192.0.2.2", false)
	same("192.0.2.1", "::ffff:192.0.2.1", true)
	same("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true) // one /64
	same("2001:db8::1", "2001:db8:0:1::1", false)
	same("2001:db8::1", "2001:db8::1%eth0", true)
	same("192.0.2.1", "0:0:c000:201::", false)
	for _, a := range []netip.Addr{
		{}, netip.IPv6Unspecified(), netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.9.9.9"),
		netip.MustParseAddr("::1"), netip.MustParseAddr("::ffff:127.0.0.1"),
	} {
		if k := AddressOf(a); k != (Address{}) {
			t.Errorf("%v is counted, as %v", a, k)
		}
	}
}

func TestShareOf(t *testing.T) {
	one, other := ShareOf(netip.MustParseAddr("127.0.0.1")), ShareOf(netip.MustParseAddr("::ffff:127.0.0.2"))
	if one == (Address{}) || one == other {
		t.Errorf("shares %v and %v of two loopback addresses", one, other)
	}
	for _, a := range []string{"192.0.2.1", "2001:db8::1"} {
		if got, want := ShareOf(netip.MustParseAddr(a)), AddressOf(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s has the share %v, want %v", a, got, want)
		}
	}
}
