// Package ledger divides a resource, bytes as a rule, among those who make the process hold it. An [Account] has a
// bound for all and a share for each [Key]. Nobody configures shares: they follow from who holds what.
//
// What cannot be given up (an unfinished message, the name of a message that must not be posted twice) is asked for
// with [Account.Take]: a key may hold at most as much as is left free. So one key gets half of the bound, each of two a
// third, each of n an (n+1)th, and a newcomer always finds as much as those who were there before have.
//
// What can be given up (a detached session, the history of a room) is counted with [Account.Add], and when the account
// is over its bound the owner gives up something of [Account.Largest]: so a key loses only while no other key holds
// twice as much.
package ledger

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"sync"
)

// ErrFull is what Take says: the bound for all, or the share of the key, does not allow it. Its text tells which.
var ErrFull = errors.New("no room")

// Account counts one kind of thing. Any goroutine may call its methods; none of them takes longer the more keys there
// are. Make one with [NewAccount].
type Account struct {
	limit int64 // negative: none

	mu      sync.Mutex
	held    int64
	shares  map[Key]*share
	classes [64]*share // by bit length of what they hold: the first of a ring
	refused uint64
}

// share is what one key holds. Shares of the same size class form a ring, in which the one longest there is the first.
type share struct {
	key        Key
	held       int64
	prev, next *share
}

// NewAccount returns an empty account. limit is the bound for all keys together; a negative one is no limit.
func NewAccount(limit int64) *Account {
	return &Account{limit: limit, shares: make(map[Key]*share)}
}

// Take counts n more for k if the bound and the share of k allow it. Error: ErrFull; then nothing has changed. What the
// process itself holds (the zero Key) is limited by the bound alone.
func (a *Account) Take(k Key, n int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if free := a.free(); n > free {
		a.refused++
		return fmt.Errorf("%w: %d of %d are held", ErrFull, a.held, a.limit)
	} else if has := a.of(k); k != (Key{}) && a.limit >= 0 && has+n > free-n {
		a.refused++
		return fmt.Errorf("%w: the client holds %d, and a share may not be more than is left free, %d", ErrFull, has, free)
	}
	a.add(k, n)
	return nil
}

// Add counts n more for k whatever the limits say: see [Account.Over].
func (a *Account) Add(k Key, n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.add(k, n)
}

// Remove counts n less for k. Taking away more than k has is a fault of the caller's, and panics.
func (a *Account) Remove(k Key, n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.add(k, -n)
}

// Over reports whether more is held than the bound allows.
func (a *Account) Over() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.free() < 0
}

// Largest returns a key that no other holds twice as much as, and what it holds; zero if no key holds anything. Among
// keys of like size it is the one that has been so large for longest.
func (a *Account) Largest() (Key, int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.largest(); s != nil {
		return s.key, s.held
	}
	return Key{}, 0
}

// Of returns what k holds.
func (a *Account) Of(k Key) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.of(k)
}

// Stats are figures of an Account, all of one moment.
type Stats struct {
	Held    int64  // by all keys together
	Limit   int64  // negative: none
	Keys    int    // that hold something
	Largest int64  // what one of the largest of them holds: at least half of the largest
	Refused uint64 // Takes, since the account was made
}

// Stats returns the figures.
func (a *Account) Stats() Stats {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := Stats{Held: a.held, Limit: a.limit, Keys: len(a.shares), Refused: a.refused}
	if first := a.largest(); first != nil {
		s.Largest = first.held
	}
	return s
}

// free is what is left of the bound; negative if the account is over it.
func (a *Account) free() int64 {
	if a.limit < 0 {
		return math.MaxInt64
	}
	return a.limit - a.held
}

func (a *Account) of(k Key) int64 {
	if s := a.shares[k]; s != nil {
		return s.held
	}
	return 0
}

func (a *Account) largest() *share {
	for i := len(a.classes) - 1; i > 0; i-- {
		if s := a.classes[i]; s != nil {
			return s
		}
	}
	return nil
}

// add counts n, which may be negative, for k. A share that holds nothing is forgotten.
func (a *Account) add(k Key, n int64) {
	a.held += n
	if k == (Key{}) || n == 0 {
		return
	}
	s := a.shares[k]
	if s == nil {
		s = &share{key: k}
		a.shares[k] = s
	}
	was := class(s.held)
	if s.held += n; s.held < 0 {
		panic(fmt.Sprintf("ledger: %v gives back %d more than it has", k, -s.held))
	}
	if is := class(s.held); was != is {
		a.unlink(was, s)
		a.link(is, s)
	}
	if s.held == 0 {
		delete(a.shares, k)
	}
}

// class is the size class of a share that holds n: 0 of one that holds nothing and is in no ring.
func class(n int64) int { return bits.Len64(uint64(n)) }

// link makes s the last of the ring of its class.
func (a *Account) link(class int, s *share) {
	first := a.classes[class]
	switch {
	case class == 0:
	case first == nil:
		s.prev, s.next = s, s
		a.classes[class] = s
	default:
		s.prev, s.next = first.prev, first
		s.prev.next, s.next.prev = s, s
	}
}

func (a *Account) unlink(class int, s *share) {
	switch {
	case class == 0:
		return
	case s.next == s:
		a.classes[class] = nil
	default:
		s.prev.next, s.next.prev = s.next, s.prev
		if a.classes[class] == s {
			a.classes[class] = s.next
		}
	}
	s.prev, s.next = nil, nil
}
