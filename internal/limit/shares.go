package limit

import "sync"

// Shares counts how much of something each of many has: connections of an address, bytes queued for
// a user. Somebody who has nothing takes no memory. The zero Shares is ready for use. It belongs to
// one goroutine, or to whoever holds the caller's mutex; [Counter] is for any goroutine.
type Shares[K comparable] struct {
	has map[K]int64
}

// Add gives n more to k, unless it would have more than most then; false: it has what it had.
func (s *Shares[K]) Add(k K, n, most int64) bool {
	had := s.has[k]
	if had > most-n {
		return false
	}
	if s.has == nil {
		s.has = make(map[K]int64)
	}
	s.has[k] = had + n
	return true
}

// Remove takes n from k, or what it has, if that is less.
func (s *Shares[K]) Remove(k K, n int64) {
	if left := s.has[k] - n; left > 0 {
		s.has[k] = left
	} else {
		delete(s.has, k)
	}
}

// Of returns what k has.
func (s *Shares[K]) Of(k K) int64 { return s.has[k] }

// Len returns how many have something.
func (s *Shares[K]) Len() int { return len(s.has) }

// Counter is Shares with a mutex: any goroutine may call its methods.
type Counter[K comparable] struct {
	mu     sync.Mutex
	shares Shares[K]
}

// Add is [Shares.Add].
func (c *Counter[K]) Add(k K, n, most int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shares.Add(k, n, most)
}

// Remove is [Shares.Remove].
func (c *Counter[K]) Remove(k K, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shares.Remove(k, n)
}

// Of is [Shares.Of].
func (c *Counter[K]) Of(k K) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shares.Of(k)
}

// Len is [Shares.Len].
func (c *Counter[K]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shares.Len()
}
