//go:build linux

package perch

import (
	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/owner"
	"github.com/perchws/perch/internal/sock"
)

// A loop writes to the socket of a connection in these functions, and all of them write through loop.writer. That is
// invariant (b) of docs/architecture.md:
//
//   - flushCork: the connection's own event has ended, or its answers have filled the cork;
//   - flush, with TLS by way of sealSome: something waits in the outbox, and the tick ends, the socket has room again,
//     or the queue is long (unload);
//   - sendRecords: TLS has something to say by itself (tls_records.go);
//   - speak: a connection over a limit is told so, because it makes room for a newcomer (closing_step.go).
//
// A socket that comes from net/http and gets no slot is told so as well (refuseTakeover).

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

// flushCork sends the cork, the answers of the connection whose event is being
// handled, in one call. Bytes that the socket does not take wait in the outbox.
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
	if s.state == stateOpen && !l.outgoing.fits(0) { // there is no memory left, and its socket is full
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

// flushDirty sends what was queued in this tick: once for each connection, however much it is.
func (l *loop) flushDirty() {
	l.own.Check()
	if len(l.lists.dirty) == 0 {
		return
	}
	before := l.doing.enter(phaseFlush)
	l.lists.dirty, l.lists.flushing = l.lists.flushing[:0], l.lists.dirty
	done := 0
	defer func() { // none is left, unless a callback has called Goexit
		l.lists.dirty = append(l.lists.dirty, l.lists.flushing[done:]...)
	}()
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
		if s.flags&flagTLS != 0 {
			n, e = l.sealOutbox(i, s, &c.out, flushBudget)
		} else {
			before := c.out.Counted()
			n, e = c.out.Send(l.writer(i, s), int(s.fd), &l.cork.vector, &l.bufs, flushBudget)
			l.outgoing.add(c.out.Counted() - before)
		}
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

// unload sends from a queue that is half full what the socket takes, before the end of the tick: a peer that is sent
// much in one tick is not slow for that reason. It calls callbacks, so it must not be called inside one.
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
