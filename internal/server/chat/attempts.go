package chat

import (
	"sync"

	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/room"
)

// attempts bounds how many wrong passwords are tried on a room, by all connections together: a limit for each
// connection would not help if every try came from a new one. Any goroutine may call the methods.
type attempts interface {
	// may calls answer, during the call or later, with whether another password may be tried on the room.
	may(r *room.Room, answer func(may bool, err error))
	// failed counts a wrong password. It does not wait.
	failed(r *room.Room)
}

// localAttempts counts the attempts in this process.
type localAttempts struct {
	clock clock.Clock

	mu       sync.Mutex
	failures map[*room.Room]*protocol.Budget
}

func newAttempts(c clock.Clock) *localAttempts {
	return &localAttempts{clock: c, failures: make(map[*room.Room]*protocol.Budget)}
}

func (a *localAttempts) may(r *room.Room, answer func(bool, error)) { answer(a.mayTry(r), nil) }

func (a *localAttempts) mayTry(r *room.Room) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.failures[r]
	if b == nil {
		return true
	}
	again := *b
	return again.Take(a.clock.Now(), maxFailures)
}

func (a *localAttempts) failed(r *room.Room) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.failures) > 1024 { // forget those of deleted rooms
		for r := range a.failures {
			if r.Closed() {
				delete(a.failures, r)
			}
		}
	}
	if a.failures[r] == nil {
		a.failures[r] = new(protocol.Budget)
	}
	a.failures[r].Take(a.clock.Now(), maxFailures)
}
