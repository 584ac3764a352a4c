package protocol

import "time"

// budgetWindow is how long a Budget lasts.
const budgetWindow = time.Minute

// A Budget limits how often something happens in a minute. The minute begins when something happens
// and not with each event, so around its end twice the limit may come close together. The zero
// Budget is ready. It is for one goroutine at a time.
type Budget struct {
	start int64 // of the minute: a moment of the monotonic clock, in nanoseconds
	spent int32
}

// Take reports whether it may happen once more now, a moment of the monotonic clock in nanoseconds, at most most
// times a minute; a negative most is no limit.
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
