//go:build linux

package enginetest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// Start runs a server on a free port of 127.0.0.1, with two loops unless cfg says
// otherwise. routes registers its handlers. When the test ends the server is
// closed; a goroutine or a descriptor that is then left fails the test.
func Start(t *testing.T, cfg perch.Config, routes func(srv *perch.Server)) *perch.Server {
	t.Helper()
	wstest.NoLeaks(t)
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	if cfg.Loops == 0 {
		cfg.Loops = 2
	}
	srv := perch.New(cfg)
	if routes != nil {
		routes(srv)
	}
	if err := srv.Start(); err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() {
		srv.Close()
		if err := srv.Wait(); err != nil {
			t.Errorf("server ended with %v", err)
		}
		if n := srv.Stats().Connections; n != 0 {
			t.Errorf("%d connections are left after Close", n)
		}
	})
	return srv
}

// StartRoute is [Start] with one handler, on /ws.
func StartRoute(t *testing.T, cfg perch.Config, h perch.Handler) *perch.Server {
	t.Helper()
	return Start(t, cfg, func(srv *perch.Server) { srv.Handle("/ws", h) })
}

// Dial opens a raw client connection to /ws.
func Dial(t testing.TB, srv *perch.Server) *wstest.Conn {
	t.Helper()
	return wstest.Dial(t, srv.Addr().String(), "/ws")
}

// Echo sends every message back.
func Echo() perch.Handler {
	return perch.Handler{OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) { c.Send(op, p) }}
}

// Slow is a page that takes its time, and then tells whether its request is still wanted: "<nil>" if it is.
func Slow(d time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(d):
		case <-r.Context().Done():
		}
		fmt.Fprint(w, r.Context().Err())
	}
}

// Much is a page of 64 MiB. How sending it ended goes to ended.
func Much(ended chan<- error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_, err := io.Copy(w, io.LimitReader(Endless{}, 64<<20))
		ended <- err
	}
}

// Audience makes every connection of h a member of one room, and returns how to
// send to all of them.
func Audience(srv *perch.Server, h perch.Handler) (perch.Handler, func(*perch.Prepared)) {
	r, err := srv.Rooms().Create("audience", room.Options{})
	if err != nil {
		panic(err)
	}
	h.OnOpen = func(c perch.Conn, _ *perch.Request) {
		if _, err := c.Join(r, room.JoinOptions{}); err != nil {
			panic(err)
		}
	}
	return h, func(p *perch.Prepared) { r.Send(room.Frames{p}, room.ClassMessage) }
}

// Unlimited is a rate without limits, for tests that send a lot.
var Unlimited = perch.Rate{Messages: -1, Burst: -1, Bytes: -1}

// AwaitStats waits until the counters satisfy cond, and returns them.
func AwaitStats(t testing.TB, srv *perch.Server, what string, cond func(s *perch.Stats) bool) perch.Stats {
	t.Helper()
	var s perch.Stats
	wstest.Eventually(t, what, func() bool { s = srv.Stats(); return cond(&s) })
	return s
}

// Inside runs f in a callback of the connection.
func Inside(t *testing.T, ref perch.Ref, f func(c perch.Conn) error) error {
	t.Helper()
	result := make(chan error, 1)
	if err := ref.Do(func(c perch.Conn) { result <- f(c) }); err != nil {
		return err
	}
	return wstest.Receive(t, "the callback", result)
}

// Boom panics, with a name that is easy to find in a stack.
func Boom() { panic("boom") }

// Shutdown runs Shutdown with a generous deadline and passes its result on.
func Shutdown(t *testing.T, srv *perch.Server) <-chan error {
	ctx, cancel := context.WithTimeout(context.Background(), wstest.DefaultTimeout)
	t.Cleanup(cancel)
	result := make(chan error, 1)
	go func() { result <- srv.Shutdown(ctx) }()
	return result
}

// ExpectShutdown wants Shutdown and Wait to have ended well.
func ExpectShutdown(t *testing.T, srv *perch.Server, result <-chan error) {
	t.Helper()
	if err := wstest.Receive(t, "Shutdown", result); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := srv.Wait(); err != nil {
		t.Errorf("Wait: %v", err)
	}
	if s := srv.Stats(); s.Connections != 0 || s.Opened != s.Closed {
		t.Errorf("%d connections, %d opened, %d closed", s.Connections, s.Opened, s.Closed)
	}
}
