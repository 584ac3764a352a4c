//go:build linux

package perch

import (
	"container/list"
	"context"
	"log"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/poller"
)

// web answers what is no upgrade with net/http, on the sockets that the loops
// pass to it. It keeps them alive between requests; an upgrade that comes on one
// of them goes back to a loop (see http_takeover.go). They count as connections for
// as long as they live.
type web struct {
	srv    *Server
	server http.Server
	conns  chan net.Conn
	done   chan struct{}
	once   sync.Once
	taking sync.WaitGroup

	// Atomic: any goroutine.
	inside atomic.Int64 // connections, those under way in the passages too

	mu   sync.Mutex
	idle list.List // of *webConn: no request is under way; the longest first
}

func newWeb(srv *Server) *web {
	cfg := &srv.cfg
	w := &web{srv: srv, conns: make(chan net.Conn), done: make(chan struct{})}
	w.server = http.Server{
		Handler:           http.HandlerFunc(w.handle),
		ReadHeaderTimeout: orForever(cfg.HandshakeTimeout),
		IdleTimeout:       orForever(cfg.IdleTimeout),
		MaxHeaderBytes:    cfg.MaxHead, // and net/http's 4 KiB of grace
		ConnState:         w.follow,
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, webConnKey{}, c) },
		ErrorLog:          log.New(httpLog{srv}, "", 0),
	}
	go w.server.Serve(w)
	return w
}

// orForever is a resolved duration for net/http, where 0 is another one's value.
func orForever(d time.Duration) time.Duration {
	if d == 0 {
		return math.MaxInt64 / 4 // it is added to the time
	}
	return d
}

// take receives the sockets of one loop until the loop's end is closed.
func (w *web) take(way *passage) {
	w.taking.Go(func() {
		for {
			fd, c, err := way.receive()
			if err != nil {
				return
			}
			w.serve(fd, c)
		}
	})
}

// serve gives a connection to net/http.
func (w *web) serve(fd int, from leaver) {
	c := &webConn{web: w, head: from.input, key: from.key, peer: from.peer, patience: w.srv.cfg.WriteTimeout}
	err := error(unix.EMFILE)
	if fd >= 0 {
		f := os.NewFile(uintptr(fd), "perch-http")
		c.socket, err = net.FileConn(f)
		c.Conn = c.socket
		f.Close()
	}
	if err == nil && from.wire != nil {
		from.wire.socket, c.Conn = records{c.socket, c}, from.wire.conn
	}
	if err != nil {
		w.srv.often(frequentHTTP, slog.LevelWarn, "HTTP connection lost", slog.String("error", err.Error()))
		c.leave(true)
		return
	}
	select {
	case w.conns <- c:
	case <-w.done:
		c.Close()
	}
}

// handle answers a request: the loops have seen only the first of a connection.
func (w *web) handle(rw http.ResponseWriter, req *http.Request) {
	if c, ok := req.Context().Value(webConnKey{}).(*webConn); ok {
		req.TLS = c.state() // net/http knows of a *tls.Conn alone
	}
	w.srv.ServeHTTP(rw, req)
}

// follow keeps the list of idle connections.
func (w *web) follow(nc net.Conn, state http.ConnState) {
	c, ok := nc.(*webConn)
	if !ok {
		return
	}
	switch state {
	case http.StateIdle:
		c.SetWriteDeadline(time.Time{}) // a handler's was for its own answer
		w.mu.Lock()
		if !c.gone {
			c.place = w.idle.PushBack(c)
			c.idle.Store(true)
		}
		w.mu.Unlock()
	case http.StateActive:
		w.wake(c)
	case http.StateHijacked:
		w.wake(c)
		c.mu.Lock()
		c.patience = 0 // its deadlines are its new owner's
		c.mu.Unlock()
	}
}

// wake takes a connection off the list: something has arrived on it. false: it
// is being closed.
func (w *web) wake(c *webConn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.place != nil {
		w.idle.Remove(c.place)
		c.place = nil
		c.idle.Store(false)
	}
	return !c.gone
}

// makeRoom closes the connection that has been idle longest, if one is. Its
// place is free at once. It may be called on a loop.
func (w *web) makeRoom() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := w.idle.Front()
	if first == nil {
		return false
	}
	c := first.Value.(*webConn)
	c.leaveLocked(true)
	go c.Conn.Close() // not here: the number may mean another socket in a loop's table
	return true
}

// makeRoom ends an idle plain HTTP connection, if there is one, so that another
// connection can take its place.
func (srv *Server) makeRoom() bool { return srv.web != nil && srv.web.makeRoom() }

// Accept, Close and Addr make w the listener of its server.
func (w *web) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (w *web) Close() error {
	w.once.Do(func() { close(w.done) })
	return nil
}

// Addr is the engine's.
func (w *web) Addr() net.Addr { return w.srv.Addr() }

// quiesce ends connections as they become idle, and at once those that are.
func (w *web) quiesce() { w.server.SetKeepAlivesEnabled(false) }

// finish waits for the requests under way until ctx ends, then breaks them off.
// The loops' ends of the pairs are closed: no more requests come.
func (w *web) finish(ctx context.Context) {
	w.taking.Wait()
	w.server.Shutdown(ctx)
	w.server.Close()
	w.Close()
}

// handOff passes the connection to net/http, or lists it until the pair has
// room.
func (l *loop) handOff(i uint32, s *slot, r *Request, b []byte) {
	l.own.Check()
	w := l.srv.web
	if l.life.stopping {
		l.refuseStopping(i, s, r)
		return
	}
	if w.inside.Add(1) > int64(l.srv.cfg.MaxHTTP) && !w.makeRoom() {
		w.inside.Add(-1)
		l.refuseBusy(i, s, r, http.StatusServiceUnavailable, "too many requests under way")
		return
	}
	if len(l.http.kept) == 0 {
		switch e := l.pass(i, s, b); e {
		case 0:
			return
		case unix.EAGAIN, unix.ETOOMANYREFS:
		default:
			w.inside.Add(-1)
			l.fail(i, s, e)
			return
		}
	}
	l.keep(s, b)
	l.setState(s, stateDeciding)
	l.interest(i, s)
	if l.http.kept = append(l.http.kept, l.conn(i, s)); len(l.http.kept) == 1 {
		if err := l.poller.Add(l.http.pair, poller.Token{Slot: pairSlot}, poller.Out); err != nil {
			l.http.kept = l.http.kept[:0]
			w.inside.Add(-1)
			l.fail(i, s, err)
		}
	}
}

// passWaiting goes on with those that the pair had no room for.
func (l *loop) passWaiting() {
	l.own.Check()
	done := 0
	for _, c := range l.http.kept {
		s := l.slab.at(c.slot)
		if s.gen.Load() != c.gen || s.state != stateDeciding { // it has ended meanwhile
			l.srv.web.inside.Add(-1)
		} else if e := l.pass(c.slot, s, l.slab.coldOf(s).in.B); e == unix.EAGAIN || e == unix.ETOOMANYREFS {
			break
		} else if e != 0 {
			l.srv.web.inside.Add(-1)
			l.fail(c.slot, s, e)
		}
		done++
	}
	if l.http.kept = slices.Delete(l.http.kept, 0, done); len(l.http.kept) == 0 {
		l.poller.Del(l.http.pair)
	}
}
