package auth

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// LoopbackHost reports whether a Host header, or the host of a URL, names this machine: localhost or a name below it
// (RFC 6761 §6.3: browsers ask no name server for those), with or without a dot at the end, 127.0.0.1 or ::1, with
// any port or none. In open mode every request must pass it. A page of evil.example whose name was made to resolve to
// 127.0.0.1 (DNS rebinding) is allowed to read what this machine answers, but its Host is still evil.example.
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

// LoopbackListen reports whether only this machine can reach a listener at addr, host:port: localhost, 127.0.0.0/8 or
// ::1. An empty host means all interfaces, so it does not pass. Ask again with the address that the listener has got:
// the machine decides which address localhost is.
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

// splitHost removes the port and the brackets (RFC 3986 §3.2).
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

// port reports whether s is a port. It may be empty: RFC 3986 §3.2.3.
func port(s string) bool {
	if s == "" {
		return true
	}
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil && s[0] != '+'
}
