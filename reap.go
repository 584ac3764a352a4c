//go:build linux

package perch

import (
	"github.com/perchws/perch/internal/closing"
	"github.com/perchws/perch/internal/owner"
)

// reap closes the descriptors of connections that have ended, calls OnClose and frees their slots: the only place that
// does.
func (l *loop) reap() {
	l.own.Check()
	before := l.doing.enter(phaseReap)
	for len(l.lists.dead) > 0 { // OnClose may close others
		l.reapListed()
	}
	l.doing.leave(before)
}

// reapListed reaps the connections that are listed now.
func (l *loop) reapListed() {
	l.own.Check()
	dead, done := l.lists.dead, 0
	l.lists.dead = l.lists.spareDead[:0]
	defer func() {
		l.lists.dead = append(l.lists.dead, dead[done:]...) // none is left, but after Goexit
		l.lists.spareDead = dead
		l.accepting.overflow.pushed = 0
	}()
	for _, i := range dead {
		done++
		l.reapOne(i, l.slab.at(i))
	}
}

// reapOne closes the descriptor of one connection. Its slot is freed now, or when its worker has handed back what it
// has: then workDone comes here again.
func (l *loop) reapOne(i uint32, s *slot) {
	l.own.Check()
	c := l.slab.thaw(s)
	if s.fd >= 0 {
		if owner.Enabled && c.reset && s.flags&flagPassed != 0 {
			panic("perch: the socket of a connection that net/http has is to be reset")
		}
		if c.reset {
			l.kernel.Reset(int(s.fd))
		} else {
			l.kernel.Close(int(s.fd))
		}
		s.fd = -1
		l.accepting.spares.replenish(l.kernel)
		l.endAcceptPause()
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
	l.own.Check()
	defer l.free(i, s, c) // whatever hooks of the rooms do
	l.rooms.LeaveAll(i)
}

// free lets go of all that the connection had, each part of its own, then of the slot, and of the place in the counts,
// which others may take at once.
func (l *loop) free(i uint32, s *slot, c *cold) {
	l.own.Check()
	flags, counted := s.flags, l.slab.counted.Get(i)
	if flags&flagOpened != 0 {
		l.stats.Closed++
		l.stats.closeCode(c.cause.Code)
	}
	l.outgoing.add(-c.out.Counted())
	c.out.Reset(&l.bufs)
	l.dropTLS(i)
	l.dropInput(c)
	l.dropMessage(c)
	l.endDial(c)
	l.endRefusal(c)
	if flags&flagClient != 0 {
		l.srv.releaseRoute(s.route())
	}
	if c.dropped > 0 { // OnGap has not been told
		l.remark(i, s, closing.Gap, closing.None, c.dropped)
	}
	c.parser, c.cause, c.upgrade, c.dropped = nil, nil, nil, 0
	l.slab.freeze(s)
	l.step(i, s, closing.Reaped, why{})
	l.slab.dealloc(i, s)
	switch {
	case flags&flagPassed != 0: // net/http has it, and counts it on
	case flags&flagRefused != 0:
		l.leaveOverflow(i)
	default:
		l.srv.uncount(counted)
	}
}

// each visits every slot in use.
func (l *loop) each(f func(i uint32, s *slot)) {
	l.own.Check()
	for i := range uint32(l.slab.made) {
		if s := l.slab.at(i); s.state != stateFree {
			f(i, s)
		}
	}
}
