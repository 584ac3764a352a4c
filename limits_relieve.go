//go:build linux

package perch

import "slices"

// When all queues together near the bound of the process, some connections are ended, so that there is room for the
// others:
//
//   - A connection with more than MaxOutput queued is in the middle of a long message, which was accepted whole. It may
//     finish as long as it takes outbox.SteadyPace; slower ones are reset, the largest first. So are closing ones
//     with as much queued, for which the last frame is still sent.
//   - Of all others the largest queue is ended first: 3000, as a slow consumer.

// relieve ends connections when all queues together hold three quarters of the bound.
func (l *loop) relieve() {
	l.own.Check()
	most := l.srv.cfg.MaxOutputTotal
	if l.srv.output.queued.Load() < most/4*3 {
		l.outgoing.largest.Store(0)
		return
	}
	type queue struct {
		slot  uint32
		bytes int
		reset bool
	}
	var all []queue
	l.each(func(i uint32, s *slot) {
		c := l.slab.coldOf(s)
		if c == nil || c.out.Queued() == 0 || s.state != stateOpen && !s.state.Ending() {
			return
		}
		long := c.out.Queued()/2 >= l.srv.cfg.MaxOutput || s.state != stateOpen
		if slow := c.out.Slow(coarseTime(l.coarse)); !long || slow {
			all = append(all, queue{i, c.out.Queued(), long})
		}
	})
	slices.SortFunc(all, func(a, b queue) int { return b.bytes - a.bytes })
	largest := 0
	if len(all) > 0 {
		largest = all[0].bytes
	}
	l.outgoing.largest.Store(int64(largest))
	for _, o := range l.srv.loops { // the state of the others at their last sweep
		largest = max(largest, int(o.outgoing.largest.Load()))
	}
	excess := l.srv.output.queued.Load() - most/2
	for _, q := range all {
		if excess <= 0 || q.bytes < largest/2 { // the rest is smaller than the queues of other loops
			return
		}
		excess -= int64(q.bytes)
		s := l.slab.at(q.slot)
		if q.reset {
			l.stats.SlowConsumers++
			l.abort(q.slot, s, ErrOverloaded)
			continue
		}
		l.slow(q.slot, s, ErrOverloaded)
	}
}
