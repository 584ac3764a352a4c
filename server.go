//go:build linux

package perch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/entropy"
	"github.com/perchws/perch/internal/limit"
	"github.com/perchws/perch/internal/procs"
	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/internal/spawn"
	"github.com/perchws/perch/pool"
	"github.com/perchws/perch/room"
)

// Server is an engine: its loops, its routes and its limits. Make one with New.
type Server struct {
	seams // immutable

	// Immutable after Start.
	cfg      Config
	bad      error // of the configuration
	log      *slog.Logger
	ctx      context.Context
	epoch    uint64   // of the IDs
	pings    [16]byte // a key: a payload that it has signed is our own, see signPing
	period   int64    // ns between the sweeps of a loop, at most
	overflow int      // connections over a limit that each loop holds
	routing  routing
	loops    []*loop
	addr     netip.AddrPort  // of the loops' own listeners
	shared   *sharedListener // or one for all of them; nil: none
	rooms    *room.Hub
	workers  *pool.Workers   // nil without blocking handlers
	web      *web            // nil without Config.HTTP
	tls      *tls.Config     // nil: no TLS
	patience context.Context // ends when Shutdown waits no longer for plain HTTP requests
	hurry    context.CancelFunc
	ended    chan struct{}
	err      error // of the first loop that failed; read after ended

	// Atomic: any goroutine.
	running  atomic.Bool
	launched atomic.Bool              // loops are there to be asked
	public   atomic.Pointer[net.Addr] // nil: Start has not listened
	refusing atomic.Int64             // connections over a limit that are held to be told so: see limits_overflow.go
	nextDial atomic.Uint32
	// by the end of Shutdown's context; before it, because they took nothing
	cut, late cutCount
	outside   struct{ refused, bad, panics atomic.Uint64 } // upgrades answered outside of the loops, for Stats

	// Locked by themselves.
	admission
	output           account      // what waits to be sent, and what is on its way to loops
	input            atomic.Int64 // bytes kept of what peers have sent, as the loops have reported them
	table            routeTable
	turns, dialTurns *tlsTurns       // of TLS handshakes, as a server and as a client
	overRate         *limit.Arrivals // of TLS handshakes of connections over a limit
	reserved         map[string]*reservedPath
	refusals         refusals
	frequent, slow   *tally // of lines in the log

	dog   watchdog
	lines logQueue

	mu      sync.Mutex // guards starting and stopping, and table.free
	started bool
	attempt *attempt
	stopped bool // by Shutdown or Close, perhaps before Start
}

// New makes a Server. Faults of c are reported by Start.
func New(c Config) *Server { return newServer(c, realSeams()) }

func newServer(c Config, on seams) *Server {
	srv := &Server{seams: on, ctx: context.Background(), ended: make(chan struct{}), attempt: newAttempt()}
	srv.lines.clock, srv.lines.spawn = srv.clock, srv.spawn
	srv.patience, srv.hurry = context.WithCancel(context.Background())
	srv.cfg, srv.bad = c.withDefaults()
	srv.output.total, srv.output.each = srv.cfg.MaxOutputTotal, srv.cfg.MaxOutput
	srv.log = slog.New(logHandler{&srv.lines, srv.cfg.Logger.Handler()})
	srv.tls = srv.cfg.TLS
	srv.turns, srv.dialTurns = newTLSTurns(srv.cfg.MaxTLSHandshakes), newTLSTurns(srv.cfg.MaxTLSHandshakes)
	if most := srv.cfg.NewConnectionsPerSecond; srv.bad == nil {
		seed := [2]uint64{entropy.Uint64(srv.entropy), entropy.Uint64(srv.entropy)}
		srv.perAddress = int64(srv.cfg.MaxConnectionsPerIP)
		srv.arrivals = limit.NewArrivals(most, srv.cfg.NewConnectionsPerIP, seed)
		srv.overRate = limit.NewArrivals(max(most/2, 2*overRateLeast), max(most/10, overRateLeast), seed)
	}
	srv.reserved = reservedPaths(srv)
	told := srv.cfg.Rooms.Panicked
	srv.cfg.Rooms.Panicked = func(function string, v any) {
		srv.outside.panics.Add(1)
		defer srv.notePanic("function of the rooms panicked: "+function, "", v)
		if told != nil {
			told(function, v)
		}
	}
	srv.refusals, srv.frequent, srv.slow = newRefusals(srv), newFrequent(srv), newSlow(srv)
	if rooms := &srv.cfg.Rooms; rooms.Clock == nil {
		rooms.Clock = srv.clock
	}
	if rooms := &srv.cfg.Rooms; rooms.Entropy == nil {
		rooms.Entropy = srv.entropy
	}
	srv.rooms = room.New(srv.cfg.Rooms)
	srv.routing = routing{literal: make(map[string]*Route), mux: http.NewServeMux()}
	srv.epoch = entropy.Uint64(srv.entropy)
	srv.entropy.Fill(srv.pings[:])
	srv.table.routes.Store(&[]*Route{{srv: srv}}) // index 0: not routed yet
	return srv
}

// Check is the error that Start would return because of the configuration, or nil:
// for programs that check one without serving.
func (srv *Server) Check() error { return srv.bad }

// Handle serves the WebSocket connections of a pattern, in the syntax of
// [http.ServeMux]. It panics if the pattern or the settings are bad, or if the
// server is started.
func (srv *Server) Handle(pattern string, h Handler) *Route {
	r := srv.mustRoute(pattern, h.Settings)
	r.handle(h)
	return r
}

// HandleBlocking is Handle for handlers that run on the worker pool.
func (srv *Server) HandleBlocking(pattern string, h BlockingHandler) *Route {
	r := srv.mustRoute(pattern, h.Settings)
	r.block(h)
	return r
}

// Route makes a route without a pattern of its own: for use as an http.Handler,
// or with Route.Upgrade, in a net/http server (see there). What Handle and
// HandleBlocking return can be used so as well. It panics as Handle does.
func (srv *Server) Route(h Handler) *Route {
	r := srv.mustRoute(noPattern, h.Settings)
	r.handle(h)
	return r
}

// RouteBlocking is Route for handlers that run on the worker pool.
func (srv *Server) RouteBlocking(h BlockingHandler) *Route {
	r := srv.mustRoute(noPattern, h.Settings)
	r.block(h)
	return r
}

// noPattern is what no mux would take.
const noPattern = "no pattern"

func (srv *Server) mustRoute(pattern string, s Settings) *Route {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.started {
		panic("perch: Handle after Start")
	}
	r, err := newRoute(srv, s)
	if err != nil && srv.bad == nil {
		panic(fmt.Sprintf("perch: %s: %v", pattern, err))
	}
	if r == nil { // Start will report the configuration
		r = &Route{srv: srv}
	}
	if pattern != noPattern {
		srv.routing.add(pattern, r)
	}
	if !srv.addRoute(r) {
		panic(fmt.Sprintf("perch: %s: there are %d routes already", pattern, maxRoutes))
	}
	return r
}

// addRoute gives r its index; false: a slot can tell no more of them apart. srv.mu
// is held.
func (srv *Server) addRoute(r *Route) bool {
	routes := *srv.table.routes.Load()
	if n := len(srv.table.free); n > 0 {
		r.index = srv.table.free[n-1]
		srv.table.free = srv.table.free[:n-1]
		routes[r.index] = r // nobody reads this place: its connection is reaped
		return true
	}
	if len(routes) >= maxRoutes {
		return false
	}
	r.index = uint32(len(routes))
	routes = append(routes, r)
	srv.table.routes.Store(&routes)
	return true
}

// route is the route of an index in use.
func (srv *Server) route(i uint32) *Route { return (*srv.table.routes.Load())[i] }

// dialRoute makes the route of one dialled connection.
func (srv *Server) dialRoute(h Handler) (*Route, error) {
	h.Rate = h.Rate.orNone() // Config's is for clients of ours
	r, err := newRoute(srv, h.Settings)
	if err != nil {
		return nil, err
	}
	r.handle(h)
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if !srv.addRoute(r) {
		return nil, because(ErrDial, ErrOverloaded)
	}
	return r, nil
}

// releaseRoute lets the index of a dialled connection be used again.
func (srv *Server) releaseRoute(i uint32) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.table.free = append(srv.table.free, i)
}

// prepare does what comes before the loops.
func (srv *Server) prepare() error {
	if err := sock.Prepare(); err != nil {
		return err
	}
	var err error
	if srv.shared, err = shareListener(&srv.cfg); err != nil {
		return err
	}
	if srv.shared == nil && srv.cfg.Addr != "-" {
		a, err := net.ResolveTCPAddr("tcp", srv.cfg.Addr)
		if err != nil {
			return err
		}
		if srv.addr, err = freeAddr(a); err != nil {
			return err
		}
	}
	srv.plan()
	if !srv.cfg.PrivateFDs {
		n := srv.cfg.Loops
		sock.GrowTable(srv.maxConnections + sharedReserve(n, n*(srv.overflow+sparesKept), math.MaxInt))
	}
	srv.period = srv.shortest()
	anyOrigin := false
	for _, r := range *srv.table.routes.Load() {
		if r.blocking != nil {
			if srv.workers == nil {
				srv.workers = pool.NewWorkersBy(func(f func()) { srv.spawn.Go(spawn.Worker, f) }, srv.cfg.Workers, 64*srv.cfg.Workers)
			}
			srv.workers.Open(r.index)
		}
		anyOrigin = anyOrigin || slices.Contains(r.settings.Origins, "*")
	}
	if anyOrigin {
		srv.log.LogAttrs(srv.ctx, slog.LevelWarn, "every origin is allowed: any web page may connect with its visitor's cookies")
	}
	if srv.cfg.HTTP != nil {
		srv.web = newWeb(srv)
	}
	return nil
}

// shortest is the period of the sweeps that the times of all connections ask for.
// Those of a route count while it has connections: see loop.hasten.
func (srv *Server) shortest() int64 {
	period := int64(maxSweep)
	c := &srv.cfg
	for _, d := range []time.Duration{c.HandshakeTimeout, c.MessageTimeout, c.CloseTimeout, c.WriteTimeout} {
		if d != 0 {
			period = min(period, sweepPeriod(d))
		}
	}
	return period
}

// freeAddr finds out whether the address is free: loops share the port, but a second
// server must not. It also picks the port if it is 0, and the family if there is no
// host: all addresses, of IPv4 alone where there is no IPv6.
func freeAddr(a *net.TCPAddr) (netip.AddrPort, error) {
	hosts := []netip.Addr{a.AddrPort().Addr().Unmap()}
	if !hosts[0].IsValid() {
		hosts = []netip.Addr{netip.IPv6Unspecified(), netip.IPv4Unspecified()}
	}
	var err error
	for _, host := range hosts {
		var fd int
		if fd, err = sock.Listen(netip.AddrPortFrom(host, uint16(a.Port)), false); err == nil {
			defer unix.Close(fd)
			return sock.LocalAddr(fd), nil
		}
		if !errors.Is(err, unix.EAFNOSUPPORT) && !errors.Is(err, unix.EADDRNOTAVAIL) {
			break
		}
	}
	return netip.AddrPort{}, err
}

// launch starts the loops, then opens their listeners together.
func (srv *Server) launch() error {
	n := srv.cfg.Loops
	if srv.shared != nil {
		srv.shared.users.Store(int32(n))
	}
	for i := range n {
		l, err := newLoop(srv, i, srv.maxConnections+srv.overflow+chunkSize)
		if err != nil {
			srv.release()
			return err
		}
		l.intake.even = srv.cfg.MaxInputTotal / int64(n)
		srv.loops = append(srv.loops, l)
	}
	loops := make([]room.Loop, n)
	for i, l := range srv.loops {
		loops[i] = roomLoop{l}
	}
	srv.rooms.Attach(loops, &srv.output)
	srv.launched.Store(true)
	for _, l := range srv.loops { // now that all are there: HTTP handlers may ask for Stats
		var err error
		if l.http.way, l.http.pair, err = openPassage(); err != nil {
			srv.release()
			return err
		}
		if srv.web != nil {
			srv.web.serve(l.http.way)
		}
	}
	if !srv.cfg.KeepGOMAXPROCS {
		procs.Add(n)
	}
	up, listen, ready := make(chan error, n), make(chan bool), make(chan error, n)
	var down sync.WaitGroup
	for _, l := range srv.loops {
		down.Add(1)
		onThread(srv.spawn, func() { srv.host(l, up, listen, ready, down.Done) })
	}
	srv.spawn.Go(spawn.End, func() { srv.wait(&down) })
	err := gather(up, n)
	if err != nil {
		close(listen)
		return err
	}
	addr := srv.listens()
	srv.public.Store(&addr) // callbacks may ask
	for range n {
		listen <- true
	}
	close(listen)
	if err := gather(ready, n); err != nil {
		return err
	}
	srv.running.Store(true)
	return nil
}

func gather(from chan error, n int) error {
	var all []error
	for range n {
		all = append(all, <-from)
	}
	return errors.Join(all...)
}

// loopFailed ends the server because a loop cannot go on.
func (srv *Server) loopFailed(l *loop, err error) {
	srv.mu.Lock()
	srv.err = errors.Join(srv.err, err)
	srv.mu.Unlock()
	srv.hurry()
	srv.stopLoops(postAbort)
	srv.log.LogAttrs(srv.ctx, slog.LevelError, "loop ended", slog.Int("loop", l.id), slog.String("error", err.Error()))
}
