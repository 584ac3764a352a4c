//go:build linux

package perch

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/closing"
	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

func TestMain(m *testing.M) { wstest.Main(m) }

// driven is a loop without a goroutine: the test turns it tick by tick on its
// own thread and moves its clock, so that nothing depends on time.
type driven struct {
	t   testing.TB
	srv *Server
	l   *loop

	clock *testClock
}

// drive makes a loop of a server that has no listener.
func drive(t testing.TB, cfg Config, routes func(*Server)) *driven {
	t.Helper()
	cfg.Addr, cfg.Loops = "-", 1
	if cfg.MaxConnections == 0 {
		cfg.MaxConnections = 64
	}
	on := realSeams()
	moved := &testClock{Clock: on.clock}
	on.clock = moved
	srv := newServer(cfg, on)
	routes(srv)
	if err := srv.prepare(); err != nil {
		t.Fatal(err)
	}
	l, err := newLoop(srv, 0, srv.maxConnections+chunkSize)
	if err != nil {
		t.Fatal(err)
	}
	srv.loops = []*loop{l}
	srv.launched.Store(true)
	srv.rooms.Attach([]room.Loop{roomLoop{l}}, &srv.output)
	srv.running.Store(true)
	srv.launched.Store(true)
	runtime.LockOSThread()
	l.own.Claim()
	l.thread.tid.Store(int64(unix.Gettid()))
	l.clock()
	t.Cleanup(func() {
		l.end()
		srv.endWatch()
		l.poller.Close()
		srv.rooms.Close()
		if srv.workers != nil {
			srv.workers.Close()
		}
		runtime.UnlockOSThread()
	})
	return &driven{t: t, srv: srv, l: l, clock: moved}
}

// turn is one tick that does not sleep.
func (d *driven) turn() {
	d.t.Helper()
	d.l.put(post{kind: postSpace}, nil) // asks for nothing, and keeps Wait awake
	if err := d.l.tick(); err != nil {
		d.t.Fatal(err)
	}
}

// turns is n ticks.
func (d *driven) turns(n int) {
	d.t.Helper()
	for range n {
		d.turn()
	}
}

// pass lets time pass, in one piece.
func (d *driven) pass(t time.Duration) { d.clock.passed.Add(int64(t)) }

// freeze stops the real time: only pass lets any pass from now on.
func (d *driven) freeze() *driven {
	d.clock.frozen.Store(d.clock.Clock.Now())
	return d
}

// testClock is the real clock, but for the time that the test lets pass.
type testClock struct {
	clock.Clock
	passed atomic.Int64
	frozen atomic.Int64 // the moment at which real time has stopped; 0: it goes on
}

// Now implements clock.Clock.
func (c *testClock) Now() int64 {
	if at := c.frozen.Load(); at != 0 {
		return at + c.passed.Load()
	}
	return c.Clock.Now() + c.passed.Load()
}

// audience is a room that every connection open now is in.
func (d *driven) audience() *room.Room {
	d.t.Helper()
	r, err := d.srv.rooms.Create("audience", room.Options{})
	if err != nil {
		d.t.Fatal(err)
	}
	d.l.each(func(i uint32, s *slot) {
		if _, err := d.l.conn(i, s).Join(r, room.JoinOptions{}); err != nil {
			d.t.Fatal(err)
		}
	})
	d.turn()
	return r
}

// pair is a connection of stream sockets.
func pair(t testing.TB) [2]int {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fds
}

// peer is the other end of a connection of a driven loop.
type peer struct {
	d    *driven
	fd   int
	slot uint32
	gen  uint32
	got  []byte
	eof  bool
	err  unix.Errno
}

// join gives the loop a new connection, on which nothing is said yet. room is
// the size of its send buffer, 0: the system's.
func (d *driven) join(room int) *peer {
	d.t.Helper()
	fds := pair(d.t)
	if room > 0 {
		unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_SNDBUF, room)
	}
	d.srv.connections.Add(1)
	i, s, err := d.l.adopt(fds[0], closing.Accepted, flagIn)
	if err != nil {
		d.t.Fatal(err)
	}
	p := &peer{d: d, fd: fds[1], slot: i, gen: s.gen.Load()}
	d.t.Cleanup(p.close)
	return p
}

// open is join and the upgrade of /ws. headers are further lines of the request.
func (d *driven) open(room int, headers ...string) *peer {
	d.t.Helper()
	p := d.join(room)
	p.send(wstest.Request("test", "/ws", headers...))
	wstest.Eventually(d.t, "the connection is open and idle", func() bool {
		d.turn()
		return p.state() == stateOpen && d.l.slab.at(p.slot).cold == 0
	})
	p.read()
	n := len(p.got)
	for i := range p.got {
		if string(p.got[i:min(i+4, n)]) == "\r\n\r\n" {
			p.got = p.got[i+4:]
			break
		}
	}
	if len(p.got) == n || p.state() != stateOpen {
		d.t.Fatalf("not open: %q", p.got)
	}
	return p
}

// state is the connection's; free when it is gone.
func (p *peer) state() connState {
	if s := p.d.l.slab.at(p.slot); s.gen.Load() == p.gen {
		return s.state
	}
	return stateFree
}

// conn is the connection as a callback would get it.
func (p *peer) conn() Conn { return Conn{p.d.l, p.slot, p.gen} }

// send writes what there is room for.
func (p *peer) send(b []byte) {
	for p.fd >= 0 && len(b) > 0 {
		n, e := sock.Send(p.fd, b)
		if e != 0 {
			return
		}
		b = b[n:]
	}
}

// frame sends a masked frame.
func (p *peer) frame(op Opcode, b []byte) { p.send(frame.AppendMaskedFrame(nil, op, b, 0x01020304)) }

// read takes what has arrived.
func (p *peer) read() {
	for p.fd >= 0 && !p.eof && p.err == 0 {
		var buf [8192]byte
		n, e := sock.Recv(p.fd, buf[:])
		switch {
		case e == unix.EAGAIN:
			return
		case e != 0:
			p.err = e
		case n == 0:
			p.eof = true
		default:
			p.got = append(p.got, buf[:n]...)
		}
	}
}

// next takes one frame out of what was read; ok is false if there is no whole one.
func (p *peer) next() (h frame.Header, payload []byte, ok bool) {
	p.d.t.Helper()
	h, n, err := frame.ParseHeader(p.got)
	if err != nil {
		p.d.t.Fatalf("the peer reads %.20q: %v", p.got, err)
	}
	if n == 0 || len(p.got) < n+int(h.Length) {
		return h, nil, false
	}
	payload = p.got[n : n+int(h.Length)]
	p.got = p.got[n+int(h.Length):]
	return h, payload, true
}

// close closes the peer's end.
func (p *peer) close() {
	if p.fd >= 0 {
		sock.Close(p.fd)
		p.fd = -1
	}
}

// gone fails the test unless nothing at all is left of any connection.
func (d *driven) gone() {
	d.t.Helper()
	t := &d.l.slab
	var all Stats = d.l.stats
	switch {
	case t.live != 0 || t.free != t.made:
		d.t.Errorf("%d slots are live, %d of %d free", t.live, t.free, t.made)
	case len(t.spare)+len(t.bare) != len(t.colds.all)-1:
		d.t.Errorf("%d of %d cold parts are spare", len(t.spare)+len(t.bare), len(t.colds.all)-1)
	case d.l.outgoing.queued != 0 || d.srv.output.queued.Load() != 0:
		d.t.Errorf("%d bytes are queued, %d in all", d.l.outgoing.queued, d.srv.output.queued.Load())
	case d.srv.connections.Load() != 0:
		d.t.Errorf("%d connections are counted", d.srv.connections.Load())
	case all.Opened != all.Closed:
		d.t.Errorf("%d opened, %d closed", all.Opened, all.Closed)
	}
}
