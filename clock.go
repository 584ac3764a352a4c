//go:build linux

package perch

import "time"

// Coarse time is what the timeouts of connections are measured in: units of
// 2^20 ns, about a millisecond, of the server's clock. A slot has 40 bits for one
// such time, which is 36 years.
const (
	coarseShift = 20
	coarseBits  = 40
	coarseMost  = 1<<coarseBits - 1
)

// coarseSpan is d in coarse units, rounded up: a timeout is never early. 0 stays
// 0, which is never; a time that is too long for a slot is as good as never.
func coarseSpan(d time.Duration) uint64 {
	n := uint64(d) >> coarseShift
	if uint64(d)&(1<<coarseShift-1) != 0 {
		n++
	}
	return min(n, coarseMost)
}

// coarseTime is a span in coarse units as a duration.
func coarseTime(n uint64) time.Duration { return time.Duration(n << coarseShift) }

// sweepPeriod is how often a loop sweeps when d is the shortest timeout in use:
// a fraction of it, so that none is missed by much, and not so short that idle
// loops do work.
func sweepPeriod(d time.Duration) int64 {
	return int64(min(max(d/16, minSweep), maxSweep))
}

const (
	minSweep = time.Millisecond
	maxSweep = 250 * time.Millisecond
)

// clock reads the time, once a tick.
func (l *loop) clock() {
	l.own.Check()
	l.now = l.srv.clock.Now()
	l.coarse = uint64(l.now) >> coarseShift
}

// past reports that a timeout of d has passed after so many coarse units. The unit
// in progress does not count: never too early.
func (l *loop) past(units uint64, d time.Duration) bool {
	l.own.Check()
	return d != 0 && units > coarseSpan(d)
}

// hasten makes the sweeps as frequent as a connection with this period wants
// them. They stay so until the hand has gone round and met none that does.
func (l *loop) hasten(period int64) {
	l.own.Check()
	l.hand.wanted = min(l.hand.wanted, period)
	if period < l.hand.period {
		l.hand.period = period
		l.hand.next = min(l.hand.next, l.now+period)
	}
}

// goneRound ends a round of the hand: the sweeps are as frequent from now on as
// the connections that it has met want them.
func (l *loop) goneRound() {
	l.own.Check()
	l.hand.period = min(l.srv.period, l.hand.wanted)
	l.hand.wanted = l.srv.period
}
