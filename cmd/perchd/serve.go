package main

import (
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync/atomic"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/entropy"
	"github.com/perchws/perch/internal/ledger"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/certs"
	"github.com/perchws/perch/internal/server/chat"
	"github.com/perchws/perch/internal/server/config"
	"github.com/perchws/perch/internal/server/echo"
	"github.com/perchws/perch/internal/server/endpoint"
	"github.com/perchws/perch/internal/server/metrics"
	"github.com/perchws/perch/internal/server/web"
	"github.com/perchws/perch/session"
)

// base is the outside of a daemon: tests replace its parts.
type base struct {
	clock    clock.Clock
	entropy  entropy.Source
	sessions session.Async // nil: the daemon keeps them itself
}

func realBase() base { return base{clock: clock.Real(), entropy: entropy.System{}} }

// daemon is a perchd and its parts.
type daemon struct {
	// Immutable after newDaemon.
	base
	cfg      *config.Config
	log      *slog.Logger
	metrics  *metrics.Metrics
	verifier *auth.Verifier
	memory   *session.Memory // the sessions, unless base has another store
	engine   *perch.Server
	chat     *chat.Service
	realm    *endpoint.Realm

	certs   *certs.Files // nil: no TLS, or a self-signed certificate
	reached config.Facts // which listeners other machines reach

	// Atomic: any goroutine.
	draining   atomic.Bool
	metricsKey atomic.Pointer[auth.Secret] // nil: none
}

// newDaemon puts a perchd together. The caller must close it. It does not accept connections before serve. The error
// joins all faults. If checked is set nothing is fetched, made or inherited, and the daemon cannot serve.
func newDaemon(c *config.Config, log *slog.Logger, checked bool, on base) (d *daemon, err error) {
	c.Session.Clock, c.Session.Entropy = on.clock, on.entropy
	d = &daemon{base: on, cfg: c, log: log, metrics: metrics.New(), memory: session.NewMemory(c.Session)}
	var errs []error
	must := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	must(d.resolve(checked))
	pages, err := web.Handler(d.notReady)
	must(err)
	d.verifier, err = newVerifier(c, log, checked, on)
	must(err)
	c.Engine.TLS, d.certs, err = newTLS(c, log)
	must(err)
	must(d.loadMetricsKey())
	d.chat = chat.New(chat.Config{
		Locale: chat.Locale(c.Chat.Locale), Fixed: !c.Chat.Create, MaxMembers: c.Chat.MaxMembers, MaxSends: c.Chat.MaxSends,
		NoChat: !c.Serves("chat"), NoRoom: !c.Serves("room"),
		Rooms: c.Chat.Rooms, Heartbeat: c.Engine.PingInterval, Clock: on.clock, Entropy: on.entropy,
	})
	c.Engine.Reserved = reserved
	c.Engine.HTTP, c.Engine.Logger, c.Engine.Rooms = d.http(pages), log, d.chat.Rooms(c.Engine.Rooms)
	d.engine = perch.New(c.Engine)
	must(d.judge())
	if len(errs) == 0 {
		must(d.engine.Check()) // of what rules do not know
	}
	d.realm = d.newRealm()
	d.metrics.WatchServer(d.engine)
	d.metrics.WatchSessions(d.memory)
	d.metrics.WatchHeld("message_ids", d.chat.Sends)
	d.metrics.WatchHeld("waiting_messages", d.realm.Waiting)
	d.metrics.WatchHeld("histories", func() ledger.Stats {
		s := d.engine.Rooms().Shares()
		return ledger.Stats{Held: s.Bytes, Limit: s.Limit, Keys: s.Payers, Largest: s.Largest}
	})
	must(d.mount())
	if len(errs) > 0 {
		d.close()
		return nil, errors.Join(errs...)
	}
	return d, nil
}

// reserved are the paths that are answered at any load: an orchestrator kills a node that answers 503, even if the
// node is merely full.
var reserved = []string{"/health", "/ready", "/metrics"}

// http serves all requests that are no WebSocket upgrade.
func (d *daemon) http(pages http.Handler) http.Handler {
	mux := http.NewServeMux()
	if d.cfg.Serves("metrics") {
		mux.Handle("GET /metrics", d.publicMetrics())
	}
	if !d.cfg.Serves("chat") {
		mux.Handle("/chat", http.NotFoundHandler())
	}
	if d.cfg.Serves("pages") {
		mux.Handle("/", pages)
	} else {
		mux.Handle("/", web.Probes(d.notReady))
	}
	if d.cfg.Open() {
		return localHTTP(mux)
	}
	return mux
}

// newRealm makes the part that the JSON endpoints share.
func (d *daemon) newRealm() *endpoint.Realm {
	c := endpoint.Config{
		Auth: d.verifier, Required: !d.cfg.Open(), Cookie: d.cfg.Auth.Cookie,
		Remote: d.sessions, Find: d.engine.Find, Clock: d.clock, Entropy: d.entropy,
		CreateRooms: d.cfg.Chat.Create, MaxMembers: d.cfg.Chat.MaxMembers,
		FirstFrame: d.cfg.FirstFrame, MaxErrors: d.cfg.MaxErrors,
		Meter: d.metrics, Log: d.log,
	}
	if d.sessions == nil {
		c.Sessions = d.memory
	}
	if d.cfg.Open() {
		c.Upgrade = localUpgrade
	}
	return endpoint.New(c)
}

// mount mounts every WebSocket endpoint.
func (d *daemon) mount() error {
	e := echo.Handler()
	e.Subprotocols = []string{endpoint.Subprotocol}
	if d.cfg.Open() {
		e = localHandler(e)
	}
	if d.cfg.Serves("ws") {
		d.engine.Handle("/ws", e)
	}
	endpoint.Mount(d.engine, d.realm, d.cfg.Serves)
	if err := d.chat.Mount(d.engine, d.realm); err != nil {
		return d.cfg.Errorf("rooms", "%w", err)
	}
	return nil
}

// serve runs until the first signal on stop, then shuts down. It returns nil when every client was told, or when the
// deadline has ended the wait. A signal that comes later ends it at once, with an error.
func (d *daemon) serve(stop, others <-chan os.Signal) error {
	ln, unlisten, err := listenAdmin(d.cfg)
	if err != nil {
		return err
	}
	defer unlisten()
	if err := d.engine.Start(); err != nil {
		return err
	}
	defer d.serveAdmin(ln)()
	page, try := reachable(d.engine.Addr(), d.cfg.TLS.Enabled())
	d.log.Info("perchd serves", "version", version(), "pid", os.Getpid(), "address", d.engine.Addr().String(), "page", page, "try", try,
		"endpoints", strings.Join(d.cfg.Endpoints, " "), "open_to_all", d.openToAll())

	d.limitMemory()
	defer d.sweep()()
	defer d.listenTo(others)()
	ended := make(chan error, 1)
	go func() { ended <- d.engine.Wait() }()
	select {
	case err := <-ended: // a loop died: do not wait for clients
		return err
	case s := <-stop:
		return d.shutdown(s, later(stop), ended)
	}
}

// listenTo handles signals that do not end perchd, one after the other, until stop is called.
func (d *daemon) listenTo(others <-chan os.Signal) (stop func()) {
	quit := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-others:
				d.heed(s) // files may be slow, but nothing waits for this goroutine
			case <-quit:
				return
			}
		}
	}()
	return func() { close(quit) }
}

// close releases the parts that connections use. No connection is left, or nothing waits for those that are.
func (d *daemon) close() {
	d.realm.Close()
	if d.verifier != nil { // nil: the keys were wrong, or this was only a check
		d.verifier.Close()
	}
}

// notReady returns the reasons why no client should be sent here now.
func (d *daemon) notReady() (reasons []string) {
	if d.draining.Load() {
		reasons = append(reasons, "shutting down")
	}
	if !d.verifier.Ready() {
		reasons = append(reasons, "the key set was not loaded yet")
	}
	return reasons
}
