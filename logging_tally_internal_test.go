//go:build linux

package perch

import (
	"slices"
	"testing"
	"time"

	"github.com/perchws/perch/internal/clock"
)

// The first lines of an interval are written; the others are one line at its end, each
// kind for itself. After that, while it goes on, there is one line in an interval.
func TestTally(t *testing.T) {
	type line struct {
		kind int
		left uint64
	}
	var lines []line
	tally := newTally(clock.Real(), 2, tallyLines, 1, time.Hour, func(kind int, left unsaid) { lines = append(lines, line{kind, left.count}) })
	take := func(kind, n int) (taken int) {
		for range n {
			if tally.take(kind, 0) {
				taken++
			}
		}
		return taken
	}
	if n, other := take(1, 100), take(0, 3); n != tallyLines || other != 3 {
		t.Errorf("%d of 100 and %d of 3 have lines", n, other)
	}
	tally.tell(1)
	tally.tell(1)
	if n := take(1, 100); n != 1 {
		t.Errorf("%d of the next interval's 100 have lines", n)
	}
	tally.kinds[0].until = 1 // the interval is over, and nobody was left out
	if n := take(0, 100); n != tallyLines {
		t.Errorf("%d of 100 after a quiet interval have lines", n)
	}
	tally.tellAll()
	if len(lines) != 3 || lines[0] != (line{1, 100 - tallyLines}) || lines[1] != (line{0, 100 - tallyLines}) || lines[2] != (line{1, 99}) {
		t.Errorf("told %v", lines)
	}
}

// The line for those left out comes by itself.
func TestTallyTells(t *testing.T) {
	told := make(chan uint64, 1)
	tally := newTally(clock.Real(), 1, tallyLines, 1, 20*time.Millisecond, func(_ int, left unsaid) { told <- left.count })
	for tally.take(0, 0) { // until the first is left out
	}
	select {
	case n := <-told:
		if n != 1 {
			t.Errorf("%d were left out", n)
		}
	case <-time.After(30 * time.Second):
		t.Error("nothing is told")
	}
}

// Of those left out the largest is told. Where no line comes before that, an interval has
// one while it goes on.
func TestTallyOfOneLine(t *testing.T) {
	var lines []unsaid
	tally := newTally(clock.Real(), 1, 1, 0, time.Hour, func(_ int, left unsaid) { lines = append(lines, left) })
	taken := 0
	for range 3 {
		for _, size := range []int64{9, 3, 7, 2} {
			if tally.take(0, size) {
				taken++
			}
		}
		tally.tell(0)
	}
	if want := []unsaid{{3, 7}, {4, 9}, {4, 9}}; taken != 1 || !slices.Equal(lines, want) {
		t.Errorf("%d lines, then %v, want 1, then %v", taken, lines, want)
	}
}
