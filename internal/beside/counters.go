package beside

import "sync/atomic"

// countersPage is how many neighbouring counters are made at once.
const countersPage = 1024

// Counters holds a number for every index, which any goroutine may change. An index costs 8 bytes
// from the first change of one of its neighbours on; pages stay, because somebody may be about
// to change them.
type Counters struct {
	pages []atomic.Pointer[[countersPage]atomic.Int64] // its length never changes
}

// NewCounters makes counters for all indices below most.
func NewCounters(most int) Counters {
	return Counters{make([]atomic.Pointer[[countersPage]atomic.Int64], (most+countersPage-1)/countersPage)}
}

// At is the counter of i, which must be below the number of NewCounters. It is made if there is
// none. Any goroutine.
func (c *Counters) At(i uint32) *atomic.Int64 {
	page := &c.pages[i/countersPage]
	p := page.Load()
	if p == nil {
		p = new([countersPage]atomic.Int64)
		if !page.CompareAndSwap(nil, p) { // somebody else was quicker
			p = page.Load()
		}
	}
	return &p[i%countersPage]
}
