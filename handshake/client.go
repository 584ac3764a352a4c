package handshake

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
)

// NewKey returns a fresh Sec-WebSocket-Key, RFC 6455 §4.1 item 7.
func NewKey() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand crashes the process instead
	return EncodeKey(b)
}

// EncodeKey is NewKey for a nonce of the caller's, which must be random.
func EncodeKey(nonce [16]byte) string { return base64.StdEncoding.EncodeToString(nonce[:]) }

// AppendRequest appends the client's opening handshake, RFC 6455 §4.1. host is
// host[:port], the port left out if it is the scheme's default; target is the
// path with its query ("" means "/"); key is from [NewKey]; extensions is from
// [Deflate.Offer], or "". An impossible field, or one the handshake writes
// itself, is ErrInvalidField: dst is then returned as it was.
func AppendRequest(dst []byte, host, target, key string, subprotocols []string, extensions string, header http.Header) ([]byte, error) {
	if target == "" {
		target = "/"
	}
	path, _, _ := strings.Cut(target, "?")
	if !validHost(host) || target[0] != '/' || !only(target, classTarget) || !validEscapes(path) || !validKey(key) || !validValue(extensions) {
		return dst, ErrInvalidField
	}
	for i, s := range subprotocols {
		if !only(s, classToken) || slices.Contains(subprotocols[:i], s) {
			return dst, ErrInvalidField
		}
	}
	if err := checkHeader(header); err != nil {
		return dst, err
	}
	dst = append(dst, "GET "...)
	dst = append(dst, target...)
	dst = append(dst, " HTTP/1.1\r\n"...)
	dst = appendField(dst, "Host", host)
	dst = append(dst, "Upgrade: websocket\r\nConnection: Upgrade\r\n"...)
	dst = appendField(dst, "Sec-WebSocket-Key", key)
	dst = append(dst, "Sec-WebSocket-Version: 13\r\n"...)
	for i, s := range subprotocols {
		if i == 0 {
			dst = append(dst, "Sec-WebSocket-Protocol: "...)
		} else {
			dst = append(dst, ", "...)
		}
		dst = append(dst, s...)
	}
	if len(subprotocols) > 0 {
		dst = append(dst, "\r\n"...)
	}
	if extensions != "" {
		dst = appendField(dst, "Sec-WebSocket-Extensions", extensions)
	}
	dst = appendHeader(dst, header)
	return append(dst, "\r\n"...), nil
}

// CheckResponse checks the server's opening handshake, RFC 6455 §4.2.2 and the
// end of §4.1, against the key, the subprotocols and the extensions of the request.
// It returns the subprotocol selected, one of offered, or "". If extensions is not
// "", those of the response are for [Deflate.Check] to judge. A response that is
// not 101 is a *RefusedError, anything else that is wrong an *Error. See also
// [Head.Interim].
func (h Head) CheckResponse(key string, offered []string, extensions string) (subprotocol string, err error) {
	if h.p.status != http.StatusSwitchingProtocols {
		return "", &RefusedError{h.Status()}
	}
	var want [28]byte
	switch {
	case h.p.minor == 0:
		return "", errResponseProto
	case h.repeated(kindUpgrade) || !equalFold(h.known(kindUpgrade), "websocket"):
		return "", errResponseUpgrade
	case !h.lists(kindConnection, "upgrade"):
		return "", errResponseConnection
	case h.repeated(kindAccept) || string(h.known(kindAccept)) != string(AppendAccept(want[:0], []byte(key))):
		return "", errResponseAccept
	}
	if used := h.list(kindExtensions); extensions == "" && !used.empty() {
		return "", errResponseExtension
	}
	if !h.has(kindProtocol) {
		return "", nil
	}
	selected := h.known(kindProtocol)
	for _, o := range offered {
		if o == string(selected) && !h.repeated(kindProtocol) {
			return o, nil
		}
	}
	return "", errResponseSubprotocol
}
