package handshake

import (
	"bytes"
	"encoding/binary"
	"net/netip"
)

// MaxProxy is the largest PROXY header accepted, in bytes: one of version 2
// may have extensions behind the addresses. One of version 1 has 107 at most.
const MaxProxy = 4 << 10

const maxProxyV1 = 107

// Proxy is a PROXY header, versions 1 and 2 of
// https://www.haproxy.org/download/1.8/doc/proxy-protocol.txt: whom a proxy
// forwards a connection for. Both are the zero value where it names nobody: the
// connection is the proxy's own (LOCAL, as for a health check), or came to it by
// other means than TCP. Extensions are skipped.
type Proxy struct {
	Source      netip.AddrPort // the client
	Destination netip.AddrPort // where the proxy took the connection
}

const (
	proxyV1 = "PROXY "
	proxyV2 = "\r\n\r\n\x00\r\nQUIT\n"
)

// ErrProxy is returned by ParseProxy for what is no PROXY header, or one that is
// too long.
var ErrProxy = &Error{400, "malformed PROXY header"}

// ParseProxy reads the header at the start of b.
//
//	n == 0, err == nil   not enough yet
//	n > 0                the header is b[:n]
//	err != nil           ErrProxy
func ParseProxy(b []byte) (p Proxy, n int, err error) {
	switch {
	case agree(b, proxyV2):
		return proxy2(b)
	case agree(b, proxyV1):
		return proxy1(b)
	}
	return p, 0, ErrProxy
}

// agree reports whether b begins with s, as far as it goes.
func agree(b []byte, s string) bool {
	n := min(len(b), len(s))
	return string(b[:n]) == s[:n]
}

// proxy1 reads PROXY SP TCP4|TCP6 SP src SP dst SP sport SP dport CRLF.
func proxy1(b []byte) (p Proxy, n int, err error) {
	line, _, ok := bytes.Cut(b[:min(len(b), maxProxyV1)], []byte("\r\n"))
	if !ok {
		if len(b) >= maxProxyV1 {
			return p, 0, ErrProxy
		}
		return p, 0, nil
	}
	n = len(line) + 2
	f := bytes.Split(line, []byte(" "))
	if len(f) > 1 && string(f[1]) == "UNKNOWN" { // whatever follows
		return p, n, nil
	}
	if len(f) != 6 || string(f[1]) != "TCP4" && string(f[1]) != "TCP6" {
		return p, 0, ErrProxy
	}
	v4 := f[1][3] == '4'
	var okS, okD bool
	p.Source, okS = proxyAddr(f[2], f[4], v4)
	p.Destination, okD = proxyAddr(f[3], f[5], v4)
	if !okS || !okD {
		return Proxy{}, 0, ErrProxy
	}
	return p, n, nil
}

func proxyAddr(addr, port []byte, v4 bool) (a netip.AddrPort, ok bool) {
	ip, err := netip.ParseAddr(string(addr))
	if err != nil || ip.Is4() != v4 || ip.Zone() != "" {
		return a, false
	}
	if len(port) == 0 || len(port) > 5 || !only(port, classDigit) || port[0] == '0' && len(port) > 1 {
		return a, false
	}
	n := 0
	for _, c := range port {
		n = n*10 + int(c-'0')
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), n <= 0xFFFF
}

// proxy2 reads signature, version and command, family and transport, length,
// then addresses and extensions of that length.
func proxy2(b []byte) (p Proxy, n int, err error) {
	const head = len(proxyV2) + 4
	if len(b) > len(proxyV2) && b[len(proxyV2)]>>4 != 2 {
		return p, 0, ErrProxy
	}
	if len(b) < head {
		return p, 0, nil
	}
	command, family, transport := b[12]&0xF, b[13]>>4, b[13]&0xF
	n = head + int(binary.BigEndian.Uint16(b[14:]))
	if command > 1 || family > 3 || transport > 2 || n > MaxProxy {
		return p, 0, ErrProxy
	}
	size := 0 // of the addresses
	if command == 1 && transport == 1 {
		size = [...]int{0, 12, 36, 0}[family] // unspecified, IPv4, IPv6, unix
	}
	if n < head+size {
		return p, 0, ErrProxy
	}
	if len(b) < n {
		return p, 0, nil
	}
	a := b[head:n]
	switch size {
	case 12:
		p.Source = netip.AddrPortFrom(netip.AddrFrom4([4]byte(a[0:])), binary.BigEndian.Uint16(a[8:]))
		p.Destination = netip.AddrPortFrom(netip.AddrFrom4([4]byte(a[4:])), binary.BigEndian.Uint16(a[10:]))
	case 36:
		p.Source = netip.AddrPortFrom(netip.AddrFrom16([16]byte(a[0:])).Unmap(), binary.BigEndian.Uint16(a[32:]))
		p.Destination = netip.AddrPortFrom(netip.AddrFrom16([16]byte(a[16:])).Unmap(), binary.BigEndian.Uint16(a[34:]))
	}
	return p, n, nil
}
