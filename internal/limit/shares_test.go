package limit

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
)

func TestCounter(t *testing.T) {
	var c Counter[Address]
	a, b := Address{1}, Address{2}
	for n := range 5 {
		if got := c.Add(a, 1, 3); got != (n < 3) {
			t.Errorf("connection %d from one address: %v", n, got)
		}
	}
	if !c.Add(b, 1, 3) || !c.Add(b, 1, math.MaxInt64) {
		t.Error("another address is refused")
	}
	c.Remove(a, 1)
	if !c.Add(a, 1, 3) || c.Add(a, 1, 3) {
		t.Error("a close does not make room for exactly one")
	}
	if c.Of(a) != 3 || c.Of(b) != 2 || c.Len() != 2 {
		t.Errorf("%d, %d of %d addresses", c.Of(a), c.Of(b), c.Len())
	}
	for _, k := range []Address{a, a, a, b, b} {
		c.Remove(k, 1)
	}
	if c.Len() != 0 {
		t.Errorf("%d addresses are remembered without a connection", c.Len())
	}
}

// TestSharesModel: amounts of any size are within the limit, and none is lost.
func TestSharesModel(t *testing.T) {
	const most = 1000
	rng := rand.New(rand.NewPCG(1, 2))
	var s Shares[string]
	model := make(map[string]int64)
	refused := 0
	for range 100_000 {
		k, n := string(rune('a'+rng.IntN(5))), rng.Int64N(300)
		if rng.IntN(2) == 0 {
			fits := model[k]+n <= most
			if got := s.Add(k, n, most); got != fits {
				t.Fatalf("%d more than %d: %v", n, model[k], got)
			}
			if fits {
				model[k] += n
			} else {
				refused++
			}
		} else {
			s.Remove(k, n)
			model[k] = max(model[k]-n, 0)
		}
		if s.Of(k) != model[k] {
			t.Fatalf("%d, want %d", s.Of(k), model[k])
		}
	}
	if refused == 0 {
		t.Error("nothing was refused: the test shows nothing")
	}
	if s.Add("a", math.MaxInt64, math.MaxInt64) != (model["a"] == 0) {
		t.Error("a share beyond the largest number")
	}
	for k := range model {
		s.Remove(k, math.MaxInt64)
	}
	if s.Len() != 0 {
		t.Errorf("%d have something", s.Len())
	}
}

// TestCounterShared: what many goroutines add and remove comes out even.
func TestCounterShared(t *testing.T) {
	var c Counter[int]
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for n := range 2000 {
				if c.Add(n%3, 1, 4) {
					if c.Of(n%3) > 4 {
						t.Errorf("goroutine %d sees more than there may be", g)
					}
					c.Remove(n%3, 1)
				}
			}
		})
	}
	all.Wait()
	if c.Len() != 0 {
		t.Errorf("%d have something", c.Len())
	}
}
