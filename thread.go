//go:build linux

package perch

import (
	"runtime"

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
