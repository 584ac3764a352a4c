//go:build linux

package perch

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/frame"
)

// closeOpen begins our side of the closing handshake, behind what is queued.
func (l *loop) closeOpen(i uint32, s *slot, cause *CloseError) {
	l.own.Check()
	l.setCause(s, cause)
	if s.flags&(flagPaused|flagLags) != 0 {
		l.lists.resumed = append(l.lists.resumed, l.conn(i, s)) // its answer may be in what was kept
	}
	l.setState(s, stateClosing) // before queueing, which may find that the peer is gone
	l.queueClose(i, s, cause.Code, cause.Reason)
}

// failWith tells the peer why, then hears no more of it: the close frame, FIN,
// and input discarded until the peer had its chance to read both.
func (l *loop) failWith(i uint32, s *slot, code CloseCode, reason string, err error) {
	l.own.Check()
	if s.state != stateOpen {
		if s.state == stateClosing { // our close frame is out already: one is all there may be
			l.setState(s, stateFailing)
			l.markDirty(i, s)
		}
		return
	}
	l.setCause(s, &CloseError{Code: code, Reason: reason, Err: err})
	l.setState(s, stateFailing)
	l.queueClose(i, s, code, reason)
}

// slow gives up on a connection that does not read: what is queued behind the
// frame being sent is dropped, and it has CloseTimeout to read why.
func (l *loop) slow(i uint32, s *slot, cause error) {
	l.own.Check()
	l.stats.SlowConsumers++
	c := l.slab.thaw(s)
	before := c.out.Queued()
	c.out.Truncate(&l.bufs)
	l.ledger.add(c.out.Queued() - before)
	l.failWith(i, s, CloseSlowConsumer, "slow consumer", cause)
}

// fail ends a connection that nothing more can be said on.
func (l *loop) fail(i uint32, s *slot, err error) {
	l.own.Check()
	if s.state == stateClosed {
		return
	}
	l.setCause(s, &CloseError{Code: frame.CloseAbnormal, Remote: true, Err: err})
	l.unanswered(s, err)
	l.kill(i, s)
}

// unanswered completes the cause of a close of ours that the peer has not
// answered: it is no ordinary one.
func (l *loop) unanswered(s *slot, err error) {
	l.own.Check()
	if c := l.slab.coldOf(s); s.state == stateClosing && c.cause.Err == nil {
		c.cause.Err = err
	}
}

// abort ends a connection with a RST: the peer had its time.
func (l *loop) abort(i uint32, s *slot, err error) {
	l.own.Check()
	l.setCause(s, &CloseError{Code: frame.CloseAbnormal, Err: err})
	l.slab.thaw(s).reset = true
	l.kill(i, s)
}

// kill lists the connection to be reaped at the end of the tick. Nothing is
// sent or received on it any more.
func (l *loop) kill(i uint32, s *slot) {
	l.own.Check()
	l.setState(s, stateClosed)
	l.lists.dead = append(l.lists.dead, i)
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

// peerClosed acts on a close frame (RFC 6455 §5.5.1): ours is the answer if it
// was first, and the end of the handshake if it was not.
func (l *loop) peerClosed(i uint32, s *slot, p []byte) {
	l.own.Check()
	code, reason, err := frame.ParseClose(p)
	if err != nil {
		l.protocolError(i, s, err)
		return
	}
	if s.state == stateClosing {
		l.setState(s, stateDraining)
		l.markDirty(i, s)
		return
	}
	l.setCause(s, &CloseError{Code: code, Reason: string(reason), Remote: true})
	l.setState(s, stateReplying)
	l.queueClose(i, s, code, "")
}

// endOfInput acts on the peer's FIN. Without a closing handshake it is an
// abnormal end (RFC 6455 §7.1.5), but what is queued may still be read.
func (l *loop) endOfInput(i uint32, s *slot) {
	l.own.Check()
	c := l.slab.coldOf(s)
	if s.state == stateOpen && c != nil && c.work != nil && c.work.listed { // a worker may have an answer yet: see workDone
		s.flags |= flagEnded | flagLags
		l.interest(i, s)
		return
	}
	if (s.state == stateOpen || s.state == stateClosing) && c != nil && !c.out.Empty() {
		l.setCause(s, &CloseError{Code: frame.CloseAbnormal, Remote: true, Err: io.EOF})
		l.unanswered(s, io.EOF)
		l.setState(s, stateDraining)
		l.interest(i, s)
		return
	}
	if s.flags&flagTLS != 0 {
		l.notifyClose(i, s)
	}
	l.fail(i, s, io.EOF)
}

// flushed goes on with a closing connection whose last byte is sent.
func (l *loop) flushed(i uint32, s *slot) {
	l.own.Check()
	switch s.state {
	case stateReplying, stateDraining, stateFailing:
		if s.flags&flagTLS != 0 && !l.notifyClose(i, s) {
			return // it waits
		}
	}
	switch s.state {
	case stateReplying, stateDraining:
		if s.flags&flagClient == 0 && !l.slab.coldOf(s).unread { // RFC 6455 §7.1.1: the server closes first
			if s.flags&flagTLS != 0 { // the peer's close_notify may be here already
				l.kernel.Recv(int(s.fd), l.tls.records)
			}
			l.kill(i, s)
			return
		}
		fallthrough
	case stateFailing:
		// Closing with unread input would send RST, and the peer might never read
		// our close frame.
		l.kernel.ShutdownWrite(int(s.fd))
		l.setState(s, stateLingering)
	}
}

// discard reads what nobody wants any more.
func (l *loop) discard(i uint32, s *slot) {
	l.own.Check()
	n, e := l.kernel.Recv(int(s.fd), l.input.buf[:readBudget])
	if e == unix.EAGAIN {
		return
	}
	c := l.slab.thaw(s)
	c.discard += n
	if e != 0 || n == 0 || c.discard > lingerBytes && !l.kernel.PeerProgress(int(s.fd)).Waiting {
		l.kill(i, s)
	}
}

// brokenCause is the error behind EPOLLERR or EPOLLHUP.
func (l *loop) brokenCause(fd int) error {
	l.own.Check()
	if e := l.kernel.Error(fd); e != 0 {
		return e
	}
	return io.EOF
}
