// Package admin is perchd's listener for its operators, apart from that for clients: it runs on goroutines, not on
// event loops, and its connections do not count for the limits. So it answers even if there are very many clients, or
// a loop is blocked.
package admin

import (
	"container/list"
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// MaxConnections is how many connections are open at a time. One more takes the place of the one that has been idle
// longest, or, if none is idle, of the oldest.
const MaxConnections = 64

const (
	headTimeout  = 5 * time.Second
	idleTimeout  = 75 * time.Second
	writeTimeout = 30 * time.Second
	maxHead      = 8 << 10
)

// Server answers requests on a listener. Make one with Serve.
type Server struct {
	server http.Server
	done   chan struct{}

	mu    sync.Mutex
	open  map[net.Conn]*list.Element
	conns list.List // of *conn: the first is the first to be closed
}

type conn struct {
	net.Conn
	idle bool
}

// Serve answers requests on ln with h until Close. Errors of net/http are logged as warnings.
func Serve(ln net.Listener, h http.Handler, log *slog.Logger) *Server {
	s := &Server{done: make(chan struct{}), open: make(map[net.Conn]*list.Element)}
	s.server = http.Server{
		Handler:           h,
		ReadHeaderTimeout: headTimeout, ReadTimeout: headTimeout, IdleTimeout: idleTimeout, WriteTimeout: writeTimeout,
		MaxHeaderBytes: maxHead,
		ConnState:      s.follow,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	go func() {
		defer close(s.done)
		if err := s.server.Serve(ln); err != http.ErrServerClosed {
			log.Error("the admin listener failed", "address", ln.Addr().String(), "error", err)
		}
	}()
	return s
}

// follow keeps the order in which connections are closed to make room.
func (s *Server) follow(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, known := s.open[c]; known {
		s.conns.Remove(e)
		delete(s.open, c)
	}
	switch state {
	case http.StateClosed, http.StateHijacked:
		return
	}
	s.place(&conn{c, state != http.StateActive})
	if s.conns.Len() > MaxConnections {
		first := s.conns.Front().Value.(*conn)
		s.conns.Remove(s.conns.Front())
		delete(s.open, first.Conn)
		_ = first.Close() // it is closed in any case
	}
}

// place puts a connection at the end of its kind: idle ones come first.
func (s *Server) place(c *conn) {
	if !c.idle {
		s.open[c.Conn] = s.conns.PushBack(c)
		return
	}
	for e := s.conns.Front(); e != nil; e = e.Next() {
		if !e.Value.(*conn).idle {
			s.open[c.Conn] = s.conns.InsertBefore(c, e)
			return
		}
	}
	s.open[c.Conn] = s.conns.PushBack(c)
}

// Close ends listening, and the connections when the requests under way have been answered or ctx ends.
func (s *Server) Close(ctx context.Context) {
	if s.server.Shutdown(ctx) != nil {
		_ = s.server.Close() // cuts requests that are still under way
	}
	<-s.done
}
