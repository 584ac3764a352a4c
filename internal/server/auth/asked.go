package auth

import (
	"hash/maphash"
	"sync"
)

// maxAsked bounds the keys that are looked for at once. Beyond it, a token with an unknown key is always told to come
// back, which costs nothing.
const maxAsked = 1024

// asked knows which keys were missing in the set, and since which load. So a token is refused for good only when the
// set was fetched after the token was first shown. Any goroutine may use it.
type asked struct {
	seed maphash.Seed

	mu    sync.Mutex
	begun uint64            // loads begun
	good  uint64            // number of the last load that went well
	since map[uint64]uint64 // by hash of the missing key: loads begun when it was asked for
}

func newAsked() *asked {
	return &asked{seed: maphash.MakeSeed(), since: make(map[uint64]uint64)}
}

// begin notes that a load begins.
func (a *asked) begin() (load uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begun++
	return a.begun
}

// end notes that a load has gone well, and forgets keys that were not asked for since the load before.
func (a *asked) end(load uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for what, since := range a.since {
		if since < a.good {
			delete(a.since, what)
		}
	}
	a.good = load
}

// missing notes that what is not in the set, and reports whether the next load may have it. It may not if a load that
// began after the first question has ended well. anew: that load is too old, so ask again.
func (a *asked) missing(what string, anew bool) bool {
	hash := maphash.String(a.seed, what)
	a.mu.Lock()
	defer a.mu.Unlock()
	since, known := a.since[hash]
	switch {
	case known && since < a.good && !anew:
		return false
	case known && since >= a.good:
		return true
	case !known && len(a.since) >= maxAsked:
		return true
	}
	a.since[hash] = a.begun
	return true
}
