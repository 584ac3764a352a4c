package handshake

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"
)

// v2 makes a header of version 2 from the bytes behind the signature, but for the
// length.
func v2(command, family byte, rest string) string {
	return proxyV2 + string([]byte{command, family, byte(len(rest) >> 8), byte(len(rest))}) + rest
}

const (
	v2TCP4 = "\xc0\x00\x02\x01\xcb\x00\x71\x05\x30\x39\x01\xbb" // 192.0.2.1:12345 → 203.0.113.5:443
	v2TCP6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x30\x39\x01\xbb"
	v2Mapped = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xcb\x00\x71\x05\x30\x39\x01\xbb"
)

var v2Unix = strings.Repeat("/run/x\x00\x00", 27)

// proxyCases are headers, with the source they name: "": none, "!": an error.
var proxyCases = []struct{ name, in, source string }{
	{"v1 TCP4", "PROXY TCP4 192.0.2.1 203.0.113.5 12345 443\r\n", "192.0.2.1:12345"},
	{"v1 TCP6", "PROXY TCP6 2001:db8::1 2001:db8::2 12345 443\r\n", "[2001:db8::1]:12345"},
	{"v1 TCP6, mapped", "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:203.0.113.5 1 2\r\n", "192.0.2.1:1"},
	{"v1 unknown", "PROXY UNKNOWN\r\n", ""},
	{"v1 unknown, with addresses", "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", ""},
	{"v1 longest", "PROXY UNKNOWN " + strings.Repeat("x", 107-16) + "\r\n", ""},
	{"v1 too long", "PROXY UNKNOWN " + strings.Repeat("x", 108-16) + "\r\n", "!"},
	{"v1 without end", "PROXY " + strings.Repeat("x", 200), "!"},
	{"v1 port 0", "PROXY TCP4 192.0.2.1 203.0.113.5 0 0\r\n", "192.0.2.1:0"},
	{"v1 port too high", "PROXY TCP4 192.0.2.1 203.0.113.5 65536 443\r\n", "!"},
	{"v1 port with zeros", "PROXY TCP4 192.0.2.1 203.0.113.5 080 443\r\n", "!"},
	{"v1 signed port", "PROXY TCP4 192.0.2.1 203.0.113.5 +80 443\r\n", "!"},
	{"v1 no port", "PROXY TCP4 192.0.2.1 203.0.113.5  443\r\n", "!"},
	{"v1 too few", "PROXY TCP4 192.0.2.1 203.0.113.5 443\r\n", "!"},
	{"v1 too many", "PROXY TCP4 192.0.2.1 203.0.113.5 1 2 3\r\n", "!"},
	{"v1 two spaces", "PROXY  TCP4 192.0.2.1 203.0.113.5 1 2\r\n", "!"},
	{"v1 other family", "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", "!"},
	{"v1 other family", "PROXY TCP6 192.0.2.1 203.0.113.5 1 2\r\n", "!"},
	{"v1 zone", "PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n", "!"},
	{"v1 no address", "PROXY TCP4 localhost 203.0.113.5 1 2\r\n", "!"},
	{"v1 no family", "PROXY UDP4 192.0.2.1 203.0.113.5 1 2\r\n", "!"},
	{"v1 nothing", "PROXY \r\n", "!"},
	{"v1 bare LF", "PROXY TCP4 192.0.2.1 203.0.113.5 1 2\nGET / HTTP/1.1\r\n", "!"},
	{"v2 TCP4", v2(0x21, 0x11, v2TCP4), "192.0.2.1:12345"},
	{"v2 TCP4, extensions", v2(0x21, 0x11, v2TCP4+"\x04\x00\x03abc"), "192.0.2.1:12345"},
	{"v2 TCP6", v2(0x21, 0x21, v2TCP6), "[2001:db8::1]:12345"},
	{"v2 TCP6, mapped", v2(0x21, 0x21, v2Mapped), "192.0.2.1:12345"},
	{"v2 unix", v2(0x21, 0x31, v2Unix), ""},
	{"v2 unspecified", v2(0x21, 0x00, "anything"), ""},
	{"v2 UDP4", v2(0x21, 0x12, v2TCP4), ""},
	{"v2 LOCAL", v2(0x20, 0x00, ""), ""},
	{"v2 LOCAL with addresses", v2(0x20, 0x11, v2TCP4), ""},
	{"v2 largest", v2(0x21, 0x11, v2TCP4+strings.Repeat("x", MaxProxy-16-12)), "192.0.2.1:12345"},
	{"v2 too large", v2(0x21, 0x11, v2TCP4+strings.Repeat("x", MaxProxy-16-11)), "!"},
	{"v2 too short", v2(0x21, 0x11, v2TCP4[1:]), "!"},
	{"v2 too short", v2(0x21, 0x21, v2TCP4), "!"},
	{"v2 version 1", v2(0x11, 0x11, v2TCP4), "!"},
	{"v2 version 3", v2(0x31, 0x11, v2TCP4), "!"},
	{"v2 no command", v2(0x22, 0x11, v2TCP4), "!"},
	{"v2 no family", v2(0x21, 0x41, v2TCP4), "!"},
	{"v2 no transport", v2(0x21, 0x13, v2TCP4), "!"},
	{"another signature", "\r\n\r\n\x00\r\nQUIT\r", "!"},
	{"HTTP", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "!"},
	{"TLS", "\x16\x03\x01\x02\x00", "!"},
	{"lower case", "proxy TCP4 192.0.2.1 203.0.113.5 1 2\r\n", "!"},
}

func TestParseProxy(t *testing.T) {
	for _, tt := range proxyCases {
		const behind = "GET / HTTP/1.1\r\n"
		p, n, err := ParseProxy([]byte(tt.in + behind))
		if tt.source == "!" {
			if n != 0 || !errors.Is(err, ErrProxy) {
				t.Errorf("%s: %+v, %d, %v, want an error", tt.name, p, n, err)
			}
			continue
		}
		var want netip.AddrPort
		if tt.source != "" {
			want = netip.MustParseAddrPort(tt.source)
		}
		if p.Source != want || n != len(tt.in) || err != nil || p.Destination.IsValid() != want.IsValid() {
			t.Errorf("%s: %+v, %d of %d bytes, %v, want %q", tt.name, p, n, len(tt.in), err, tt.source)
		}
		for cut := range len(tt.in) {
			if _, n, err := ParseProxy([]byte(tt.in[:cut])); n != 0 || err != nil {
				t.Errorf("%s: after %d bytes: %d, %v", tt.name, cut, n, err)
			}
		}
	}
}

// A stranger is found out by the first byte that is wrong, and nobody makes us
// gather more than the limit.
func TestParseProxyEarly(t *testing.T) {
	for in, want := range map[string]int{"GET /": 1, "PRI * HTTP/2.0": 3, "PROXYTCP4": 6, "\r\n\r\nGET": 5, proxyV2 + "\x12": 13} {
		for n := range len(in) + 1 {
			if _, _, err := ParseProxy([]byte(in[:n])); (err != nil) != (n >= want) {
				t.Errorf("%.20q, %d bytes: %v, want an error from %d on", in, n, err, want)
			}
		}
	}
}

// What another implementation writes we read as it does.
func TestParseProxyPeer(t *testing.T) {
	for version := byte(1); version <= 2; version++ {
		for _, ends := range [][2]string{{"192.0.2.1:12345", "203.0.113.5:443"}, {"[2001:db8::1]:1", "[2001:db8::2]:65535"}} {
			source, destination := netip.MustParseAddrPort(ends[0]), netip.MustParseAddrPort(ends[1])
			h := proxyproto.HeaderProxyFromAddrs(version, net.TCPAddrFromAddrPort(source), net.TCPAddrFromAddrPort(destination))
			if version == 2 {
				if err := h.SetTLVs([]proxyproto.TLV{{Type: proxyproto.PP2_TYPE_AUTHORITY, Value: []byte("perch.test")}}); err != nil {
					t.Fatal(err)
				}
			}
			b, err := h.Format()
			if err != nil {
				t.Fatal(err)
			}
			if p, n, err := ParseProxy(b); p.Source != source || p.Destination != destination || n != len(b) || err != nil {
				t.Errorf("version %d: %q: %+v, %d, %v", version, b, p, n, err)
			}
		}
	}
}

// However it is cut it reads the same, nothing beyond the limit is waited for,
// and an address that we read another implementation reads too.
func FuzzProxy(f *testing.F) {
	for _, c := range proxyCases {
		f.Add([]byte(c.in), []byte{1, 1, 30})
	}
	f.Fuzz(func(t *testing.T, in, cuts []byte) {
		p, n, err := ParseProxy(in)
		if n > min(len(in), MaxProxy) || n == 0 && err == nil && len(in) >= MaxProxy || err != nil && (n != 0 || p != Proxy{}) {
			t.Fatalf("%d of %d bytes, %+v, %v", n, len(in), p, err)
		}
		for _, at := range cutsOf(cuts, len(in)) {
			q, m, e := ParseProxy(in[:at])
			switch {
			case e != nil && err == nil, m != 0 && (m != n || q != p):
				t.Fatalf("whole: %+v, %d, %v; its first %d bytes: %+v, %d, %v", p, n, err, at, q, m, e)
			case m == 0 && e == nil && n > 0 && at >= n:
				t.Fatalf("%d bytes are not enough for a header of %d", at, n)
			}
		}
		if !p.Source.IsValid() || n > 2000 { // its own limits differ
			return
		}
		h, e := proxyproto.Read(bufio.NewReader(bytes.NewReader(slices.Clone(in[:n]))))
		if e != nil {
			return // it is stricter about extensions
		}
		source, ok := h.SourceAddr.(*net.TCPAddr)
		if !ok || source.AddrPort().Port() != p.Source.Port() || source.AddrPort().Addr().Unmap() != p.Source.Addr() {
			t.Fatalf("%q: %v, and another reads %v", in[:n], p.Source, h.SourceAddr)
		}
	})
}
