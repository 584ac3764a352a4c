package handshake

import (
	"net/netip"
	"testing"
)

func TestForwardedFor(t *testing.T) {
	trusted := []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("127.0.0.1/32"),
		netip.MustParsePrefix("fd00::/8"),
	}
	const nginx = "10.0.0.1"
	for _, tt := range []struct {
		name, peer string
		lines      []string // of X-Forwarded-For
		want       string
	}{
		{"no header", nginx, nil, nginx},
		{"peer not trusted", "192.0.2.1", []string{"198.51.100.7"}, "192.0.2.1"},
		{"one", nginx, []string{"198.51.100.7"}, "198.51.100.7"},
		{"spoofed in front", nginx, []string{"1.1.1.1, 198.51.100.7"}, "198.51.100.7"},
		{"two proxies", nginx, []string{"1.1.1.1, 198.51.100.7 ,\t10.2.2.2"}, "198.51.100.7"},
		{"over two lines", nginx, []string{"198.51.100.7", "10.2.2.2,10.3.3.3"}, "198.51.100.7"},
		{"all trusted", nginx, []string{"10.9.9.9", "10.2.2.2"}, "10.9.9.9"},
		{"unparsable at the right", nginx, []string{"198.51.100.7, unknown"}, nginx},
		{"unparsable behind a proxy", nginx, []string{"198.51.100.7, _hidden, 10.2.2.2"}, "10.2.2.2"},
		{"empty element", nginx, []string{"198.51.100.7,,10.2.2.2"}, "198.51.100.7"},
		{"empty elements", nginx, []string{",198.51.100.7, ,\t, 10.2.2.2 ,,"}, "198.51.100.7"},
		{"empty line", nginx, []string{"198.51.100.7", ""}, "198.51.100.7"},
		{"empty lines", nginx, []string{"", "198.51.100.7", ",", "10.2.2.2", " , "}, "198.51.100.7"},
		{"nothing but empty", nginx, []string{",,", ""}, nginx},
		{"quoted", nginx, []string{`"198.51.100.7", "10.2.2.2"`}, "198.51.100.7"},
		{"quoted IPv6 with port", nginx, []string{`"[2001:db8::1]:1234"`}, "2001:db8::1"},
		{"quoted IPv4 with port", nginx, []string{`"198.51.100.7:1234"`}, "198.51.100.7"},
		{"a quote alone", nginx, []string{`198.51.100.7, "`}, nginx},
		{"empty quotes", nginx, []string{`198.51.100.7, ""`}, nginx},
		{"half quoted", nginx, []string{`198.51.100.7, "10.2.2.2`}, nginx},
		{"list in quotes", nginx, []string{`"198.51.100.7, 10.2.2.2"`}, nginx},
		{"IPv6", nginx, []string{"2001:db8::1"}, "2001:db8::1"},
		{"IPv6 in brackets", nginx, []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"IPv6 with port", nginx, []string{"[2001:db8::1]:1234"}, "2001:db8::1"},
		{"IPv4 with port", nginx, []string{"198.51.100.7:1234"}, "198.51.100.7"},
		{"zone", nginx, []string{"fe80::1%eth0"}, "fe80::1"},
		{"mapped entry", nginx, []string{"198.51.100.7, ::ffff:10.2.2.2"}, "198.51.100.7"},
		{"mapped peer", "::ffff:10.0.0.1", []string{"198.51.100.7"}, "198.51.100.7"},
		{"mapped peer alone", "::ffff:192.0.2.1", nil, "192.0.2.1"},
		{"IPv6 proxy", "fd00::1", []string{"198.51.100.7"}, "198.51.100.7"},
		{"list of nonsense", nginx, []string{"][,]:[,1.2.3"}, nginx},
	} {
		changes := []string{}
		for _, l := range tt.lines {
			changes = append(changes, "+x-forwarded-for: "+l)
		}
		h := head(t, opening(changes...))
		if got := ForwardedFor(h, netip.MustParseAddr(tt.peer), trusted); got != netip.MustParseAddr(tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, got, tt.want)
		}
		if got := ForwardedForLines(tt.lines, netip.MustParseAddr(tt.peer), trusted); got != netip.MustParseAddr(tt.want) {
			t.Errorf("%s, as lines: %v, want %s", tt.name, got, tt.want)
		}
		if got := ForwardedForLines(tt.lines, netip.MustParseAddr(tt.peer), nil); got != netip.MustParseAddr(tt.peer).Unmap() {
			t.Errorf("%s, as lines, nothing trusted: %v", tt.name, got)
		}
		if got := ForwardedFor(h, netip.MustParseAddr(tt.peer), nil); got != netip.MustParseAddr(tt.peer).Unmap() {
			t.Errorf("%s, nothing trusted: %v", tt.name, got)
		}
	}
	// A peer without an address (a Unix socket) is nobody's proxy.
	h := head(t, opening("+X-Forwarded-For: 1.1.1.1"))
	if got := ForwardedFor(h, netip.Addr{}, trusted); got.IsValid() {
		t.Errorf("no peer: %v", got)
	}
}
