//go:build linux

package perch

import "time"

// Coarse time is the unit of the timeouts of connections: 2^20 ns, about a millisecond, of the server's clock. A slot
// has 40 bits for one such time, which is 36 years.
const (
	coarseShift = 20
	coarseBits  = 40
	coarseMost  = 1<<coarseBits - 1
)

// coarseSpan is d in coarse units, rounded up, so that a timeout is never early. 0 stays 0 and means never. A time that
// is too long for a slot becomes the longest one.
func coarseSpan(d time.Duration) uint64 {
	n := uint64(d) >> coarseShift
	if uint64(d)&(1<<coarseShift-1) != 0 {
		n++
	}
	return min(n, coarseMost)
}

// coarseTime is the duration of a span in coarse units.
func coarseTime(n uint64) time.Duration { return time.Duration(n << coarseShift) }

// sweepPeriod is the time between the sweeps of a loop on which d is the shortest timeout in use: a fraction of d, so
// that no timeout is late by much, but not so short that idle loops do work.
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

// past reports that a timeout of d has passed after this many coarse units. The unit in progress does not count, so
// that a timeout is never early.
func (l *loop) past(units uint64, d time.Duration) bool {
	l.own.Check()
	return d != 0 && units > coarseSpan(d)
}

// hasten makes sweeps as frequent as a connection with this period needs. They stay so until the hand has gone round
// once without meeting such a connection.
func (l *loop) hasten(period int64) {
	l.own.Check()
	l.hand.wanted = min(l.hand.wanted, period)
	if period < l.hand.period {
		l.hand.period = period
		l.hand.next = min(l.hand.next, l.now+period)
	}
}

// goneRound ends a round of the hand: from now on the sweeps are as frequent as the connections that it has met need.
func (l *loop) goneRound() {
	l.own.Check()
	l.hand.period = min(l.srv.period, l.hand.wanted)
	l.hand.wanted = l.srv.period
}
