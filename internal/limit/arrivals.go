package limit

import (
	"encoding/binary"
	"math/bits"
	"sync"
)

// Arrivals limits what comes anew in a second: from each address, and in all. Any goroutine may call
// its methods. It takes a fixed amount of memory: an address that finds no place takes that of one
// that has used least of its rate.
type Arrivals struct {
	whole, each Rate // immutable
	seed        [2]uint64

	mu     sync.Mutex
	bucket Bucket
	sets   *[arrivalSets]arrivalSet // nil until the first address comes
}

const (
	arrivalSets = 4096
	arrivalWays = 4
)

type arrivalSet [arrivalWays]struct {
	from   Address
	bucket Bucket
}

// NewArrivals limits to whole a second in all and to each of an address, all of which may come at
// once. None is no limit. seed is random, so that nobody can aim at the place of an address.
func NewArrivals(whole, each int, seed [2]uint64) *Arrivals {
	return &Arrivals{whole: NewRate(whole, whole), each: NewRate(each, each), seed: seed}
}

// Allow counts one that has come now; false: that is one too many in all.
func (a *Arrivals) Allow(now int64) bool {
	if !a.whole.Limited() {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.whole.Allow(&a.bucket, now)
}

// AllowFrom counts one that has come now from an address; false: that is one too many of it. The
// zero Address has no limit.
func (a *Arrivals) AllowFrom(from Address, now int64) bool {
	if !a.each.Limited() || from == (Address{}) {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.each.Allow(a.bucketOf(from), now)
}

// bucketOf is the bucket of an address. a.mu is held.
func (a *Arrivals) bucketOf(from Address) *Bucket {
	if a.sets == nil {
		a.sets = new([arrivalSets]arrivalSet)
	}
	set := &a.sets[a.hash(from)%arrivalSets]
	least := &set[0]
	for i := range set {
		switch e := &set[i]; {
		case e.from == from:
			return &e.bucket
		case e.bucket < least.bucket:
			least = e
		}
	}
	least.from, least.bucket = from, 0
	return &least.bucket
}

// hash spreads addresses over the sets, for each seed in another way.
func (a *Arrivals) hash(from Address) uint64 {
	const odd, more = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9
	high, low := bits.Mul64(binary.LittleEndian.Uint64(from[:])^a.seed[0]^odd, a.seed[1]^odd|1)
	x := high ^ low ^ a.seed[1]
	x = (x ^ x>>32) * more
	return x ^ x>>29
}
