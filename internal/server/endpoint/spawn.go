package endpoint

import (
	"sync"
	"time"

	"github.com/perchws/perch/internal/spawn"
)

// begun has all that runs beside the loops: it is begun here, and Close waits for it.
type begun struct {
	spawn spawn.Spawner

	timers sync.WaitGroup // running functions of After
	mu     sync.Mutex
	closed bool
}

// Spawn runs f on a goroutine of its own: f would block a loop. Any goroutine may call it, but not after Close.
func (r *Realm) Spawn(k spawn.Kind, f func()) { r.begun.spawn.Go(k, f) }

// After runs f on a goroutine of its own after the time d, unless the Realm is closed by then. Any goroutine may call
// it.
func (r *Realm) After(d time.Duration, f func()) {
	r.cfg.Clock.AfterFunc(d, func() {
		if r.begun.enter() {
			defer r.begun.timers.Done()
			f()
		}
	})
}

func (b *begun) enter() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.timers.Add(1)
	}
	return !b.closed
}

// Close ends all that the Realm has begun, and waits for it. It closes no connection, and later alarms do not ring.
// Call it when the server is closed.
func (r *Realm) Close() {
	r.expiries.close()
	r.deadlines.close()
	r.begun.mu.Lock()
	r.begun.closed = true
	r.begun.mu.Unlock()
	r.begun.timers.Wait()
	for k := range spawn.Kinds {
		<-r.begun.spawn.Gone(k)
	}
}
