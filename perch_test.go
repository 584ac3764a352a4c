//go:build linux

package perch_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

func TestMain(m *testing.M) { wstest.Main(m) }

// start runs a server on a free port of 127.0.0.1, with two loops unless cfg says
// otherwise. routes registers its handlers. When the test ends the server is
// closed; a goroutine or a descriptor that is then left fails the test.
func start(t *testing.T, cfg perch.Config, routes func(srv *perch.Server)) *perch.Server {
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
	if cfg.Logger != nil {
		if j, ok := cfg.Logger.Handler().(*journal); ok {
			j.of(srv)
		}
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

// startRoute is start with one handler, on /ws.
func startRoute(t *testing.T, cfg perch.Config, h perch.Handler) *perch.Server {
	t.Helper()
	return start(t, cfg, func(srv *perch.Server) { srv.Handle("/ws", h) })
}

// dial opens a raw client connection to /ws.
func dial(t testing.TB, srv *perch.Server) *wstest.Conn {
	t.Helper()
	return wstest.Dial(t, srv.Addr().String(), "/ws")
}

// echo sends every message back.
func echo() perch.Handler {
	return perch.Handler{OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) { c.Send(op, p) }}
}

// audience makes every connection of h a member of one room, and returns how to
// send to all of them.
func audience(srv *perch.Server, h perch.Handler) (perch.Handler, func(*perch.Prepared)) {
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

// unlimited is a rate without limits, for tests that send a lot.
var unlimited = perch.Rate{Messages: -1, Burst: -1, Bytes: -1}

// awaitStats waits until the counters satisfy cond, and returns them.
func awaitStats(t testing.TB, srv *perch.Server, what string, cond func(s *perch.Stats) bool) perch.Stats {
	t.Helper()
	var s perch.Stats
	wstest.Eventually(t, what, func() bool { s = srv.Stats(); return cond(&s) })
	return s
}

// journal is a slog.Handler that keeps what is logged. Any goroutine.
type journal struct {
	mu      sync.Mutex
	srv     *perch.Server // whose log it is; nil: nobody's in particular
	records []slog.Record
}

func (j *journal) of(srv *perch.Server) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.srv = srv
}

// logger logs to j.
func (j *journal) logger() *slog.Logger { return slog.New(j) }

func (j *journal) Enabled(context.Context, slog.Level) bool { return true }
func (j *journal) WithAttrs([]slog.Attr) slog.Handler       { return j }
func (j *journal) WithGroup(string) slog.Handler            { return j }
func (j *journal) Handle(_ context.Context, r slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.records = append(j.records, r.Clone())
	return nil
}

// find returns the records whose message contains text: of all that the server has
// logged before, as it logs on a goroutine of its own.
func (j *journal) find(text string) []slog.Record {
	j.mu.Lock()
	srv := j.srv
	j.mu.Unlock()
	if srv != nil {
		srv.FlushLog(wstest.DefaultTimeout)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(j.records), func(r slog.Record) bool { return !strings.Contains(r.Message, text) })
}

// attr is the value of an attribute of r as text, "" if it has none.
func attr(r slog.Record, key string) (value string) {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == key {
			value = a.Value.String()
		}
		return a.Key != key
	})
	return value
}
