//go:build linux

package callbacks_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// panicCase is a callback that panics, and what makes the engine call it.
type panicCase struct {
	name    string
	cfg     perch.Config
	handler func(h *perch.Handler)
	provoke func(t *testing.T, c *wstest.Conn)
	closed  bool // the connection is closed by then: nobody can be told
}

// flood is more than a socket takes that nobody reads from.
const flood = 16 << 20

func panicCases() []panicCase {
	text := func(_ *testing.T, c *wstest.Conn) { c.Send(wstest.Text("now")) }
	return []panicCase{
		{name: "OnOpen", handler: func(h *perch.Handler) {
			open := h.OnOpen
			h.OnOpen = func(c perch.Conn, r *perch.Request) { open(c, r); enginetest.Boom() }
		}},
		{name: "OnMessage", provoke: text, handler: func(h *perch.Handler) {
			h.OnMessage = func(perch.Conn, perch.Opcode, []byte) { enginetest.Boom() }
		}},
		{name: "OnMessage of fragments", handler: func(h *perch.Handler) {
			h.OnMessage = func(perch.Conn, perch.Opcode, []byte) { enginetest.Boom() }
		}, provoke: func(_ *testing.T, c *wstest.Conn) {
			c.Send(wstest.Fragments(frame.OpBinary, make([]byte, 3000), 1000)...)
		}},
		{name: "OnMessage after sending", handler: func(h *perch.Handler) {
			h.OnMessage = func(c perch.Conn, _ perch.Opcode, _ []byte) { c.SendText("before"); enginetest.Boom() }
		}, provoke: func(_ *testing.T, c *wstest.Conn) {
			c.Send(wstest.Text("now"), wstest.Text("not any more"))
			c.ExpectText("before")
		}},
		{name: "OnPong", cfg: perch.Config{PingInterval: 20 * time.Millisecond, PingTimeout: time.Minute}, handler: func(h *perch.Handler) {
			h.OnPong = func(perch.Conn, time.Duration) { enginetest.Boom() }
		}, provoke: func(t *testing.T, c *wstest.Conn) {
			f, err := c.Next()
			if err != nil || f.Op != frame.OpPing {
				t.Fatalf("got %v, %v, want a ping", f, err)
			}
			c.Send(wstest.Pong(string(f.Payload)))
		}},
		{name: "OnDrain", handler: func(h *perch.Handler) {
			h.OnMessage = func(c perch.Conn, _ perch.Opcode, _ []byte) { c.Send(perch.Binary, make([]byte, flood)) }
			h.OnDrain = func(perch.Conn) { enginetest.Boom() }
		}, provoke: func(t *testing.T, c *wstest.Conn) {
			text(t, c)
			c.Expect(frame.OpBinary, make([]byte, flood))
		}},
		{name: "OnGap", cfg: perch.Config{MaxOutput: 64 << 10}, handler: func(h *perch.Handler) {
			h.OnMessage = func(c perch.Conn, _ perch.Opcode, _ []byte) {
				c.Send(perch.Binary, make([]byte, flood))
				c.SendText("dropped")
			}
			h.OnGap = func(perch.Conn, int) { enginetest.Boom() }
		}, provoke: func(t *testing.T, c *wstest.Conn) {
			text(t, c)
			c.Expect(frame.OpBinary, make([]byte, flood))
		}},
		{name: "Do", provoke: text, handler: func(h *perch.Handler) {
			h.OnMessage = func(c perch.Conn, _ perch.Opcode, _ []byte) { c.Ref().Do(func(perch.Conn) { enginetest.Boom() }) }
		}},
		{name: "OnClose", closed: true, handler: func(h *perch.Handler) {
			h.OnClose = func(perch.Conn, *perch.CloseError) { enginetest.Boom() }
		}, provoke: func(_ *testing.T, c *wstest.Conn) { c.CloseHandshake(frame.CloseNormal) }},
		{name: "OnMessage after Close", closed: true, handler: func(h *perch.Handler) {
			h.OnMessage = func(c perch.Conn, _ perch.Opcode, _ []byte) { c.Close(perch.CloseGoingAway, ""); enginetest.Boom() }
		}, provoke: func(t *testing.T, c *wstest.Conn) { text(t, c); c.AnswerClose(frame.CloseGoingAway) }},
	}
}

// A callback that panics costs its own connection: 1011, logged, counted. The one
// beside it on the same loop does not notice.
func TestPanicOnLoop(t *testing.T) {
	for _, tc := range panicCases() {
		t.Run(tc.name, func(t *testing.T) {
			var logged enginetest.Journal
			opened := make(chan perch.ID, 2)
			h := perch.Handler{OnOpen: func(c perch.Conn, _ *perch.Request) { opened <- c.ID() }}
			tc.handler(&h)
			tc.cfg.Loops, tc.cfg.Logger = 1, logged.Logger()
			srv := enginetest.Start(t, tc.cfg, func(srv *perch.Server) {
				srv.Handle("/ws", h)
				srv.Handle("/echo", perch.Handler{OnMessage: enginetest.Echo().OnMessage, Settings: perch.Settings{PingInterval: -1, PingTimeout: -1}})
			})
			beside := wstest.Dial(t, srv.Addr().String(), "/echo")
			c := enginetest.Dial(t, srv)
			id := wstest.Receive(t, "OnOpen", opened)
			if tc.provoke != nil {
				tc.provoke(t, c)
			}
			code, i := frame.CloseInternalError, frame.CloseInternalError-1000
			if !tc.closed {
				c.ExpectFail(code)
			}
			c.Close()
			beside.Send(wstest.Text("still here"))
			beside.ExpectText("still here")
			s := enginetest.AwaitStats(t, srv, "the connection is reaped", func(s *perch.Stats) bool { return s.Closed == 1 })
			if s.Panics != 1 || s.Connections != 1 || !tc.closed && s.CloseCodes[i] != 1 {
				t.Errorf("%d panics, %d connections, %d closed with 1011", s.Panics, s.Connections, s.CloseCodes[i])
			}
			expectPanicLogged(t, &logged, id)
		})
	}
}

// expectPanicLogged wants one panic of connection id in the log.
func expectPanicLogged(t *testing.T, j *enginetest.Journal, id perch.ID) {
	t.Helper()
	records := j.Find("handler panicked")
	if len(records) != 1 {
		t.Fatalf("logged %d times: %v", len(records), records)
	}
	r := records[0]
	if got := enginetest.Attr(r, "connection_id"); got != id.String() {
		t.Errorf("connection_id %q, want %v", got, id)
	}
	if enginetest.Attr(r, "error") != "boom" || !strings.Contains(enginetest.Attr(r, "stack"), "enginetest.Boom") {
		t.Errorf("logged %q with stack %s", enginetest.Attr(r, "error"), enginetest.Attr(r, "stack"))
	}
}

// The same on the worker pool: the worker goes on as well.
func TestPanicOnWorker(t *testing.T) {
	text := func(_ *testing.T, c *wstest.Conn) { c.Send(wstest.Text("now")) }
	for _, tc := range []struct {
		name    string
		handler perch.BlockingHandler
		provoke func(t *testing.T, c *wstest.Conn)
		closed  bool
	}{
		{name: "OnOpen", handler: perch.BlockingHandler{OnOpen: func(perch.Ref, *perch.Request) { enginetest.Boom() }}},
		{name: "OnMessage", handler: perch.BlockingHandler{OnMessage: func(perch.Ref, perch.Opcode, []byte) { enginetest.Boom() }}, provoke: text},
		{name: "Do", handler: perch.BlockingHandler{
			OnMessage: func(c perch.Ref, _ perch.Opcode, _ []byte) { c.Do(func(perch.Conn) { enginetest.Boom() }) }}, provoke: text},
		{name: "OnClose", handler: perch.BlockingHandler{OnClose: func(perch.Ref, *perch.CloseError) { enginetest.Boom() }}, closed: true,
			provoke: func(_ *testing.T, c *wstest.Conn) { c.CloseHandshake(frame.CloseNormal) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var logged enginetest.Journal
			srv := enginetest.Start(t, perch.Config{Loops: 1, Workers: 1, Logger: logged.Logger()}, func(srv *perch.Server) {
				srv.HandleBlocking("/ws", tc.handler)
				srv.HandleBlocking("/echo", perch.BlockingHandler{OnMessage: func(c perch.Ref, op perch.Opcode, p []byte) { c.Send(op, p) }})
			})
			beside := wstest.Dial(t, srv.Addr().String(), "/echo")
			c := enginetest.Dial(t, srv)
			if tc.provoke != nil {
				tc.provoke(t, c)
			}
			if !tc.closed {
				c.ExpectFail(frame.CloseInternalError)
			}
			c.Close()
			beside.Send(wstest.Text("still here"))
			beside.ExpectText("still here")
			s := enginetest.AwaitStats(t, srv, "the connection is reaped", func(s *perch.Stats) bool { return s.Closed == 1 && s.Panics > 0 })
			if s.Panics != 1 || s.Connections != 1 || !tc.closed && s.CloseCodes[11] != 1 {
				t.Errorf("%d panics, %d connections, %d closed with 1011", s.Panics, s.Connections, s.CloseCodes[11])
			}
			if r := logged.Find("handler panicked"); len(r) != 1 || !strings.Contains(enginetest.Attr(r[0], "stack"), "enginetest.Boom") || len(enginetest.Attr(r[0], "connection_id")) != 24 {
				t.Errorf("logged %v", r)
			}
		})
	}
}

// A panic of OnUpgrade is a 500, on the loop and on a worker.
func TestPanicOnUpgrade(t *testing.T) {
	upgrade := func(*perch.Request) perch.Response { enginetest.Boom(); return perch.Response{} }
	srv := enginetest.Start(t, perch.Config{Workers: 1}, func(srv *perch.Server) {
		srv.Handle("/loop", perch.Handler{OnUpgrade: upgrade})
		srv.HandleBlocking("/worker", perch.BlockingHandler{OnUpgrade: upgrade})
	})
	for i, path := range []string{"/loop", "/worker"} {
		c := wstest.Connect(t, srv.Addr().String())
		c.Write(wstest.Request("test", path))
		if r := c.ReadResponse(); r.Status != 500 {
			t.Errorf("%s answered %d, want 500", path, r.Status)
		}
		c.Close()
		if s := srv.Stats(); s.Panics != uint64(i+1) || s.Opened != 0 {
			t.Errorf("%s: %d panics in all, %d opened", path, s.Panics, s.Opened)
		}
	}
}

// After a panic on a worker none of the connection's messages is delivered,
// however many had arrived by then.
func TestPanicIsTheLastCallback(t *testing.T) {
	release, calls := make(chan struct{}), make(chan []byte, 100)
	closed := make(chan *perch.CloseError, 1)
	srv := enginetest.Start(t, perch.Config{Workers: 1}, func(srv *perch.Server) {
		srv.HandleBlocking("/ws", perch.BlockingHandler{
			OnMessage: func(_ perch.Ref, _ perch.Opcode, p []byte) { calls <- bytes.Clone(p); <-release; enginetest.Boom() },
			OnClose:   func(_ perch.Ref, err *perch.CloseError) { closed <- err },
		})
	})
	c := enginetest.Dial(t, srv)
	c.Send(wstest.Text("first"))
	wstest.Receive(t, "OnMessage", calls)
	c.Send(wstest.Text("second"), wstest.Text("third"))
	enginetest.AwaitStats(t, srv, "all has been read", func(s *perch.Stats) bool { return s.MessagesReceived == 3 })
	close(release)
	c.ExpectFail(frame.CloseInternalError)
	c.Close()
	if err := wstest.Receive(t, "OnClose", closed); err.Code != frame.CloseInternalError || err.Remote {
		t.Errorf("closed with %v", err)
	}
	if len(calls) != 0 {
		t.Errorf("OnMessage was called %d times after it had panicked", len(calls))
	}
}
