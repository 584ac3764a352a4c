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
	"sync"
	"sync/atomic"
	"time"

	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/internal/ledger"
	"github.com/perchws/perch/internal/limit"
	"github.com/perchws/perch/internal/spawn"
	"golang.org/x/sys/unix"
)

// web answers plain HTTP requests with net/http, on the sockets that the loops pass to it. It keeps the connections
// alive between requests; an upgrade on one of them goes back to a loop (see http_takeover.go). They count as
// connections as long as they live.
type web struct {
	srv    *Server
	server http.Server

	// Atomic: any goroutine.
	inside atomic.Int64  // connections, also those on their way in the passages
	pushed atomic.Uint64 // connections that were closed in the middle of a request, to make room

	mu      sync.Mutex
	idle    list.List // of *webConn: no request is under way; the longest first
	stalled list.List // of *webConn: the peer neither takes nor sends what is its turn; the longest first
	shares  map[limit.Address]*webShare
	places  *ledger.Pool[*webShare]
}

func newWeb(srv *Server) *web {
	cfg := &srv.cfg
	w := &web{srv: srv, shares: make(map[limit.Address]*webShare), places: ledger.NewPool[*webShare](-1)}
	w.server = http.Server{
		Handler:           srv,
		ReadHeaderTimeout: orForever(cfg.HandshakeTimeout),
		IdleTimeout:       orForever(cfg.IdleTimeout),
		MaxHeaderBytes:    cfg.MaxHead, // net/http adds 4 KiB
		ConnState:         w.noteState,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, webConnKey{}, c)
		},
		ErrorLog: log.New(httpLog{srv}, "", 0),
	}
	return w
}

// orForever is a resolved duration for net/http, where 0 would mean that another field counts.
func orForever(d time.Duration) time.Duration {
	if d == 0 {
		return math.MaxInt64 / 4 // so that adding it to the time does not overflow
	}
	return d
}

// serve lets net/http serve the sockets of one loop until the loop's end of the pair is closed.
func (w *web) serve(way *passage) {
	w.srv.spawn.Go(spawn.Passage, func() { w.server.Serve(webListener{w, way}) })
}

// webListener gives net/http the sockets of one loop.
type webListener struct {
	web *web
	way *passage
}

// Accept implements net.Listener. It skips connections that are lost on their way.
func (ln webListener) Accept() (net.Conn, error) {
	for {
		fd, from, err := ln.way.receive()
		if err != nil {
			return nil, err
		}
		if c := ln.web.open(fd, from); c != nil {
			return c, nil
		}
	}
}

// Close implements net.Listener. It does nothing: the loop closes its end of the pair when no more requests can come.
func (webListener) Close() error { return nil }

// Addr implements net.Listener: it is the engine's address.
func (ln webListener) Addr() net.Addr { return ln.web.srv.Addr() }

// open makes the connection of a socket that a loop has passed; nil: it is lost. fd is ours, and is closed here: the
// connection has a copy of it.
func (w *web) open(fd int, from handoff) net.Conn {
	c := &webConn{
		web: w, key: from.key, from: from.from, peer: from.peer, patience: w.srv.cfg.WriteTimeout,
		ahead: from.input, requests: handshake.Requests{Limits: w.srv.cfg.heads()},
	}
	err := error(unix.EMFILE)
	if fd >= 0 {
		f := os.NewFile(uintptr(fd), "perch-http")
		c.socket, err = net.FileConn(f)
		f.Close()
	}
	if err != nil {
		w.srv.often(frequentHTTP, slog.LevelWarn, "HTTP connection lost", slog.String("error", err.Error()))
		c.unlist(true)
		return nil
	}
	c.Conn = c.socket
	if from.tls != nil {
		from.tls.ToSocket(records{c.socket, c}, from.unsent)
		c.Conn = from.tls.conn
	}
	w.mu.Lock()
	c.placeIn(&w.shares[c.from].active)
	w.mu.Unlock()
	return c
}

// quiesce closes idle connections now, and the others as they become idle.
func (w *web) quiesce() { w.server.SetKeepAlivesEnabled(false) }

// finish waits for the requests under way until ctx ends, then breaks them off. The loops' ends of the pairs are
// closed, so no more requests come.
func (w *web) finish(ctx context.Context) {
	<-w.srv.spawn.Gone(spawn.Passage)
	w.server.Shutdown(ctx)
	w.server.Close()
}
