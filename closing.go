//go:build linux

package perch

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/closing"
)

// Every end of a connection goes through step, mostly by way of one of the
// following. The consequences are in the table of package closing.

// closeOpen begins our side of the closing handshake, behind what is queued.
func (l *loop) closeOpen(i uint32, s *slot, cause *CloseError) {
	l.own.Check()
	l.step(i, s, closing.CloseCalled, why{err: cause, cause: closing.ByApplication})
}

// failWith tells the peer why, then hears no more of it: the close frame, FIN,
// and input discarded until the peer had its chance to read both.
func (l *loop) failWith(i uint32, s *slot, code CloseCode, reason string, err error) {
	l.own.Check()
	l.step(i, s, closing.Fault, why{err: &CloseError{Code: code, Reason: reason, Err: err}})
}

// slow gives up on a connection that does not read: the bytes queued behind the
// frame being sent are dropped, and it has CloseTimeout to read why.
func (l *loop) slow(i uint32, s *slot, cause error) {
	l.own.Check()
	l.stats.SlowConsumers++
	l.step(i, s, closing.SlowConsumer, why{err: &CloseError{Code: CloseSlowConsumer, Reason: "slow consumer", Err: cause}})
}

// fail ends a connection that nothing more can be said on.
func (l *loop) fail(i uint32, s *slot, err error) {
	l.own.Check()
	l.step(i, s, closing.Broken, why{err: lost(err)})
}

// abort ends a connection with a RST: the peer had its time.
func (l *loop) abort(i uint32, s *slot, err error) {
	l.own.Check()
	l.step(i, s, closing.Aborted, why{err: cut(err)})
}

// peerClosed acts on a close frame (RFC 6455 §5.5.1): ours is the answer if it
// was first, and the end of the handshake if it was not.
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

// endOfInput acts on the peer's FIN, or close_notify. Without a closing handshake it is an
// abnormal end (RFC 6455 §7.1.5), but what is queued may still be read, and a worker may have
// an answer yet: see workDone.
func (l *loop) endOfInput(i uint32, s *slot) {
	l.own.Check()
	l.step(i, s, closing.EndOfInput, why{err: lost(io.EOF)})
}

// discard reads what is of no use any more.
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

// setCause keeps the first cause: the true one. Until a dialled connection is
// open it is a failure to dial.
func (l *loop) setCause(s *slot, cause *CloseError) {
	l.own.Check()
	c := l.slab.thaw(s)
	if c.cause != nil {
		return
	}
	if c.dial != nil && c.dial.refused != nil {
		cause.Err = c.dial.refused.err() // whatever ended it, the server's answer is why
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
