//go:build linux

package perch

import (
	"net"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/entropy"
	"github.com/perchws/perch/internal/simkernel"
	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/internal/spawn"
	"github.com/perchws/perch/room"
)

// Simulated is a server without threads, descriptors and time: its loops stand on a
// simulated kernel, and a test turns them, one tick at a time, on its own goroutine.
type Simulated struct {
	Server  *Server
	pollers []*simkernel.Poller
	spawned []func() // goroutines that are to be run
	ended   []bool   // by loop
}

// Simulate starts a server on m that listens on addr. entropySeed determines all that is
// random in it. The calling goroutine stays locked to its thread until End.
func Simulate(c Config, m *simkernel.Machine, entropySeed uint64, addr netip.AddrPort, routes func(*Server)) (*Simulated, error) {
	s := &Simulated{}
	c.Addr = "-"
	on := seams{
		clock: clock.Clock(m.Clock), entropy: entropy.NewSeeded(entropySeed),
		spawn: &spawn.Spawner{Start: func(_ spawn.Kind, f func()) { s.spawned = append(s.spawned, f) }},
	}
	kernels := make(map[int]*simkernel.Kernel)
	on.kernel = func(loop int) sock.Kernel { return kernels[loop] }
	on.poller = func(loop int, _ bool) (readiness, error) { // asked for before the kernel
		kernels[loop] = m.Kernel(loop)
		p := kernels[loop].Poller()
		s.pollers = append(s.pollers, p)
		return p, nil
	}
	srv := newServer(c, on)
	s.Server = srv
	routes(srv)
	if err := srv.prepare(); err != nil {
		return nil, err
	}
	srv.addr = addr
	public := net.Addr(net.TCPAddrFromAddrPort(addr))
	srv.public.Store(&public)
	var loops []room.Loop
	for i := range srv.cfg.Loops {
		l, err := newLoop(srv, i, srv.maxConnections+srv.overflow+chunkSize)
		if err != nil {
			return nil, err
		}
		srv.loops, loops = append(srv.loops, l), append(loops, roomLoop{l})
	}
	s.ended = make([]bool, len(loops))
	srv.rooms.Attach(loops, &srv.output)
	srv.launched.Store(true)
	runtime.LockOSThread()
	for i, l := range srv.loops {
		l.own.Claim()
		l.thread.tid.Store(int64(unix.Gettid()))
		l.clock()
		l.accepting.spares.replenish(l.kernel)
		if err := l.listen(); err != nil {
			return nil, err
		}
		l.life.running = true
		s.pollers[i].Sleep(l.idle())
	}
	srv.running.Store(true)
	return s, nil
}

// Loops is how many loops there are, and Ended whether all of them have ended.
func (s *Simulated) Loops() int { return len(s.pollers) }

// Ended reports whether all loops have ended.
func (s *Simulated) Ended() bool {
	for _, over := range s.ended {
		if !over {
			return false
		}
	}
	return true
}

// Due is how long loop i sleeps from now on, if nothing else wakes it: 0, it is to be
// turned now; negative, for ever.
func (s *Simulated) Due(i int) time.Duration {
	if s.ended[i] {
		return -1
	}
	return s.pollers[i].Due()
}

// Turn is one tick of loop i, or its end.
func (s *Simulated) Turn(i int) error {
	l := s.Server.loops[i]
	if s.ended[i] {
		return nil
	}
	if err := l.tick(); err != nil {
		return err
	}
	if l.life.stopped {
		l.life.running = false
		l.end()
		l.thread.tid.Store(0)
		s.pollers[i].Close()
		s.ended[i] = true
		return nil
	}
	s.pollers[i].Sleep(l.idle())
	return nil
}

// Run runs the goroutines that were started, and those that they start.
func (s *Simulated) Run() {
	for len(s.spawned) > 0 {
		f := s.spawned[0]
		s.spawned = s.spawned[1:]
		f()
	}
}

// Shutdown is Server.Shutdown, which does not wait here; abort: everything is reset.
func (s *Simulated) Shutdown(abort bool) {
	kind := postShutdown
	if abort {
		kind = postAbort
	}
	s.Server.stopped = true
	s.Server.stopLoops(kind)
}

// Connections is how many connections count.
func (s *Simulated) Connections() int { return int(s.Server.connections.Load()) }

// Close releases what the loops, which have ended, shared.
func (s *Simulated) Close() {
	s.Server.running.Store(false)
	s.Server.endWatch()
	s.Server.rooms.Close()
	s.Run()
	runtime.UnlockOSThread()
}
