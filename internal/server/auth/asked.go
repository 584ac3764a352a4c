package auth

import (
	"hash/maphash"
	"sync"
)

// maxAsked bounds the keys that are looked for at once. Over it a token whose key is unknown is told to come
// back each time, which costs nobody anything.
const maxAsked = 1024

// asked knows which keys were missing in the set, and since which load, so that a token is refused for
// good only when the set was fetched after it was first shown. Any goroutine.
type asked struct {
	seed maphash.Seed

	mu    sync.Mutex
	begun uint64            // loads begun
	good  uint64            // the last that went well, by its number
	since map[uint64]uint64 // by hash of what is missing: loads begun when it was asked for
}

func newAsked() *asked {
	return &asked{seed: maphash.MakeSeed(), since: make(map[uint64]uint64)}
}

// begin takes note that a load begins.
func (a *asked) begin() (load uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begun++
	return a.begun
}

// end takes note that a load has gone well, and forgets what nobody has asked for since the one before.
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

// missing takes note that what is not in the set, and reports whether it may be in the next. It may not if
// a load that began after the first question has ended well. anew: that load is too old, ask again.
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
