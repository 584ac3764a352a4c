//go:build linux

package perch

import (
	"github.com/perchws/perch/internal/outbox"
	"github.com/perchws/perch/internal/owner"
	"github.com/perchws/perch/internal/sock"
	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/closing"
)

// A loop writes to the socket of a connection for one of three reasons, and in three functions:
//
//   - flushCork: the connection's own event has ended, or its answers have filled the cork;
//   - flush: something waits in its outbox, and the tick ends, the socket has room again, or the queue is long (unload);
//   - sendRecords: TLS has something to say by itself, see tls_records.go.
//
// All three write through loop.writer. That is invariant (b) of docs/architecture.md.

// socketWriter is how a loop writes to sockets. It is what an outbox sends to.
type socketWriter struct {
	kernel sock.Kernel
	stats  *Stats
	fd     int // the one socket that may be written to; race builds alone keep it
}

// Send implements outbox.Writer.
func (w *socketWriter) Send(fd int, b []byte) (n int, errno unix.Errno) {
	w.check(fd)
	n, errno = w.kernel.Send(fd, b)
	w.stats.BytesSent += uint64(n)
	return n, errno
}

// SendVector implements outbox.Writer.
func (w *socketWriter) SendVector(fd int, v *sock.Vector) (n int, errno unix.Errno) {
	w.check(fd)
	n, errno = w.kernel.SendVector(fd, v)
	w.stats.BytesSent += uint64(n)
	return n, errno
}

// only says which socket may be written to from now on.
func (w *socketWriter) only(fd int) *socketWriter {
	if owner.Enabled {
		w.fd = fd
	}
	return w
}

func (w *socketWriter) check(fd int) {
	if owner.Enabled && fd != w.fd {
		panic("perch: a write to a socket that nobody has asked the writer for")
	}
}

// writer returns what writes to the connection's socket, and nothing else may. Race builds panic where the loop may not
// write to it now.
func (l *loop) writer(i uint32, s *slot) *socketWriter {
	l.own.Check()
	l.doing.mayWrite(i, l.calling.current)
	return l.sockets.only(int(s.fd))
}

// flushCork sends what the connection whose event this is has answered, in one
// call; what the socket does not take waits in the outbox.
func (l *loop) flushCork(i uint32, s *slot) {
	l.own.Check()
	b, head := l.cork.buf, l.cork.head
	l.cork.buf, l.cork.head = l.cork.buf[:0], 0
	if s.state == stateClosed {
		return
	}
	if s.flags&flagTLS != 0 {
		l.sealCork(i, s, b)
		return
	}
	n, e := l.writer(i, s).Send(int(s.fd), b)
	if e != 0 && e != unix.EAGAIN {
		l.fail(i, s, e)
		return
	}
	if n == len(b) {
		return
	}
	out := &l.slab.thaw(s).out
	out.Started(l.coarse)
	l.queued(i, s, out, out.Remainder(b, head, n, &l.bufs))
	if s.state == stateOpen && !l.ledger.fits(0) { // nobody may have more, and this one's socket is full
		l.slow(i, s, ErrOverloaded)
		return
	}
	l.interest(i, s)
}

// markDirty lists the connection for the flush at the end of the tick.
func (l *loop) markDirty(i uint32, s *slot) {
	l.own.Check()
	if s.flags&flagDirty == 0 {
		s.flags |= flagDirty
		l.lists.dirty = append(l.lists.dirty, i)
	}
}

// flushDirty sends what the tick has queued: once for each connection, however
// much it is.
func (l *loop) flushDirty() {
	l.own.Check()
	if len(l.lists.dirty) == 0 {
		return
	}
	before := l.doing.enter(phaseFlush)
	l.lists.dirty, l.lists.flushing = l.lists.flushing[:0], l.lists.dirty
	done := 0
	defer func() { l.lists.dirty = append(l.lists.dirty, l.lists.flushing[done:]...) }() // none is left, but after Goexit
	for _, i := range l.lists.flushing {
		done++
		s := l.slab.at(i)
		if s.flags&flagDirty == 0 {
			continue
		}
		s.flags &^= flagDirty
		if s.flags&flagOut == 0 {
			l.flush(i, s)
		} else { // it waits until the socket takes more
			l.interest(i, s)
		}
	}
	l.doing.leave(before)
}

// writable sends more: the socket has room again.
func (l *loop) writable(i uint32, s *slot) {
	l.own.Check()
	if s.state == stateConnecting {
		l.connected(i, s)
		return
	}
	l.flush(i, s)
}

// flush sends the outbox.
func (l *loop) flush(i uint32, s *slot) {
	l.own.Check()
	c := l.slab.coldOf(s)
	if c == nil || s.state == stateClosed {
		return
	}
	if !c.out.Empty() {
		var n int
		var e unix.Errno
		before := c.out.Counted()
		if s.flags&flagTLS != 0 {
			n, e = l.sealOutbox(i, s, &c.out, flushBudget)
		} else {
			n, e = c.out.Send(l.writer(i, s), int(s.fd), &l.cork.vector, &l.bufs, flushBudget)
		}
		l.ledger.add(c.out.Counted() - before)
		if n > 0 {
			c.out.Progressed(l.coarse, s.flags&flagOut != 0)
		}
		if e != 0 && e != unix.EAGAIN {
			l.fail(i, s, e)
			return
		}
		if e == 0 && !c.out.Empty() {
			l.markDirty(i, s) // the budget is used up: others first
		}
	}
	l.settle(i, s)
}

// unload sends what half fills a connection's queue as far as the socket takes
// it, before the end of the tick: who is sent a lot in one tick is not slow for
// that. It calls callbacks, so it is not for inside one.
func (l *loop) unload(i uint32, s *slot) {
	l.own.Check()
	c := l.slab.coldOf(s)
	if c == nil || s.flags&(flagPaused|flagOut) != flagPaused {
		return
	}
	for rounds := c.out.Queued()/flushBudget + 1; rounds > 0 && s.cold != 0; rounds-- {
		l.flush(i, s)
	}
}

// pressure stops reading from a connection that does not take its answers, so
// that only what others send to it can cross the limit.
func (l *loop) pressure(s *slot, out *outbox.Box) {
	l.own.Check()
	if s.state == stateOpen && s.flags&flagPaused == 0 && out.Counted() >= max(l.srv.cfg.MaxOutput/2, 1) {
		s.flags |= flagPaused
		l.stats.Pauses++
	}
}

// settle follows up on the state of the outbox: reading stops or goes on, a
// closing handshake goes on, and a connection with nothing unfinished loses its
// cold part.
func (l *loop) settle(i uint32, s *slot) {
	l.own.Check()
	c := l.slab.coldOf(s)
	if c == nil || s.state == stateClosed {
		return
	}
	l.pressure(s, &c.out)
	if s.flags&flagPaused != 0 && c.out.Counted() <= l.srv.cfg.MaxOutput/4 {
		l.drained(i, s, c)
	}
	if c.dropped > 0 && c.out.Counted() <= l.srv.cfg.MaxOutput/2 && s.state == stateOpen {
		l.tellGap(i, s, c)
	}
	if c.out.Empty() && s.state.Finishing() {
		l.step(i, s, closing.OutputSent, why{})
	}
	if s.state != stateClosed {
		l.interest(i, s)
		l.slab.freeze(s)
	}
}

// drained ends a pause: the silence, and the wait for the rest of a message, was
// ours.
func (l *loop) drained(i uint32, s *slot, c *cold) {
	l.own.Check()
	s.flags &^= flagPaused
	s.see(l.coarse)
	c.inSince = l.coarse
	l.lists.resumed = append(l.lists.resumed, l.conn(i, s))
	l.tellResumed(i, s, c)
	if f := l.routeOf(s).onDrain; f != nil {
		defer l.recovered()
		l.calling.begin(i)
		f(l.conn(i, s))
		l.calling.end()
	}
}

// tellGap reports messages that were not queued.
func (l *loop) tellGap(i uint32, s *slot, c *cold) {
	l.own.Check()
	n := c.dropped
	c.dropped = 0
	l.remark(i, s, closing.Gap, closing.None, n)
	defer l.recovered()
	l.calling.begin(i)
	l.routeOf(s).onGap(l.conn(i, s), n)
	l.calling.end()
}
