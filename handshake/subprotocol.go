package handshake

import (
	"bytes"
	"strings"
)

// MaxSubprotocols is the largest number of subprotocols a client may offer.
const MaxSubprotocols = 32

// bearer begins a subprotocol that carries a token and names no protocol: the
// one way for a browser to send a credential along with the handshake.
const bearer = "bearer."

// Subprotocols ranges over what the client offers, in its order of preference,
// over all lines: for s := range h.Subprotocols. Bearer tokens are among them.
func (h Head) Subprotocols(yield func([]byte) bool) {
	for l := h.list(kindProtocol); ; {
		e, ok := l.element()
		if !ok || !yield(e) {
			return
		}
	}
}

// SelectSubprotocol returns the first of server that the client offers; "" if
// there is none. The comparison is exact. A bearer subprotocol is never selected.
func SelectSubprotocol(h Head, server []string) string {
	if !h.has(kindProtocol) {
		return ""
	}
	for _, s := range server {
		if strings.HasPrefix(s, bearer) {
			continue
		}
		for l := h.list(kindProtocol); ; {
			e, ok := l.element()
			if !ok {
				break
			}
			if string(e) == s {
				return s
			}
		}
	}
	return ""
}

// BearerSubprotocol returns the token of "bearer.<base64url>" as it was sent,
// still encoded; nil if none is offered.
func (h Head) BearerSubprotocol() []byte {
	for l := h.list(kindProtocol); ; {
		e, ok := l.element()
		if !ok {
			return nil
		}
		if bytes.HasPrefix(e, []byte(bearer)) {
			return e[len(bearer):]
		}
	}
}

// checkSubprotocols demands unique tokens (RFC 6455 §4.1 item 10), at most one
// bearer, and a protocol beside it.
func (h Head) checkSubprotocols() error {
	if !h.has(kindProtocol) {
		return nil
	}
	var seen [MaxSubprotocols][]byte
	offered, bearers := 0, 0
	for l := h.list(kindProtocol); ; {
		e, ok := l.element()
		if !ok {
			break
		}
		if offered == MaxSubprotocols {
			return errSubprotocolMany
		}
		if !only(e, classToken) {
			return errSubprotocol
		}
		for _, s := range seen[:offered] {
			if bytes.Equal(s, e) {
				return errSubprotocolTwin
			}
		}
		seen[offered] = e
		offered++
		if bytes.HasPrefix(e, []byte(bearer)) {
			bearers++
		}
	}
	switch {
	case offered == 0:
		return errSubprotocol // 1#token
	case bearers > 1:
		return errBearerTwice
	case bearers == offered:
		return errBearerAlone
	}
	return nil
}
