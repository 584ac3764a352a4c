//go:build linux

package perch

import (
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/internal/spawn"
)

// onThread runs f on a goroutine that is locked to a thread for as long as both
// live: the thread ends with f, and a private descriptor table with the thread.
func onThread(spawner *spawn.Spawner, f func()) {
	spawner.Go(spawn.Loop, func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			f()
			return
		}
		// The runtime never ends the main thread, it parks it: duplicates of its
		// descriptors would stay open for ever. While we hold it here, f gets another.
		done := make(chan struct{})
		onThread(spawner, func() {
			defer close(done)
			f()
		})
		<-done
		runtime.UnlockOSThread()
	})
}

// host is the goroutine of one loop, on a thread of its own. over is called when the
// loop has ended.
func (srv *Server) host(l *loop, up chan<- error, listen <-chan bool, ready chan<- error, over func()) {
	l.moveIn()
	var err error
	if srv.cfg.PrivateFDs {
		err = sock.PrivateTable(l.http.pair)
	}
	up <- err
	if <-listen && err == nil {
		l.clock()
		l.accepting.spares.replenish(l.kernel)
		err = l.listen()
		l.life.running = err == nil
		ready <- err
	}
	srv.drive(l, over)
}

// maxUnwound is how many callbacks may call runtime.Goexit on one loop with a private
// table: the values that each of them has on the stack stay there.
const maxUnwound = 10_000

// drive turns a loop until its end. A callback that calls runtime.Goexit ends the
// goroutine, which cannot be helped, and the thread with it. The loop, which is whole,
// goes on on another; where the thread has the descriptors, it goes on in the deferred
// call, which may take as long as it likes.
func (srv *Server) drive(l *loop, over func()) {
	returned := false
	defer func() {
		if p := recover(); p != nil { // a fault of ours
			panic(p)
		}
		l.thread.home.Leave()
		switch {
		case returned:
			l.thread.tid.Store(0)
			over()
		case srv.cfg.PrivateFDs:
			l.calling.unwound++
			srv.drive(l, over)
		default:
			onThread(srv.spawn, func() { srv.drive(l, over) })
		}
	}()
	l.moveIn()
	if l.life.running {
		err := l.run()
		l.life.running = false
		if err != nil {
			srv.loopFailed(l, err)
		}
	}
	l.end()
	returned = true
}

// moveIn makes the calling goroutine, which is locked to its thread, the loop's.
func (l *loop) moveIn() {
	l.thread.tid.Store(int64(unix.Gettid()))
	l.visible.watched.goroutine.Store(goroutineID())
	l.own.Claim()
	l.thread.home.Claim()
}
