//go:build linux

package perch

import (
	"time"

	"github.com/perchws/perch/internal/closing"
	"github.com/perchws/perch/internal/outbox"
	"github.com/perchws/perch/internal/sock"
)

// expireOpen enforces the timeouts of an open connection that has something
// unfinished.
func (l *loop) expireOpen(i uint32, s *slot, c *cold) {
	l.own.Check()
	cfg := &l.srv.cfg
	l.hasten(l.routeOf(s).period)
	if s.flags&flagOut != 0 || c.out.Backlog() {
		l.observe(s, &c.out)
	}
	switch {
	case !c.out.Empty() && l.past(l.coarse-c.out.Since(), cfg.WriteTimeout):
		l.stats.WriteTimeouts++
		l.step(i, s, closing.Timeout, why{err: cut(ErrWriteTimeout)})
	case s.held(): // while we do not read, its silence is ours
		l.tellHeld(i, s, c)
	case (c.asmBuf != nil || c.in != nil) && l.past(l.coarse-c.inSince, cfg.MessageTimeout):
		l.stats.MessageTimeouts++
		l.failWith(i, s, ClosePolicyViolation, "message took too long", ErrMessageTimeout)
	default:
		l.alive(i, s)
	}
	if c.out.Watched() && !c.out.Backlog() && s.state == stateOpen && s.flags&flagPinged == 0 && c.out.Empty() && s.seen() != c.out.Life() {
		c.out.Forget() // the peer has said something: it has read what it was sent
		l.slab.freeze(s)
	}
}

// peerProgress is how far the peer has come with what was sent to it. Bytes
// that the socket has refused wait too, and are a backlog; bytes that this tick
// has queued are none.
func (l *loop) peerProgress(s *slot) sock.Progress {
	l.own.Check()
	d := l.kernel.PeerProgress(int(s.fd))
	if s.flags&flagOut != 0 {
		d.Waiting, d.Backlog = true, true
	}
	return d
}

// observe looks once more at what the peer takes: that is life, like input.
func (l *loop) observe(s *slot, out *outbox.Box) (life bool) {
	l.own.Check()
	d := l.peerProgress(s)
	if !out.Look(d, l.coarse, true) {
		return false
	}
	s.see(l.coarse)
	out.SetLife(l.coarse)
	if !d.Backlog { // the ping has been taken too, and has its next turn when this life is over
		s.flags &^= flagPinged
	}
	return true
}

// ackDelay is how long after its last message a peer may take to acknowledge what
// we have answered: no sign of anything that goes on.
const ackDelay = 250 * time.Millisecond

// taking reports that the peer of a silent connection takes what was sent to it: a
// ping would wait behind that, and so does its pong. It is asked before a ping and
// before the end, one system call each. Without an earlier look the kernel's
// memory of the last acknowledgement has to do, once.
func (l *loop) taking(s *slot, silent uint64) (life bool) {
	l.own.Check()
	if c := l.slab.coldOf(s); c != nil && c.out.Watched() {
		return l.observe(s, &c.out)
	}
	d := l.peerProgress(s)
	switch {
	case !d.Backlog: // its kernel has it all; whether it reads will be seen
	case d.LastAck >= 0:
		ago := coarseSpan(d.LastAck)
		if life = ago+min(coarseSpan(ackDelay), silent/4) < silent; life {
			s.see(l.coarse - ago)
		}
	case s.flags&flagPinged == 0: // a unix socket, whose peer may be reading
		s.see(l.coarse)
		life = true
	}
	out := &l.slab.thaw(s).out
	out.Look(d, l.coarse, true)
	out.SetLife(s.seen())
	return life
}
