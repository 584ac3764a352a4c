//go:build linux

package perch

import (
	"time"

	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/poller"
)

// seams are what a Server stands on. Tests put others in the place of the real ones:
// there is one way through the engine, with them and without.
type seams struct {
	kernel func(loop int) sock.Kernel                     // of the sockets of one loop
	poller func(loop int, yields bool) (readiness, error) // of one loop; yields: see poller.Poller.Yield
}

// readiness is what a loop asks of its poller: poller.Poller, which says what the
// methods do. All but Wake and Sleeping are called on the loop's thread.
type readiness interface {
	Wait(events []poller.Event, idle func() time.Duration) (int, error)
	Add(fd int, t poller.Token, in poller.Interest) error
	Mod(fd int, t poller.Token, in poller.Interest) error
	Del(fd int) error
	Wake()          // any goroutine
	Sleeping() bool // any goroutine
	Close()
}

// realSeams are those of this machine.
func realSeams() seams {
	return seams{
		kernel: func(int) sock.Kernel { return sock.System{} },
		poller: func(_ int, yields bool) (readiness, error) {
			p, err := poller.New()
			if err == nil && yields {
				p.Yield()
			}
			return p, err
		},
	}
}
