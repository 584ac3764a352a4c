//go:build linux

package perch

import (
	"slices"
	"time"
)

// When all queues together near the bound of the process, some have to go, so that
// there is room for the others. Which ones:
//
//   - A connection that is sent more than MaxOutput is in the middle of a long
//     message, which was accepted as it is. It is let finish as long as it takes
//     steadyPace; a slower one is reset, the largest first. So are closing ones with
//     as much, for which the last frame is still sent.
//   - Of all others the largest queue goes first: 3000, as a slow consumer.

// steadyPace is what a peer must take, in bytes a second, for its long message not to
// be given up when memory is short. It is judged over paceTime at least.
const (
	steadyPace = 32 << 10
	paceTime   = time.Second
)

// pace is how fast a peer takes what is queued for it, from one look to the next.
type pace struct {
	at    uint64 // coarse time of the look; 0: nobody has looked
	taken int    // outbox.taken then
	slow  bool   // it took less than steadyPace
}

// dawdles measures the pace. It reports that it is too slow.
func (o *outbox) dawdles(now uint64) (slow bool) {
	p := &o.pace
	span := coarseTime(now - p.at)
	switch {
	case p.at == 0:
		*p = pace{at: now, taken: o.taken}
	case span >= paceTime:
		took := float64(o.taken-p.taken) / span.Seconds()
		*p = pace{at: now, taken: o.taken, slow: took < steadyPace}
	}
	return p.slow
}

// relieve ends connections when all queues together hold three quarters of what they
// may.
func (l *loop) relieve() {
	l.own.Check()
	most := l.srv.cfg.MaxOutputTotal
	if l.srv.queued.Load() < most/4*3 {
		l.ledger.largest.Store(0)
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
		if c == nil || c.out.bytes == 0 || s.state < stateOpen || s.state == stateClosed {
			return
		}
		long := c.out.bytes/2 >= l.srv.cfg.MaxOutput || s.state != stateOpen
		if slow := c.out.dawdles(l.coarse); !long || slow {
			all = append(all, queue{i, c.out.bytes, long})
		}
	})
	slices.SortFunc(all, func(a, b queue) int { return b.bytes - a.bytes })
	largest := 0
	if len(all) > 0 {
		largest = all[0].bytes
	}
	l.ledger.largest.Store(int64(largest))
	for _, o := range l.srv.loops { // of the others, as of their last sweep
		largest = max(largest, int(o.ledger.largest.Load()))
	}
	excess := l.srv.queued.Load() - most/2
	for _, q := range all {
		if excess <= 0 || q.bytes < largest/2 { // the rest is smaller than what others hold
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
