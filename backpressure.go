//go:build linux

package perch

import (
	"github.com/perchws/perch/internal/closing"
	"github.com/perchws/perch/internal/outbox"
)

// A peer that takes less than it is sent is dealt with in steps. With half of MaxOutput queued the loop stops reading
// from it (pressure), and goes on at a quarter (drained, OnDrain). A message beyond MaxOutput is left out if the route
// has an OnGap, which is told when half is free again; otherwise the connection is closed as a slow consumer: see
// loop.queueFor and loop.leaveOut.

// pressure stops reading from a connection whose queue is half full. Its own
// requests then do not make the queue longer: only messages that others send to
// it can cross the limit.
func (l *loop) pressure(s *slot, out *outbox.Box) {
	l.own.Check()
	if s.state == stateOpen && s.flags&flagPaused == 0 && out.Counted() >= max(l.srv.cfg.MaxOutput/2, 1) {
		s.flags |= flagPaused
		l.stats.Pauses++
	}
}

// settle acts on what has become of the outbox: reading stops or goes on, the end of a connection goes on, and a
// connection with nothing unfinished loses its cold part.
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

// drained ends a pause, and tells OnDrain.
func (l *loop) drained(i uint32, s *slot, c *cold) {
	l.own.Check()
	l.readAgain(i, s, c, flagPaused)
	if f := l.routeOf(s).onDrain; f != nil {
		defer l.recovered()
		l.calling.begin(i, s)
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
	l.calling.begin(i, s)
	l.routeOf(s).onGap(l.conn(i, s), n)
	l.calling.end()
}

// missed carries out the policy of the route for a message that was not queued and whose sender cannot be told. It acts
// on errNoRoom alone: in all other cases queueFor has done so.
func (l *loop) missed(i uint32, s *slot, err error) {
	l.own.Check()
	if err == errNoRoom && s.state == stateOpen && l.leaveOut(i, s, ErrOverloaded) {
		l.markDirty(i, s) // there is nothing whose sending would tell of the gap
	}
}

// leaveOut carries out the policy of the route for a message that cannot be queued: a gap is counted, of which OnGap
// will be told, or the connection is closed. It reports a gap.
func (l *loop) leaveOut(i uint32, s *slot, cause error) (gap bool) {
	l.own.Check()
	if l.routeOf(s).onGap == nil {
		l.slow(i, s, cause)
		return false
	}
	l.slab.thaw(s).dropped++
	l.stats.MessagesDropped++
	return true
}
