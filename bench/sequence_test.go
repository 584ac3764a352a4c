package bench

import (
	"math/rand/v2"
	"testing"
)

func TestSequence(t *testing.T) {
	var s sequence
	for i, step := range []struct {
		n    uint64
		want arrival
	}{{0, inOrder}, {1, inOrder}, {4, afterGap}, {2, late}, {2, twice}, {4, twice}, {3, late}, {0, twice}, {5, inOrder}, {100, afterGap}, {7, late}} {
		if got := s.add(step.n); got != step.want {
			t.Errorf("step %d, number %d: %v, want %v", i, step.n, got, step.want)
		}
	}
	var old sequence
	for n := range uint64(200) {
		old.add(n)
	}
	if got := old.add(3); got != twice {
		t.Errorf("a number far back, of which none is missing: %v, want %v", got, twice)
	}
	if got := s.missing(110); got != 110-101+93 {
		t.Errorf("%d missing, want %d", got, 110-101+93)
	}
}

// TestSequenceModel holds it against a set of what has come, with numbers that
// are lost, doubled and late within the window.
func TestSequenceModel(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var s sequence
		come := make(map[uint64]bool)
		var top uint64 // after the highest
		for range 500 {
			n := top
			switch rnd.IntN(6) {
			case 0:
				n += rnd.Uint64N(20)
			case 1:
				n -= min(n, 1+rnd.Uint64N(60))
			}
			want := inOrder
			switch {
			case come[n]:
				want = twice
			case n < top:
				want = late
			case n > top:
				want = afterGap
			}
			if got := s.add(n); got != want {
				t.Fatalf("seed %d: number %d after %d: %v, want %v", seed, n, top, got, want)
			}
			come[n], top = true, max(top, n+1)
		}
		if got, want := s.missing(top+3), top+3-uint64(len(come)); got != want {
			t.Fatalf("seed %d: %d missing, want %d", seed, got, want)
		}
	}
}
