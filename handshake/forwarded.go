package handshake

import (
	"bytes"
	"net/netip"
)

// ForwardedFor returns the client's address. peer is the other end of the
// connection; if it is in a trusted prefix, X-Forwarded-For is walked from the
// right, over all its lines, as long as the addresses found are trusted too. The
// first that is not is the client. Empty entries are passed over (RFC 9110 §5.6.1).
// Where an entry is no address the walk ends at the one before, for which a trusted
// proxy has vouched. IPv4 in IPv6 comes back as IPv4, without a zone.
func ForwardedFor(h Head, peer netip.Addr, trusted []netip.Prefix) netip.Addr {
	client := peer.Unmap().WithZone("")
	if !h.has(kindForwardedFor) || !trusts(trusted, client) {
		return client
	}
	more := true
	for i := h.Len() - 1; i >= 0 && more; i-- {
		if h.p.kinds[i] == kindForwardedFor {
			client, more = walkForwarded(h.value(i), client, trusted)
		}
	}
	return client
}

// ForwardedForLines is ForwardedFor of a request that net/http has parsed: lines
// are the values of X-Forwarded-For.
func ForwardedForLines(lines []string, peer netip.Addr, trusted []netip.Prefix) netip.Addr {
	client := peer.Unmap().WithZone("")
	more := trusts(trusted, client)
	for i := len(lines) - 1; i >= 0 && more; i-- {
		client, more = walkForwarded([]byte(lines[i]), client, trusted)
	}
	return client
}

// walkForwarded walks one line from the right, as far as it can be trusted. more:
// that is all of it.
func walkForwarded(rest []byte, client netip.Addr, trusted []netip.Prefix) (_ netip.Addr, more bool) {
	for {
		entry := rest
		j := bytes.LastIndexByte(rest, ',')
		if j >= 0 {
			entry, rest = rest[j+1:], rest[:j]
		}
		if entry = trim(entry); len(entry) > 0 {
			a, ok := parseForwarded(entry)
			if !ok {
				return client, false
			}
			if client = a; !trusts(trusted, client) {
				return client, false
			}
		}
		if j < 0 {
			return client, true
		}
	}
}

func trusts(trusted []netip.Prefix, a netip.Addr) bool {
	for _, t := range trusted {
		if t.Contains(a) {
			return true
		}
	}
	return false
}

// parseForwarded reads an address as proxies write it: bare, in brackets, with a
// port, or any of it in quotes.
func parseForwarded(b []byte) (netip.Addr, bool) {
	if n := len(b); n > 2 && b[0] == '"' && b[n-1] == '"' {
		b = b[1 : n-1]
	}
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
