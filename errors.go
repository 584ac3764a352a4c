//go:build linux

package perch

import (
	"errors"
	"fmt"
	"strings"

	"github.com/perchws/perch/frame"
)

// The errors that callers distinguish.
var (
	// ErrClosed: the connection is closed, or is closing and takes no more messages.
	ErrClosed = errors.New("perch: connection closed")
	// ErrServerClosed: the server is stopped or was never started.
	ErrServerClosed = errors.New("perch: server closed")
	// ErrOnLoop: a call that waits for the loops was made on a loop, in a callback.
	ErrOnLoop = errors.New("perch: called in a callback, which is waited for")
	// ErrSlowConsumer: the peer reads more slowly than it is sent to. As the error of a send it means that the message
	// was not queued; as the cause of a close, that the connection was closed for it.
	ErrSlowConsumer = errors.New("perch: slow consumer")
	// ErrOverloaded: the bound on the queued output of the process, or on the output that is on its way to loops, is
	// reached. A connection with nothing queued stays open.
	ErrOverloaded = errors.New("perch: output memory exhausted")
	// ErrOpcode: only text and binary messages can be sent.
	ErrOpcode = frame.ErrNotData
	// ErrCloseCode: the code may not stand in a close frame.
	ErrCloseCode = errors.New("perch: close code not allowed")
	// ErrUTF8: a text message is not UTF-8.
	ErrUTF8 = frame.ErrNotText
)

// errInterim: a server has sent too many interim responses, and no final one.
var errInterim = errors.New("perch: too many interim responses (1xx)")

// Causes of a close, found with errors.Is in a CloseError.
var (
	ErrHeartbeat      = errors.New("perch: heartbeat timeout")
	ErrWriteTimeout   = errors.New("perch: write timeout")
	ErrCloseTimeout   = errors.New("perch: closing handshake timed out")
	ErrMessageTimeout = errors.New("perch: message took too long")
	ErrRateLimit      = errors.New("perch: rate limit")
	ErrInputFull      = errors.New("perch: input memory exhausted") // see Config.MaxInputTotal
	ErrPanic          = errors.New("perch: handler panicked")
	ErrShutdown       = errors.New("perch: server shut down")
	ErrDial           = errors.New("perch: dial failed")
	ErrNeverOpened    = errors.New("perch: accepted, but never opened") // see Handler.OnAbandon
)

// Close codes of Perch's own, in the range of RFC 6455 §7.4.2 for libraries.
const (
	CloseSlowConsumer     CloseCode = 3000
	CloseHeartbeatTimeout CloseCode = 3001
)

// CloseError says why a connection closed.
type CloseError struct {
	Code   CloseCode // CloseAbnormal (1006) without a closing handshake, CloseNoStatus (1005) if the peer gave none
	Reason string    // of the close frame
	Remote bool      // the peer closed, or vanished; otherwise we did
	Err    error     // the cause below, nil for an ordinary close
}

// Error implements error.
func (e *CloseError) Error() string {
	who := "closed by us"
	if e.Remote {
		who = "closed by peer"
	}
	s := fmt.Sprintf("perch: %s: %v", who, e.Code)
	if e.Reason != "" {
		s += fmt.Sprintf(" %q", e.Reason)
	}
	if e.Err != nil {
		s += ": " + unprefixed(e.Err)
	}
	return s
}

// Unwrap returns the cause.
func (e *CloseError) Unwrap() error { return e.Err }

// caused is an error with its cause. Both together read as one sentence.
type caused struct{ what, cause error }

// because returns the error what with cause as its reason; nil: the cause is not known.
func because(what, cause error) error {
	if cause == nil {
		return what
	}
	return caused{what, cause}
}

func (e caused) Error() string   { return e.what.Error() + ": " + unprefixed(e.cause) }
func (e caused) Unwrap() []error { return []error{e.what, e.cause} }

// unprefixed is the text of an error without the name of the package, for a text that has named it already.
func unprefixed(err error) string {
	return strings.ReplaceAll(strings.TrimPrefix(err.Error(), "perch: "), "\nperch: ", "\n")
}

// Names of package frame that every user needs.
type (
	Opcode    = frame.Opcode
	CloseCode = frame.CloseCode
	Prepared  = frame.Prepared
)

// The opcodes of messages, and the close codes that applications send most.
const (
	Text   = frame.OpText
	Binary = frame.OpBinary

	CloseNormal          = frame.CloseNormal
	CloseGoingAway       = frame.CloseGoingAway
	ClosePolicyViolation = frame.ClosePolicyViolation
	CloseInternalError   = frame.CloseInternalError
	CloseTryAgainLater   = frame.CloseTryAgainLater
)

// Prepare encodes a message once, for any number of receivers. p is copied. For a message that may not be sent, the Err
// of the Prepared is ErrOpcode or ErrUTF8, and every call that should send it returns the same error.
func Prepare(op Opcode, p []byte) *Prepared { return frame.Prepare(op, p) }
