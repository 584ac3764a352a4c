// Package procs gives the scheduler more Ps while event loops run.
//
// A loop keeps its P for as long as it has work, and through short sleeps: with one
// more for each, all that is not a loop has as many as it would have without loops.
// How many those are is the Go runtime's decision, by CPUs, affinity and cgroup, or
// the user's. To set GOMAXPROCS ends the runtime's own updates of it, so they are made
// here while loops run, and given back afterwards.
//
// GOMAXPROCS is the process's, so this package has state for the process.
package procs

import (
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// interval is the time between two looks for a change of what the runtime would
// decide by.
var interval = 10 * time.Second

var state struct {
	mu     sync.Mutex
	added  int           // Ps that were added and not taken back
	base   int           // GOMAXPROCS without them
	follow bool          // base is the runtime's decision, and not the user's
	stop   chan struct{} // ends the watch; nil: there is none
	over   chan struct{} // the watch has ended
}

// Available is how many Ps there are, without those that were added: what Go's runtime
// has decided, or the user has set. Any goroutine.
func Available() int {
	state.mu.Lock()
	defer state.mu.Unlock()
	return available()
}

func available() int { return max(runtime.GOMAXPROCS(0)-state.added, 1) }

// Add gives the scheduler n Ps more, or takes back -n of those it was given. Any
// goroutine.
func Add(n int) {
	state.mu.Lock()
	first := state.added == 0
	if first {
		state.base = runtime.GOMAXPROCS(0)
		state.follow = decided(state.base)
	} else if !undisturbed() {
		state.base, state.follow = available(), false
	}
	state.added += n
	var ended chan struct{}
	switch {
	case state.added == 0 && state.follow:
		runtime.SetDefaultGOMAXPROCS() // and the runtime's updates go on
	default:
		runtime.GOMAXPROCS(state.base + state.added)
	}
	switch {
	case state.added == 0 && state.stop != nil:
		close(state.stop)
		ended, state.stop = state.over, nil
	case state.added > 0 && state.follow && state.stop == nil:
		state.stop, state.over = make(chan struct{}), make(chan struct{})
		go watch(limits("/"), state.stop, state.over)
	}
	state.mu.Unlock()
	if ended != nil {
		<-ended
	}
}

// undisturbed reports that nobody else has set GOMAXPROCS since we did.
func undisturbed() bool { return runtime.GOMAXPROCS(0) == state.base+state.added }

// decided reports whether n is the runtime's decision: a number that the user
// has set must stay.
func decided(n int) bool {
	if set, err := strconv.Atoi(os.Getenv("GOMAXPROCS")); err == nil && set > 0 {
		return false
	}
	runtime.SetDefaultGOMAXPROCS()
	return runtime.GOMAXPROCS(0) == n
}

// watch follows the runtime's decision. To ask for it stops the world twice, so it is
// asked only when something has changed since last.
func watch(last string, stop, over chan struct{}) {
	defer close(over)
	for tick := time.NewTicker(interval); ; {
		select {
		case <-stop:
			tick.Stop()
			return
		case <-tick.C:
		}
		now := limits("/")
		if now == last {
			continue
		}
		last = now
		state.mu.Lock()
		if state.stop == stop && state.follow && undisturbed() {
			runtime.SetDefaultGOMAXPROCS()
			state.base = runtime.GOMAXPROCS(0)
			runtime.GOMAXPROCS(state.base + state.added)
		}
		state.mu.Unlock()
	}
}
