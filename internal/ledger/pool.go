package ledger

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// ErrFull is what Take says: the bound for all, or the share of the one that asks, does not allow it. Its text tells
// which.
var ErrFull = errors.New("no room")

// Pool is an [Account] whose shares are kept by the caller, where it keeps the rest that it knows of who has them. It
// belongs to one goroutine, or to whoever holds the caller's mutex. No method takes longer the more shares there are.
// Make one with [NewPool].
type Pool[T any] struct {
	limit   int64 // negative: none
	held    int64
	keys    int
	refused uint64
	classes [64]*Share[T] // by bit length of what they hold: the first of a ring
}

// Share is what one holds of a Pool. One that holds something must not be copied. Shares of the same size class form a
// ring, in which the one that has been there for longest is the first.
type Share[T any] struct {
	Owner      T // the caller's
	held       int64
	prev, next *Share[T]
}

// Held returns what is held.
func (s *Share[T]) Held() int64 { return s.held }

// NewPool returns an empty pool. limit is the bound for all shares together; a negative one is no limit.
func NewPool[T any](limit int64) *Pool[T] { return &Pool[T]{limit: limit} }

// Take counts n more for s if the bound and the share allow it. Error: ErrFull; then nothing has changed. What the
// process itself holds (s is nil) is limited by the bound alone.
func (p *Pool[T]) Take(s *Share[T], n int64) error {
	switch free := p.free(); {
	case p.Fits(s, n):
		p.Add(s, n)
		return nil
	case n > free:
		p.refused++
		return fmt.Errorf("%w: %d of %d are held", ErrFull, p.held, p.limit)
	default:
		p.refused++
		return fmt.Errorf("%w: a share may not be more than is left free; it is %d, %d are free", ErrFull, s.held, free)
	}
}

// Fits reports whether Take would count n more.
func (p *Pool[T]) Fits(s *Share[T], n int64) bool {
	if s == nil {
		return n <= p.free()
	}
	return Fits(p.limit, p.held, s.held, n)
}

// Fits is the rule of shares, for callers who count themselves: whether somebody who has share, where all have held,
// may have n more. A negative limit is none.
func Fits(limit, held, share, n int64) bool {
	return limit < 0 || share+n <= limit-held-n
}

// Add counts n more for s, or for the process, whatever the limits say: see [Pool.Over]. n may be negative; taking
// away more than s holds is a fault of the caller's, and panics.
func (p *Pool[T]) Add(s *Share[T], n int64) {
	p.held += n
	if s == nil || n == 0 {
		return
	}
	was := class(s.held)
	if s.held += n; s.held < 0 {
		panic(fmt.Sprintf("ledger: %v gives back %d more than it has", s.Owner, -s.held))
	}
	if is := class(s.held); was != is {
		p.unlink(was, s)
		p.link(is, s)
	}
}

// Held returns what all hold.
func (p *Pool[T]) Held() int64 { return p.held }

// Over reports whether n more would be more than the bound allows.
func (p *Pool[T]) Over(n int64) bool { return n > p.free() }

// Largest returns a share that no other is twice as large as; nil if nobody holds anything. Of shares of like size it
// is the one that has been so large for longest.
func (p *Pool[T]) Largest() *Share[T] {
	for i := len(p.classes) - 1; i > 0; i-- {
		if s := p.classes[i]; s != nil {
			return s
		}
	}
	return nil
}

// Stats are figures of a Pool or an Account, all of one moment.
type Stats struct {
	Held    int64  // by all together
	Limit   int64  // negative: none
	Keys    int    // that hold something
	Largest int64  // what one of the largest of them holds: at least half of what the largest does
	Refused uint64 // Takes, since the start
}

// Stats returns the figures.
func (p *Pool[T]) Stats() Stats {
	s := Stats{Held: p.held, Limit: p.limit, Keys: p.keys, Refused: p.refused}
	if first := p.Largest(); first != nil {
		s.Largest = first.held
	}
	return s
}

// free is what is left of the bound; negative if more is held.
func (p *Pool[T]) free() int64 {
	if p.limit < 0 {
		return math.MaxInt64
	}
	return p.limit - p.held
}

// class is the size class of a share that holds n: 0 of one that holds nothing and is in no ring.
func class(n int64) int { return bits.Len64(uint64(n)) }

// link makes s the last of the ring of its class.
func (p *Pool[T]) link(class int, s *Share[T]) {
	if class == 0 {
		p.keys--
		return
	}
	if first := p.classes[class]; first == nil {
		s.prev, s.next = s, s
		p.classes[class] = s
	} else {
		s.prev, s.next = first.prev, first
		s.prev.next, s.next.prev = s, s
	}
}

func (p *Pool[T]) unlink(class int, s *Share[T]) {
	if class == 0 {
		p.keys++
		return
	}
	if s.next == s {
		p.classes[class] = nil
	} else {
		s.prev.next, s.next.prev = s.next, s.prev
		if p.classes[class] == s {
			p.classes[class] = s.next
		}
	}
	s.prev, s.next = nil, nil
}
