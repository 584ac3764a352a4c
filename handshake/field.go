package handshake

import (
	"maps"
	"net/http"
	"slices"
)

// reserved lists what the application must not set: the handshake writes it, or
// it would put a body where frames begin.
var reserved = [...]string{
	"Connection", "Upgrade", "Host", "Content-Length", "Content-Type", "Transfer-Encoding",
	"Trailer", "Allow", "X-Content-Type-Options",
	"Sec-WebSocket-Accept", "Sec-WebSocket-Extensions", "Sec-WebSocket-Key",
	"Sec-WebSocket-Protocol", "Sec-WebSocket-Version",
}

// ValidField reports whether a response may carry a field of the application:
// see [ErrInvalidField].
func ValidField(name, value string) bool { return validField(name, value) }

func validField(name, value string) bool {
	if !only(name, classToken) || !validValue(value) {
		return false
	}
	for _, r := range reserved {
		if equalFold(name, r) {
			return false
		}
	}
	return true
}

func checkHeader(header http.Header) error {
	for name, values := range header {
		for _, v := range values {
			if !validField(name, v) {
				return ErrInvalidField
			}
		}
	}
	return nil
}

// appendHeader appends the valid fields, sorted by name: the same input gives
// the same bytes.
func appendHeader(dst []byte, header http.Header) []byte {
	if len(header) == 0 {
		return dst
	}
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, v := range header[name] {
			if validField(name, v) {
				dst = appendField(dst, name, v)
			}
		}
	}
	return dst
}

func appendField[S text](dst []byte, name string, value S) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}
