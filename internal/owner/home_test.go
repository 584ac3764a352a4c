package owner_test

import (
	"iter"
	"runtime"
	"testing"

	"github.com/perchws/perch/internal/owner"
)

func TestHome(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var h owner.Home
	elsewhere := func() (here bool) {
		done := make(chan bool)
		go func() { done <- h.Here() }()
		return <-done
	}
	if !h.Here() || !elsewhere() {
		t.Error("what is nobody's is refused")
	}
	h.Claim()
	if !h.Here() || elsewhere() {
		t.Errorf("here %t, elsewhere %t", h.Here(), elsewhere())
	}
	deep(100, &h, t) // the stack moves
	next, stop := iter.Pull(func(yield func(bool) bool) { yield(h.Here()) })
	defer stop()
	if here, _ := next(); !here {
		t.Error("a coroutine on the same thread is refused")
	}
	h.Leave()
	if !elsewhere() {
		t.Error("what is nobody's any more is refused")
	}
}

func deep(n int, h *owner.Home, t *testing.T) {
	var big [4096]byte
	if big[n] = byte(n); n > 0 {
		deep(n-1, h, t)
	}
	if !h.Here() {
		t.Error("refused on a stack that has moved")
	}
}

func BenchmarkHere(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var h owner.Home
	h.Claim()
	for b.Loop() {
		if !h.Here() {
			b.Fatal("refused")
		}
	}
}
