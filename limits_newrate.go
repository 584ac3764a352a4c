//go:build linux

package perch

import (
	"hash/maphash"
	"math"
	"sync"
)

// newConnRate bounds new connections per second: those of each address, and all
// together. Any goroutine.
type newConnRate struct {
	mu    sync.Mutex
	whole limiter
	state rateState
	each  limiter
	seed  maphash.Seed
	sets  *[rateSets]rateSet // nil until the first address comes
}

// The table of addresses has a fixed size. An address that finds its set full takes
// the place of the one that has used least of its rate.
const (
	rateSets = 4096
	rateWays = 4
)

type rateSet [rateWays]struct {
	key   addrKey
	state rateState
}

// newNewConnRate makes one of two rates per second; math.MaxInt is no limit.
func newNewConnRate(whole, each int) *newConnRate {
	perSecond := func(n int) limiter { return newLimiter(Rate{Messages: n, Burst: n, Bytes: math.MaxInt}) }
	return &newConnRate{whole: perSecond(whole), each: perSecond(each), seed: maphash.MakeSeed()}
}

// take asks for one more connection now.
func (r *newConnRate) take(now int64) bool {
	if r.whole.perMessage == 0 {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.whole.message(&r.state, now)
}

// takeFrom asks for one more connection of an address now. The zero key is not
// limited.
func (r *newConnRate) takeFrom(key addrKey, now int64) bool {
	if r.each.perMessage == 0 || key == (addrKey{}) {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.each.message(r.stateOf(key), now)
}

// stateOf is the bucket of an address.
func (r *newConnRate) stateOf(key addrKey) *rateState {
	if r.sets == nil {
		r.sets = new([rateSets]rateSet)
	}
	set := &r.sets[maphash.Bytes(r.seed, key[:])%rateSets]
	least := &set[0]
	for i := range set {
		switch e := &set[i]; {
		case e.key == key:
			return &e.state
		case e.state.messages < least.state.messages:
			least = e
		}
	}
	least.key, least.state = key, rateState{}
	return &least.state
}
