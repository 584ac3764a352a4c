package handshake

import (
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"strconv"
)

// guid is the constant of RFC 6455 §1.3.
const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// AppendAccept appends the value of Sec-WebSocket-Accept for a key as sent,
// RFC 6455 §4.2.2. It does not allocate if dst has 28 bytes to spare.
func AppendAccept(dst, key []byte) []byte {
	var in [keyLen + len(guid)]byte
	sum := sha1.Sum(append(append(in[:0], key...), guid...))
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}

// AppendSwitching appends the 101 response that opens the connection. key is
// what CheckUpgrade returned. subprotocol and extensions are left out if empty,
// header may be nil; its lines are sorted by name. An impossible field, or one
// the handshake writes itself, is ErrInvalidField: dst is then returned as it was.
func AppendSwitching(dst, key []byte, subprotocol, extensions string, header http.Header) ([]byte, error) {
	if subprotocol != "" && !only(subprotocol, classToken) || !validValue(extensions) {
		return dst, ErrInvalidField
	}
	if err := checkHeader(header); err != nil {
		return dst, err
	}
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\n"+
		"Upgrade: websocket\r\n"+
		"Connection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: "...)
	dst = AppendAccept(dst, key)
	dst = append(dst, "\r\n"...)
	if subprotocol != "" {
		dst = appendField(dst, "Sec-WebSocket-Protocol", subprotocol)
	}
	if extensions != "" {
		dst = appendField(dst, "Sec-WebSocket-Extensions", extensions)
	}
	dst = appendHeader(dst, header)
	return append(dst, "\r\n"...), nil
}

// AppendContinue appends the interim response that a client waits for before it sends
// more, and that must come before 101 where it has asked for both (RFC 9110 §7.8).
func AppendContinue(dst []byte) []byte { return append(dst, "HTTP/1.1 100 Continue\r\n\r\n"...) }

// demanded is what a status needs besides (RFC 9110 §15.5.6, §15.5.22, RFC 6455
// §4.4).
var demanded = map[int][][2]string{
	http.StatusUpgradeRequired:  {{"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"}},
	http.StatusMethodNotAllowed: {{"Allow", "GET"}},
}

// AddDemanded sets the fields without which a refusal with this status is none,
// for who answers with net/http instead of AppendError.
func AddDemanded(header http.Header, status int) {
	if status == http.StatusUpgradeRequired {
		header.Set("Connection", "Upgrade")
	}
	for _, f := range demanded[status] {
		header.Set(f[0], f[1])
	}
}

// CanRefuse reports whether a response with this status can refuse a request, and say
// why in its body.
func CanRefuse(status int) bool {
	return 200 <= status && status <= 599 && status != http.StatusNoContent && status != http.StatusResetContent && status != http.StatusNotModified
}

// AppendError appends a whole response that refuses a request: a text body with
// the reason, Connection: close, and what the status demands (RFC 9110 §15.5.6,
// §15.5.22, RFC 6455 §4.4). A status that cannot carry this (1xx, 204, 205, 304,
// over 599) becomes 500. header may be nil; fields that [ErrInvalidField] is for
// are left out, so that a refusal is always a refusal.
func AppendError(dst []byte, status int, reason string, header http.Header) []byte {
	if !CanRefuse(status) {
		status = http.StatusInternalServerError
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(status)...)
	dst = append(dst, "\r\n"...)
	dst = append(dst, "Connection: close"...)
	if status == http.StatusUpgradeRequired {
		dst = append(dst, ", Upgrade"...)
	}
	dst = append(dst, "\r\n"...)
	for _, f := range demanded[status] {
		dst = appendField(dst, f[0], f[1])
	}
	dst = append(dst, "Content-Type: text/plain; charset=utf-8\r\n"+
		"X-Content-Type-Options: nosniff\r\n"+
		"Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(reason)+1), 10)
	dst = append(dst, "\r\n"...)
	dst = appendHeader(dst, header)
	dst = append(dst, "\r\n"...)
	dst = append(dst, reason...)
	return append(dst, '\n')
}
