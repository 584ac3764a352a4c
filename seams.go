//go:build linux

package perch

import (
	"time"

	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/entropy"
	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/internal/spawn"
	"github.com/perchws/perch/poller"
)

// seams are what a Server stands on. Tests put others in the place of the real ones:
// there is one way through the engine, with them and without.
type seams struct {
	clock   clock.Clock
	entropy entropy.Source
	spawn   *spawn.Spawner
	kernel  func(loop int) sock.Kernel                     // of the sockets of one loop
	poller  func(loop int, yields bool) (readiness, error) // of one loop; yields: see poller.Poller.Yield
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
		clock:   clock.Real(),
		entropy: entropy.System{},
		spawn:   new(spawn.Spawner),
		kernel:  func(int) sock.Kernel { return sock.System{} },
		poller: func(_ int, yields bool) (readiness, error) {
			p, err := poller.New()
			if err == nil && yields {
				p.Yield()
			}
			return p, err
		},
	}
}

// handshakeKey is a fresh Sec-WebSocket-Key (RFC 6455 §4.1 item 7).
func (srv *Server) handshakeKey() string {
	var nonce [16]byte
	srv.entropy.Fill(nonce[:])
	return handshake.EncodeKey(nonce)
}
