package auth

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// LoopbackHost reports whether a Host header, or the host of a URL, names this machine: localhost or a name
// below it (RFC 6761 §6.3: browsers ask no name server for those), with a dot at the end or without,
// 127.0.0.1 or ::1, with any port or none. In open mode every request must pass it: a page of
// evil.example whose name was made to resolve to 127.0.0.1 (DNS rebinding) is of the same origin
// as itself, but its Host still says evil.example.
func LoopbackHost(host string) bool {
	name, ok := splitHost(host)
	if !ok {
		return false
	}
	if localName(name) {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && (addr == netip.IPv6Loopback() || addr == netip.AddrFrom4([4]byte{127, 0, 0, 1}))
}

// localName reports whether s is localhost or a host name below it.
func localName(s string) bool {
	labels := strings.Split(strings.TrimSuffix(s, "."), ".")
	if !strings.EqualFold(labels[len(labels)-1], "localhost") || len(s) > 254 {
		return false
	}
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, notInName) {
			return false
		}
	}
	return true
}

// notInName reports whether r is no letter, digit, hyphen or underscore.
func notInName(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
}

// LoopbackListen reports whether a listener at addr, host:port, is reached from this machine alone:
// localhost, 127.0.0.0/8 or ::1. An empty host means all interfaces, so it is not. Ask again with
// the address the listener got: what localhost means is up to the machine.
func LoopbackListen(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// splitHost takes the port and the brackets off (RFC 3986 §3.2).
func splitHost(host string) (name string, ok bool) {
	if inside, found := strings.CutPrefix(host, "["); found {
		name, rest, closed := strings.Cut(inside, "]")
		if !closed || !strings.Contains(name, ":") {
			return "", false
		}
		return name, rest == "" || rest[0] == ':' && port(rest[1:])
	}
	name, number, found := strings.Cut(host, ":")
	return name, !found || port(number)
}

// port: RFC 3986 §3.2.3 lets it be empty.
func port(s string) bool {
	if s == "" {
		return true
	}
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil && s[0] != '+'
}
