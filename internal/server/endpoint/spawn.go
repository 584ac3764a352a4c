package endpoint

import (
	"sync"
	"time"

	"github.com/perchws/perch/internal/spawn"
)

// begun is what runs beside the loops: all of it is begun here, and Close waits for it.
type begun struct {
	spawn spawn.Spawner

	timers sync.WaitGroup // functions of After that run
	mu     sync.Mutex
	closed bool
}

// Spawn runs f on a goroutine of its own: work that would hold up a loop. Any goroutine, not after Close.
func (r *Realm) Spawn(k spawn.Kind, f func()) { r.begun.spawn.Go(k, f) }

// After runs f on a goroutine of its own when so much time has passed, unless the Realm is closed by then. Any
// goroutine.
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

// Close ends what the Realm has begun, and waits for it. Connections are not closed; what would be due later no
// longer happens. It is called when the server is closed.
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
