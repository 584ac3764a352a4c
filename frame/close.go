package frame

import (
	"encoding/binary"
	"strconv"
)

// CloseCode says why a connection closes (RFC 6455 §7.4).
type CloseCode uint16

// The registered codes. NoStatus, Abnormal and TLSHandshake are never sent:
// they stand for "no code", "no closing handshake" and "no TLS".
const (
	CloseNormal             CloseCode = 1000
	CloseGoingAway          CloseCode = 1001
	CloseProtocolError      CloseCode = 1002
	CloseUnsupportedData    CloseCode = 1003
	CloseNoStatus           CloseCode = 1005
	CloseAbnormal           CloseCode = 1006
	CloseInvalidPayload     CloseCode = 1007
	ClosePolicyViolation    CloseCode = 1008
	CloseMessageTooBig      CloseCode = 1009
	CloseMandatoryExtension CloseCode = 1010
	CloseInternalError      CloseCode = 1011
	CloseServiceRestart     CloseCode = 1012
	CloseTryAgainLater      CloseCode = 1013
	CloseBadGateway         CloseCode = 1014
	CloseTLSHandshake       CloseCode = 1015
)

// MaxCloseReason is the room for a close reason: a control frame less its code.
const MaxCloseReason = MaxControlPayload - 2

var closeNames = [...]string{
	CloseNormal - 1000:             "normal closure",
	CloseGoingAway - 1000:          "going away",
	CloseProtocolError - 1000:      "protocol error",
	CloseUnsupportedData - 1000:    "unsupported data",
	CloseNoStatus - 1000:           "no status",
	CloseAbnormal - 1000:           "abnormal closure",
	CloseInvalidPayload - 1000:     "invalid payload data",
	ClosePolicyViolation - 1000:    "policy violation",
	CloseMessageTooBig - 1000:      "message too big",
	CloseMandatoryExtension - 1000: "mandatory extension",
	CloseInternalError - 1000:      "internal error",
	CloseServiceRestart - 1000:     "service restart",
	CloseTryAgainLater - 1000:      "try again later",
	CloseBadGateway - 1000:         "bad gateway",
	CloseTLSHandshake - 1000:       "TLS handshake",
}

// Valid reports whether c may stand in a close frame: 1000–1003, 1007–1014
// (RFC 6455 §7.4.1 and the IANA registry), 3000–4999 (§7.4.2).
func (c CloseCode) Valid() bool {
	switch {
	case c >= 1000 && c <= 1003, c >= 1007 && c <= 1014, c >= 3000 && c <= 4999:
		return true
	}
	return false
}

// String is the number and, where the code is registered, its name.
func (c CloseCode) String() string {
	s := strconv.Itoa(int(c))
	if i := int(c) - 1000; i >= 0 && i < len(closeNames) && closeNames[i] != "" {
		s += " " + closeNames[i]
	}
	return s
}

// ParseClose reads the payload of a close frame. An empty one is CloseNoStatus
// (RFC 6455 §7.1.5). reason points into p. The error is a *ProtocolError.
func ParseClose(p []byte) (code CloseCode, reason []byte, err error) {
	switch {
	case len(p) == 0:
		return CloseNoStatus, nil, nil
	case len(p) == 1: // §5.5.1: a body begins with a 2-byte code
		return 0, nil, ErrClosePayload
	}
	code = CloseCode(binary.BigEndian.Uint16(p))
	switch {
	case !code.Valid():
		return 0, nil, ErrCloseCode
	case !ValidUTF8(p[2:]):
		return 0, nil, ErrCloseReason
	}
	return code, p[2:], nil
}

// AppendClose appends the payload of a close frame. A code that must not be
// sent gives an empty payload. A reason over [MaxCloseReason] bytes is cut at
// the last whole character within it; one that is not UTF-8 is left out.
func AppendClose(dst []byte, code CloseCode, reason string) []byte {
	if !code.Valid() {
		return dst
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	if len(reason) > MaxCloseReason {
		cut := MaxCloseReason
		for cut > 0 && reason[cut]&0xC0 == 0x80 { // a continuation byte
			cut--
		}
		reason = reason[:cut]
	}
	at := len(dst)
	dst = append(dst, reason...)
	if !ValidUTF8(dst[at:]) {
		dst = dst[:at]
	}
	return dst
}
