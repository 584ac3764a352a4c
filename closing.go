//go:build linux

package perch

import (
	"errors"
	"io"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/sock"
)

// closeOpen begins our side of the closing handshake, behind what is queued.
func (l *loop) closeOpen(i uint32, s *slot, cause *CloseError) {
	l.setCause(s, cause)
	if s.flags&(flagPaused|flagLags) != 0 {
		l.resumed = append(l.resumed, l.conn(i, s)) // its answer may be in what was kept
	}
	l.setState(s, stateClosing) // before queueing, which may find that the peer is gone
	l.queueClose(i, s, cause.Code, cause.Reason)
}

// failWith tells the peer why, then hears no more of it: the close frame, FIN,
// and input discarded until the peer had its chance to read both.
func (l *loop) failWith(i uint32, s *slot, code CloseCode, reason string, err error) {
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
	l.stats.SlowConsumers++
	c := l.slab.thaw(s)
	before := c.out.bytes
	c.out.truncate(&l.bufs)
	l.queued += int64(c.out.bytes - before)
	l.failWith(i, s, CloseSlowConsumer, "slow consumer", cause)
}

// fail ends a connection that nothing more can be said on.
func (l *loop) fail(i uint32, s *slot, err error) {
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
	if c := l.slab.coldOf(s); s.state == stateClosing && c.cause.Err == nil {
		c.cause.Err = err
	}
}

// abort ends a connection with a RST: the peer had its time.
func (l *loop) abort(i uint32, s *slot, err error) {
	l.setCause(s, &CloseError{Code: frame.CloseAbnormal, Err: err})
	l.slab.thaw(s).reset = true
	l.kill(i, s)
}

// kill lists the connection to be reaped at the end of the tick. Nothing is
// sent or received on it any more.
func (l *loop) kill(i uint32, s *slot) {
	l.setState(s, stateClosed)
	l.dead = append(l.dead, i)
}

// setCause keeps the first cause: the true one. Until a dialled connection is
// open it is a failure to dial.
func (l *loop) setCause(s *slot, cause *CloseError) {
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

// queueClose queues a close frame as the last one.
func (l *loop) queueClose(i uint32, s *slot, code CloseCode, reason string) {
	var payload [frame.MaxControlPayload]byte
	l.queueControl(i, s, frame.OpClose, frame.AppendClose(payload[:0], code, reason))
}

// queueControl queues a control frame behind everything.
func (l *loop) queueControl(i uint32, s *slot, op Opcode, p []byte) {
	masked, key := s.flags&flagClient != 0, l.keyFor(s)
	if l.corked == i && (s.cold == 0 || l.slab.colds[s.cold].out.empty()) && cap(l.cork)-len(l.cork) >= len(p)+frame.MaxHeaderSize {
		l.cork = appendFrame(l.cork, op, p, masked, key)
		return
	}
	if l.corked == i && len(l.cork) > 0 {
		l.flushCork(i, s)
		if s.state == stateClosed {
			return
		}
	}
	c := l.slab.thaw(s)
	if c.out.empty() {
		c.out.since = l.coarse
	}
	buf := c.out.tail(len(p)+frame.MaxHeaderSize, &l.bufs)
	before := len(buf.B)
	buf.B = appendFrame(buf.B, op, p, masked, key)
	c.out.grown(len(buf.B) - before)
	l.queued += int64(len(buf.B) - before)
	l.markDirty(i, s)
}

// pong answers a ping: at once, or ahead of what is queued. Pings that come
// while the socket is full get one pong, the newest (RFC 6455 §5.5.3).
func (l *loop) pong(i uint32, s *slot, p []byte) {
	c := l.slab.coldOf(s)
	if c == nil || c.out.empty() {
		l.queueControl(i, s, frame.OpPong, p)
		return
	}
	c.out.pong(p, s.flags&flagClient != 0, l.keyFor(s))
	l.markDirty(i, s)
}

// peerClosed acts on a close frame (RFC 6455 §5.5.1): ours is the answer if it
// was first, and the end of the handshake if it was not.
func (l *loop) peerClosed(i uint32, s *slot, p []byte) {
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
	c := l.slab.coldOf(s)
	if s.state == stateOpen && c != nil && c.work != nil && c.work.listed { // a worker may have an answer yet: see workDone
		s.flags |= flagEnded | flagLags
		l.interest(i, s)
		return
	}
	if (s.state == stateOpen || s.state == stateClosing) && c != nil && !c.out.empty() {
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
				sock.Recv(int(s.fd), l.records)
			}
			l.kill(i, s)
			return
		}
		fallthrough
	case stateFailing:
		// Closing with unread input would send RST, and the peer might never read
		// our close frame.
		sock.ShutdownWrite(int(s.fd))
		l.setState(s, stateLingering)
	}
}

// discard reads what nobody wants any more.
func (l *loop) discard(i uint32, s *slot) {
	n, e := sock.Recv(int(s.fd), l.rbuf[:readBudget])
	if e == unix.EAGAIN {
		return
	}
	c := l.slab.thaw(s)
	c.discard += n
	if e != 0 || n == 0 || c.discard > lingerBytes && !sock.Delivered(int(s.fd)).Waiting {
		l.kill(i, s)
	}
}

// reap closes descriptors and frees slots: the only place that does. OnClose
// is called here.
func (l *loop) reap() {
	for len(l.dead) > 0 { // OnClose may close others
		l.reapListed()
	}
}

func (l *loop) reapListed() {
	dead, done := l.dead, 0
	l.dead = l.spareDead[:0]
	defer func() {
		l.dead = append(l.dead, dead[done:]...) // none is left, but after Goexit
		l.spareDead = dead
		l.overflow.pushed = 0
	}()
	for _, i := range dead {
		done++
		l.reapOne(i, l.slab.at(i))
	}
}

func (l *loop) reapOne(i uint32, s *slot) {
	c := l.slab.thaw(s)
	if s.fd >= 0 {
		if c.reset {
			sock.Reset(int(s.fd))
		} else {
			sock.Close(int(s.fd))
		}
		s.fd = -1
		l.overflow.replenish()
		l.resumeAccept()
	}
	if l.workEnds(i, s, c) {
		defer l.release(i, s, c) // whatever OnClose does
		if f := l.routeOf(s).onClose; f != nil && s.flags&(flagOpened|flagClient) != 0 {
			l.callClose(l.conn(i, s), f, c.cause)
		}
	}
}

// release frees the slot of a connection whose last callback has returned.
func (l *loop) release(i uint32, s *slot, c *cold) {
	defer l.free(i, s, c) // whatever hooks of the rooms do
	l.rooms.LeaveAll(i)
}

func (l *loop) free(i uint32, s *slot, c *cold) {
	if s.flags&flagOpened != 0 {
		l.stats.Closed++
		l.stats.closeCode(c.cause.Code)
	}
	l.slab.setProxied(i, netip.AddrPort{})
	key := l.slab.peer(i)
	l.slab.setPeer(i, addrKey{})
	l.queued -= int64(c.out.load())
	c.out.reset(&l.bufs)
	if s.flags&flagTLS != 0 {
		l.dropWire(i)
	}
	if c.in != nil {
		l.dropInput(c)
	}
	if c.asmBuf != nil {
		l.dropMessage(c)
	}
	l.endDial(c)
	if s.flags&flagClient != 0 {
		l.srv.releaseRoute(s.route())
	}
	flags := s.flags
	if c.refusal != nil {
		l.stats.Refused++
		l.srv.note(&refused{kind: RefusedLimit, status: c.refusal.status, reason: c.refusal.reason, peer: c.refusal.peer})
	}
	c.parser, c.cause, c.upgrade, c.refusal, c.dropped = nil, nil, nil, nil, 0
	l.slab.freeze(s)
	l.slab.dealloc(i, s)
	s.state = stateFree
	switch {
	case flags&flagPassed != 0: // net/http has it, and counts it on
	case flags&flagRefused != 0:
		l.leaveOverflow(i)
	default:
		l.srv.uncount(key)
	}
}

// brokenCause is the error behind EPOLLERR or EPOLLHUP.
func brokenCause(fd int) error {
	if e := sock.Error(fd); e != 0 {
		return e
	}
	return io.EOF
}

// shutdown sends 1001 to everyone and ends the loop when the last one is gone.
func (l *loop) shutdown() {
	if l.stopping {
		return
	}
	l.stopping = true
	if l.srv.shared != nil {
		l.srv.shared.file.Remove() // nobody else is to come
	}
	for l.listener >= 0 && l.acceptAt == 0 { // what waits in the queue would be reset
		before := l.stats.Accepted
		if l.accept(); l.stats.Accepted == before {
			break
		}
	}
	l.closeListener()
	l.each(func(i uint32, s *slot) {
		switch s.state {
		case stateOpen:
			l.closeOpen(i, s, &CloseError{Code: CloseGoingAway, Reason: "server going away", Err: ErrShutdown})
		case stateHandshake, stateDeciding:
			l.refuseStopping(i, s, nil)
		case stateProxy:
			l.fail(i, s, ErrShutdown)
		case stateConnecting, stateAnswer:
			l.abort(i, s, because(ErrDial, ErrShutdown))
		case stateSecuring:
			l.fail(i, s, ErrShutdown) // setCause adds that it is a dial
		}
	})
}

// abortAll ends every connection, and with the last one the loop.
func (l *loop) abortAll() {
	l.stopping = true
	l.closeListener()
	l.each(func(i uint32, s *slot) {
		if s.state != stateClosed {
			if n := l.unsent(s); n > 0 || s.state != stateLingering {
				l.srv.cut.connections.Add(1)
				l.srv.cut.bytes.Add(int64(n))
			}
			l.abort(i, s, ErrShutdown)
		}
	})
}

// each visits every slot in use.
func (l *loop) each(f func(i uint32, s *slot)) {
	for i := range uint32(l.slab.made) {
		if s := l.slab.at(i); s.state != stateFree {
			f(i, s)
		}
	}
}
