//go:build linux

package perch

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/closing"
)

// Every end of a connection goes through step, mostly by one of the following functions. The table of package closing
// has the consequences.

// closeOpen begins our side of the closing handshake, behind the queued output.
func (l *loop) closeOpen(i uint32, s *slot, cause *CloseError) {
	l.own.Check()
	l.step(i, s, closing.CloseCalled, why{err: cause, cause: closing.ByApplication})
}

// failWith ends a connection for a fault of its peer: it sends the close frame with the reason, then FIN, and discards
// input until the peer has had time to read both.
func (l *loop) failWith(i uint32, s *slot, code CloseCode, reason string, err error) {
	l.own.Check()
	l.step(i, s, closing.Fault, why{err: &CloseError{Code: code, Reason: reason, Err: err}})
}

// slow ends a connection that does not read: the bytes queued behind the frame being sent are dropped. The peer has
// CloseTimeout to read the reason.
func (l *loop) slow(i uint32, s *slot, cause error) {
	l.own.Check()
	l.stats.SlowConsumers++
	l.step(i, s, closing.SlowConsumer, why{err: &CloseError{Code: CloseSlowConsumer, Reason: "slow consumer", Err: cause}})
}

// fail ends a connection on which nothing more can be sent.
func (l *loop) fail(i uint32, s *slot, err error) {
	l.own.Check()
	l.step(i, s, closing.Broken, why{err: lost(err)})
}

// abort ends a connection with a RST: the peer has had its time.
func (l *loop) abort(i uint32, s *slot, err error) {
	l.own.Check()
	l.step(i, s, closing.Aborted, why{err: cut(err)})
}

// peerClosed acts on a close frame (RFC 6455 §5.5.1): we answer it, or, if ours was first, the handshake has ended.
func (l *loop) peerClosed(i uint32, s *slot, p []byte) {
	l.own.Check()
	code, reason, err := frame.ParseClose(p)
	if err != nil {
		l.protocolError(i, s, err)
		return
	}
	cause := &CloseError{Code: code, Reason: string(reason), Remote: true}
	l.step(i, s, closing.CloseReceived, why{err: cause, cause: closing.ByPeer})
}

// endOfInput acts on the peer's FIN, or close_notify. Without a closing handshake the end is abnormal (RFC 6455
// §7.1.5). But the peer may still read the queued output, and a worker may still have an answer: see workDone.
func (l *loop) endOfInput(i uint32, s *slot) {
	l.own.Check()
	l.step(i, s, closing.EndOfInput, why{err: lost(io.EOF)})
}

// discard reads input that is not used any more.
func (l *loop) discard(i uint32, s *slot) {
	l.own.Check()
	n, e := l.kernel.Recv(int(s.fd), l.input.buf[:readBudget])
	if e == unix.EAGAIN {
		return
	}
	c := l.slab.thaw(s)
	c.discard += n
	if e != 0 || n == 0 || c.discard > lingerBytes && !l.kernel.PeerProgress(int(s.fd)).Waiting {
		l.step(i, s, closing.InputDiscarded, why{})
	}
}

// setCause keeps the first cause, which is the true one. Until a dialled connection is open, the cause is a failure to
// dial.
func (l *loop) setCause(s *slot, cause *CloseError) {
	l.own.Check()
	c := l.slab.thaw(s)
	if c.cause != nil {
		return
	}
	if c.dial != nil && c.dial.refused != nil {
		cause.Err = c.dial.refused.err() // the server's answer is the reason, whatever else has ended the dial
	}
	if c.dial != nil && !errors.Is(cause.Err, ErrDial) {
		cause.Err = because(ErrDial, cause.Err)
	}
	c.cause = cause
}

// brokenCause is the error behind EPOLLERR or EPOLLHUP.
func (l *loop) brokenCause(fd int) error {
	l.own.Check()
	if e := l.kernel.Error(fd); e != 0 {
		return e
	}
	return io.EOF
}
