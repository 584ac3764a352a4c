//go:build linux

package perch

import (
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// onThread runs f on a goroutine that is locked to a thread for as long as both
// live: the thread ends with f, and a private descriptor table with the thread.
func onThread(f func()) {
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			f()
			return
		}
		// The runtime never ends the main thread, it parks it: duplicates of its
		// descriptors would stay open for ever. While we hold it here, f gets another.
		done := make(chan struct{})
		onThread(func() {
			defer close(done)
			f()
		})
		<-done
		runtime.UnlockOSThread()
	}()
}

// processors guards the changes of GOMAXPROCS that are ours.
var processors sync.Mutex

// addProcessors gives the scheduler n Ps more, or takes them back. A loop keeps
// its P for as long as it has work, and through short sleeps: with one more for
// each, all that is not a loop has as many as it would have without.
func addProcessors(n int) {
	processors.Lock()
	defer processors.Unlock()
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0)+n, 1))
}
