package handshake

import "bytes"

// Cookie returns the value of the first cookie of that name, without quotes
// around it; nil if there is none. Names are compared exactly (RFC 6265 §5.4).
func (h Head) Cookie(name string) []byte {
	for i := range h.Len() {
		if h.p.kinds[i] != kindCookie {
			continue
		}
		for rest, more := h.value(i), true; more; {
			var pair []byte
			pair, rest, more = bytes.Cut(rest, []byte{';'})
			n, v, ok := bytes.Cut(pair, []byte{'='})
			if !ok || string(trim(n)) != name {
				continue
			}
			v = trim(v)
			if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
				v = v[1 : len(v)-1]
			}
			return v
		}
	}
	return nil
}
