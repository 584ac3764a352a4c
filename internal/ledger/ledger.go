// Package ledger divides a resource, bytes as a rule, among those who make the process hold it. An [Account] has a
// bound for all and a share for each [Key]; a [Pool] is the same for callers who keep the shares themselves. Nobody
// configures shares: they follow from who holds what.
//
// What cannot be given up (an unfinished message, the name of a message that must not be posted twice) is asked for
// with Take: a key may hold at most as much as is left free. So one key gets half of the bound, each of two a third,
// each of n an (n+1)th, and a newcomer always finds as much as those who were there before have.
//
// What can be given up (a detached session, the history of a room) is counted with Add, and when that is over the bound
// the owner gives up something of Largest: so a key loses only while no other key holds twice as much.
package ledger

import "sync"

// Account counts one kind of thing. Any goroutine may call its methods. Make one with [NewAccount].
type Account struct {
	mu     sync.Mutex
	pool   Pool[Key]
	shares map[Key]*Share[Key]
}

// NewAccount returns an empty account. limit is the bound for all keys together; a negative one is no limit.
func NewAccount(limit int64) *Account {
	return &Account{pool: Pool[Key]{limit: limit}, shares: make(map[Key]*Share[Key])}
}

// Take counts n more for k if the bound and the share of k allow it: see [Pool.Take]. The process itself (the zero Key)
// has no share.
func (a *Account) Take(k Key, n int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.open(k)
	err := a.pool.Take(s, n)
	a.settle(s)
	return err
}

// Add counts n more for k, fewer if n is negative: see [Pool.Add].
func (a *Account) Add(k Key, n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.open(k)
	a.pool.Add(s, n)
	a.settle(s)
}

// Over reports whether more is held than the bound allows.
func (a *Account) Over() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pool.Over(0)
}

// Largest returns a key that no other holds twice as much as, and what it holds; zero if no key holds anything.
func (a *Account) Largest() (Key, int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.pool.Largest(); s != nil {
		return s.Owner, s.held
	}
	return Key{}, 0
}

// Of returns what k holds.
func (a *Account) Of(k Key) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.shares[k]; s != nil {
		return s.held
	}
	return 0
}

// Stats returns figures of the account.
func (a *Account) Stats() Stats {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pool.Stats()
}

// open returns the share of k; nil for the process.
func (a *Account) open(k Key) *Share[Key] {
	if k == (Key{}) {
		return nil
	}
	s := a.shares[k]
	if s == nil {
		s = &Share[Key]{Owner: k}
		a.shares[k] = s
	}
	return s
}

// settle forgets a share of nothing.
func (a *Account) settle(s *Share[Key]) {
	if s != nil && s.held == 0 {
		delete(a.shares, s.Owner)
	}
}
