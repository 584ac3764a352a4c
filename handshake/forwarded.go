package handshake

import (
	"bytes"
	"net/netip"
)

// ForwardedFor returns the client's address. peer is the other end of the
// connection; if it is in a trusted prefix, X-Forwarded-For is walked from the
// right, over all its lines, as long as the addresses found are trusted too. The
// first that is not is the client. Where an entry is no address the walk ends at
// the one before: what a trusted proxy vouched for. IPv4 in IPv6 comes back as
// IPv4, without a zone.
func ForwardedFor(h Head, peer netip.Addr, trusted []netip.Prefix) netip.Addr {
	client := peer.Unmap().WithZone("")
	if !h.has(kindForwardedFor) || !trusts(trusted, client) {
		return client
	}
	for i := h.Len() - 1; i >= 0; i-- {
		if h.p.kinds[i] != kindForwardedFor {
			continue
		}
		for rest, more := h.value(i), true; more; {
			entry := rest
			if j := bytes.LastIndexByte(rest, ','); j >= 0 {
				entry, rest = rest[j+1:], rest[:j]
			} else {
				more = false
			}
			a, ok := parseForwarded(trim(entry))
			if !ok {
				return client
			}
			if client = a; !trusts(trusted, client) {
				return client
			}
		}
	}
	return client
}

func trusts(trusted []netip.Prefix, a netip.Addr) bool {
	for _, t := range trusted {
		if t.Contains(a) {
			return true
		}
	}
	return false
}

// parseForwarded reads an address as proxies write it: bare, in brackets, or
// with a port.
func parseForwarded(b []byte) (netip.Addr, bool) {
	s := string(b)
	a, err := netip.ParseAddr(s)
	if err != nil {
		if n := len(s); n > 2 && s[0] == '[' && s[n-1] == ']' {
			a, err = netip.ParseAddr(s[1 : n-1])
		} else {
			var ap netip.AddrPort
			ap, err = netip.ParseAddrPort(s)
			a = ap.Addr()
		}
	}
	return a.Unmap().WithZone(""), err == nil
}
