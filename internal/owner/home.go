package owner

import (
	"sync/atomic"
	"syscall"
)

// Home is the goroutine that something belongs to, checked in every build: a few
// instructions, no system call. The goroutine is locked to its thread, so that what
// runs on the thread but not on the goroutine, a coroutine of iter.Pull, is at home
// too.
type Home struct {
	goroutine atomic.Uintptr // 0: nobody's
	thread    atomic.Int64
}

// Claim makes the calling goroutine the home, until it calls Leave.
func (h *Home) Claim() {
	h.thread.Store(int64(syscall.Gettid()))
	h.goroutine.Store(current())
}

// Leave ends that: a goroutine's place in memory is used again.
func (h *Home) Leave() { h.goroutine.Store(0) }

// Here reports whether the caller is at home; everybody is in what is nobody's.
func (h *Home) Here() bool {
	g := h.goroutine.Load()
	return g == current() || g == 0 || h.sameThread()
}

func (h *Home) sameThread() bool { return h.thread.Load() == int64(syscall.Gettid()) }
