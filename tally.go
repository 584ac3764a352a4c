//go:build linux

package perch

import (
	"sync"
	"time"
)

// tally keeps what may happen often from filling the log. Of each kind the first lines
// of an interval are written; what comes after them is counted, and told in one line
// when the interval is over. While it goes on so, the next intervals have one line
// before that.
type tally struct {
	// Immutable.
	interval time.Duration
	told     func(kind int, left uint64) // writes the line for those left out

	mu    sync.Mutex
	kinds []tallied
}

// tallied is one kind of a tally.
type tallied struct {
	until time.Time // the end of the interval
	lines int       // that were written in it
	left  uint64    // that were not
}

const (
	tallyInterval = 10 * time.Second
	tallyLines    = 5 // of one kind in an interval
)

func newTally(kinds int, interval time.Duration, told func(kind int, left uint64)) *tally {
	return &tally{interval: interval, told: told, kinds: make([]tallied, kinds)}
}

// take counts one of a kind, and reports whether it may have a line of its own. Any
// goroutine.
func (t *tally) take(kind int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := &t.kinds[kind]
	now := time.Now()
	if k.left == 0 && now.After(k.until) {
		k.until, k.lines = now.Add(t.interval), 0
	}
	if k.lines < tallyLines {
		k.lines++
		return true
	}
	if k.left++; k.left == 1 {
		time.AfterFunc(k.until.Sub(now), func() { t.tell(kind) })
	}
	return false
}

// tell writes the line for those of a kind that were left out, if some were.
func (t *tally) tell(kind int) {
	t.mu.Lock()
	k := &t.kinds[kind]
	left := k.left
	if left > 0 {
		*k = tallied{until: time.Now().Add(t.interval), lines: tallyLines - 1}
	}
	t.mu.Unlock()
	if left > 0 {
		t.told(kind, left)
	}
}

// tellAll does so for every kind: the end has come before that of the interval.
func (t *tally) tellAll() {
	for kind := range t.kinds {
		t.tell(kind)
	}
}
