package protocol

import "time"

// budgetWindow is how long a Budget lasts.
const budgetWindow = time.Minute

// A Budget limits how often something happens in a minute. The minute begins when something happens
// and not with each event, so around its end twice the limit may come close together. The zero
// Budget is ready. It is for one goroutine at a time.
type Budget struct {
	start int64 // of the minute, Unix milliseconds
	spent int32
}

// Take reports whether it may happen once more now, at most most times a minute; a negative most is
// no limit. A clock that was set back begins a new minute.
func (b *Budget) Take(now time.Time, most int) bool {
	if most < 0 {
		return true
	}
	ms := now.UnixMilli()
	if past := ms - b.start; past < 0 || past >= budgetWindow.Milliseconds() {
		*b = Budget{start: ms}
	}
	if int(b.spent) >= most {
		return false
	}
	b.spent++
	return true
}
