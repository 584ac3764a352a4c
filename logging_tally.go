//go:build linux

package perch

import (
	"sync"
	"time"

	"github.com/perchws/perch/internal/clock"
)

// tally keeps what may happen often from filling the log. Of each kind the first lines
// of an interval are written; later ones are counted, and told in one line when the
// interval is over. While it goes on so, fewer are written before that, or none.
type tally struct {
	// Immutable.
	clock       clock.Clock
	interval    time.Duration
	first, next int                         // lines of a kind in its first interval, and in those that follow at once
	told        func(kind int, left unsaid) // writes the line for those left out

	mu    sync.Mutex
	kinds []tallied
}

// unsaid is what was left out of the log.
type unsaid struct {
	count uint64
	most  int64 // the largest size among them
}

// tallied is one kind of a tally.
type tallied struct {
	until int64 // the end of the interval, as clock tells it
	lines int   // that may still be written in it
	left  unsaid
}

// What a server's tallies have; of slow ticks there is one line in an interval.
const (
	tallyInterval = 10 * time.Second
	tallyLines    = 5 // of one kind in its first interval
)

func newTally(c clock.Clock, kinds, first, next int, interval time.Duration, told func(kind int, left unsaid)) *tally {
	return &tally{clock: c, interval: interval, first: first, next: next, told: told, kinds: make([]tallied, kinds)}
}

// take counts one of a kind, and reports whether it may have a line of its own. size is
// what is told of the largest; 0: nothing is. Any goroutine.
func (t *tally) take(kind int, size int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := &t.kinds[kind]
	now := t.clock.Now()
	if k.left.count == 0 && now > k.until {
		k.until, k.lines = now+int64(t.interval), t.first
	}
	if k.lines > 0 {
		k.lines--
		return true
	}
	k.left.most = max(k.left.most, size)
	if k.left.count++; k.left.count == 1 {
		t.clock.AfterFunc(time.Duration(k.until-now), func() { t.tell(kind) })
	}
	return false
}

// tell writes the line for those of a kind that were left out, if some were.
func (t *tally) tell(kind int) {
	t.mu.Lock()
	k := &t.kinds[kind]
	left := k.left
	if left.count > 0 {
		*k = tallied{until: t.clock.Now() + int64(t.interval), lines: t.next}
	}
	t.mu.Unlock()
	if left.count > 0 {
		t.told(kind, left)
	}
}

// tellAll does so for every kind: the end has come before that of the interval.
func (t *tally) tellAll() {
	for kind := range t.kinds {
		t.tell(kind)
	}
}
