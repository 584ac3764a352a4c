package protocol

import "time"

// budgetWindow is the length of a Budget's window.
const budgetWindow = time.Minute

// A Budget limits how often something may happen in a minute. A new minute begins with the first event after the last
// one has ended, so around its end twice the limit may happen in a short time. The zero Budget is ready. It is for
// one goroutine at a time.
type Budget struct {
	start int64 // of the minute: a moment of the monotonic clock, in nanoseconds
	spent int32
}

// Take reports whether the event may happen once more now, at most most times a minute; a negative most is no limit.
// now is a moment of the monotonic clock in nanoseconds.
func (b *Budget) Take(now int64, most int) bool {
	if most < 0 {
		return true
	}
	if now-b.start >= int64(budgetWindow) {
		*b = Budget{start: now}
	}
	if int(b.spent) >= most {
		return false
	}
	b.spent++
	return true
}
