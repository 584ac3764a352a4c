package frame

import (
	"errors"
	"fmt"
)

// A ProtocolError says how the peer broke the protocol. Code is what the
// closing frame must carry (RFC 6455 §7.4.1), Reason is a short constant fit
// for that frame and for a metric label.
type ProtocolError struct {
	Code   CloseCode
	Reason string
}

// Error implements error.
func (e *ProtocolError) Error() string {
	return fmt.Sprintf("websocket: %s (%d)", e.Reason, uint16(e.Code))
}

// What we may not send: faults of our own, found before anything is sent.
var (
	// ErrNotData: a message is text or binary.
	ErrNotData = errors.New("websocket: not a data opcode")
	// ErrNotText: a text message is UTF-8 (RFC 6455 §5.6).
	ErrNotText = errors.New("websocket: text is not UTF-8")
)

// The faults a peer can commit. Each is one value, so that callers may count
// or compare them with errors.Is.
var (
	ErrRSV              = &ProtocolError{CloseProtocolError, "reserved bit set"}
	ErrOpcode           = &ProtocolError{CloseProtocolError, "reserved opcode"}
	ErrControlLong      = &ProtocolError{CloseProtocolError, "control frame over 125 bytes"}
	ErrControlFragment  = &ProtocolError{CloseProtocolError, "fragmented control frame"}
	ErrNotMasked        = &ProtocolError{CloseProtocolError, "client frame not masked"}
	ErrMasked           = &ProtocolError{CloseProtocolError, "server frame masked"}
	ErrLengthNotMinimal = &ProtocolError{CloseProtocolError, "length not minimal"}
	ErrLengthTopBit     = &ProtocolError{CloseProtocolError, "top bit of length set"}
	ErrNoMessage        = &ProtocolError{CloseProtocolError, "continuation without a message"}
	ErrInMessage        = &ProtocolError{CloseProtocolError, "new message within a message"}
	ErrClosePayload     = &ProtocolError{CloseProtocolError, "close payload of one byte"}
	ErrCloseCode        = &ProtocolError{CloseProtocolError, "close code not allowed"}
	ErrCloseReason      = &ProtocolError{CloseInvalidPayload, "close reason is not UTF-8"}
	ErrUTF8             = &ProtocolError{CloseInvalidPayload, "text is not UTF-8"}
	ErrTooBig           = &ProtocolError{CloseMessageTooBig, "message too big"}
	ErrTooManyFragments = &ProtocolError{ClosePolicyViolation, "too many fragments"}
)
