//go:build linux

package lifecycle_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// Slow ticks have a line at once, and one with their number and the longest: not one each.
func TestSlowTicksLogged(t *testing.T) {
	log := new(enginetest.Journal)
	srv := enginetest.StartRoute(t, perch.Config{Logger: log.Logger(), Loops: 1}, perch.Handler{OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) {
		time.Sleep(15 * time.Millisecond)
		c.Send(op, p)
	}})
	c := enginetest.Dial(t, srv)
	const slow = 40
	for range slow {
		c.Send(wstest.Text("slowly"))
		c.ExpectText("slowly")
	}
	total := int(enginetest.AwaitStats(t, srv, "the ticks are counted", func(s *perch.Stats) bool { return s.SlowTicks >= slow }).SlowTicks)
	if n := len(log.Find("slow tick:")); n == 0 {
		t.Error("nothing is said at once")
	}
	srv.Close()
	total = max(total, int(srv.Stats().SlowTicks))
	first, more := log.Find("slow tick:"), log.Find("more slow ticks")
	if n := len(first) + len(more); n > slow/2 || len(first)+enginetest.CountOf(more) != total {
		t.Errorf("%d lines at once and %d of %d more, of %d ticks", len(first), len(more), enginetest.CountOf(more), total)
	}
	for _, r := range more {
		if took, err := time.ParseDuration(enginetest.Attr(r, "longest")); err != nil || took < 10*time.Millisecond || r.Level != slog.LevelWarn {
			t.Errorf("%v, the longest %q", r.Level, enginetest.Attr(r, "longest"))
		}
	}
}

// What a peer can bring about at will is no flood of lines: a few, and how many more.
func TestFrequentLines(t *testing.T) {
	const many = 30
	fail := func(*perch.Request) perch.Response { panic("planted") }
	for _, tt := range []struct {
		name, first, more string
		level             slog.Level
		handle            func(srv *perch.Server)
		request           []byte
	}{
		{name: "panics", first: "handler panicked", more: "more panics", level: slog.LevelError,
			handle: func(srv *perch.Server) { srv.Handle("/ws", perch.Handler{OnUpgrade: fail}) }},
		{name: "panics of a worker", first: "handler panicked", more: "more panics", level: slog.LevelError,
			handle: func(srv *perch.Server) { srv.HandleBlocking("/ws", perch.BlockingHandler{OnUpgrade: fail}) }},
		{name: "answers", first: "cannot be sent", more: "more answers", level: slog.LevelError, handle: func(srv *perch.Server) {
			srv.Handle("/ws", perch.Handler{OnUpgrade: func(*perch.Request) perch.Response { return perch.Response{Subprotocol: "x"} }})
		}},
		{name: "statuses", first: "with a status that cannot", more: "more answers", level: slog.LevelError, handle: func(srv *perch.Server) {
			srv.Handle("/ws", perch.Handler{OnUpgrade: func(*perch.Request) perch.Response { return perch.Reject(0, "") }})
		}},
		{name: "plain HTTP", first: "planted", more: "more lines of net/http", level: slog.LevelWarn,
			request: []byte("GET /page HTTP/1.1\r\nHost: perch.test\r\n\r\n")},
		{name: "reserved", first: "handler panicked", more: "more requests for reserved paths", level: slog.LevelError,
			request: []byte("GET /health HTTP/1.1\r\nHost: perch.test\r\n\r\n")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log := new(enginetest.Journal)
			cfg := perch.Config{Logger: log.Logger(), Loops: 1}
			if tt.handle == nil {
				cfg.HTTP = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("planted") })
				cfg.Reserved = []string{"/health"}
				tt.handle = func(srv *perch.Server) { srv.Handle("/ws", enginetest.Echo()) }
			} else {
				tt.request = wstest.Request("perch.test", "/ws?token=secret", "Sec-WebSocket-Protocol: chat, bearer.secret")
			}
			srv := enginetest.Start(t, cfg, tt.handle)
			for range many {
				c := wstest.Connect(t, srv.Addr().String())
				c.Write(tt.request)
				c.ExpectGone()
				c.Close()
			}
			srv.Close()
			first, more := log.Find(tt.first), log.Find(tt.more)
			if n := len(first) + len(more); n == 0 || n > many/2 || len(first)+enginetest.CountOf(more) != many {
				t.Errorf("%d lines at once and %d of %d more, of %d", len(first), len(more), enginetest.CountOf(more), many)
			}
			for _, r := range append(first, more...) {
				if r.Level != tt.level {
					t.Errorf("%v: %s", r.Level, r.Message)
				}
			}
			for _, r := range log.Find("") {
				r.Attrs(func(a slog.Attr) bool {
					if strings.Contains(r.Message+a.Value.String(), "secret") {
						t.Errorf("%s has %s=%s", r.Message, a.Key, a.Value)
					}
					return true
				})
			}
		})
	}
}
