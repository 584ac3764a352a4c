//go:build linux

package callbacks_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// blocker is a blocking handler that holds its worker whenever it is told
// "block", and echoes everything else.
type blocker struct {
	blocked, release chan bool
	once             sync.Once
}

func newBlocker() *blocker { return &blocker{blocked: make(chan bool), release: make(chan bool)} }

// free lets the held workers go on. Defer it as well: a server with held workers
// does not end.
func (b *blocker) free() { b.once.Do(func() { close(b.release) }) }

func (b *blocker) handler() perch.BlockingHandler {
	return perch.BlockingHandler{OnMessage: func(c perch.Ref, op perch.Opcode, p []byte) {
		if string(p) == "block" {
			b.blocked <- true
			<-b.release
		}
		c.Send(op, p)
	}}
}

// Seven of eight workers block. The eighth serves everybody else, the loops do
// not notice.
func TestSevenOfEightWorkersBlocked(t *testing.T) {
	b := newBlocker()
	defer b.free()
	srv := enginetest.Start(t, perch.Config{Workers: 8, Rate: enginetest.Unlimited}, func(srv *perch.Server) {
		srv.HandleBlocking("/work", b.handler())
		srv.Handle("/ws", enginetest.Echo())
	})
	addr := srv.Addr().String()
	var stuck []*wstest.Conn
	for range 7 {
		c := wstest.Dial(t, addr, "/work")
		c.Send(wstest.Text("block"), wstest.Text("and then"))
		wstest.Receive(t, "a worker to block", b.blocked)
		stuck = append(stuck, c)
	}
	for range 4 { // connections on both loops, some of them
		worker, loop := wstest.Dial(t, addr, "/work"), enginetest.Dial(t, srv)
		for i := range 50 {
			s := strconv.Itoa(i)
			worker.Send(wstest.Text(s))
			loop.Send(wstest.Text(s))
			worker.ExpectText(s)
			loop.ExpectText(s)
		}
	}
	b.free()
	for _, c := range stuck {
		c.ExpectText("block")
		c.ExpectText("and then")
	}
}

// When the pool is full nothing more is read, so that memory stays bounded; when
// there is room all goes on, nothing is lost and the order holds.
func TestFullPool(t *testing.T) {
	const clients, messages = 150, 200 // a worker's queue has 64 places; a connection may have 64 messages waiting
	b := newBlocker()
	defer b.free()
	srv := enginetest.Start(t, perch.Config{Workers: 1, Rate: enginetest.Unlimited}, func(srv *perch.Server) {
		srv.HandleBlocking("/ws", b.handler())
	})
	first := enginetest.Dial(t, srv)
	first.Send(wstest.Text("block"))
	wstest.Receive(t, "the worker to block", b.blocked)
	var all []*wstest.Conn
	for range clients {
		c := enginetest.Dial(t, srv)
		var fs []wstest.Frame
		for n := range messages {
			fs = append(fs, wstest.Text(strconv.Itoa(n)))
		}
		c.Send(fs...)
		all = append(all, c)
	}
	s := enginetest.AwaitStats(t, srv, "the pool is full", func(s *perch.Stats) bool { return s.PoolFull > 0 })
	if most := uint64(clients * 3 * 64); s.MessagesReceived > most {
		t.Errorf("%d messages were taken in while nobody worked on them", s.MessagesReceived)
	}
	b.free()
	first.ExpectText("block")
	for i, c := range all {
		for n := range messages {
			if _, p := c.NextMessage(); string(p) != strconv.Itoa(n) {
				t.Fatalf("connection %d: message %d is %q", i, n, p)
			}
		}
	}
	if s := srv.Stats(); s.MessagesReceived != clients*messages+1 {
		t.Errorf("%d messages received", s.MessagesReceived)
	}
}

// The callbacks of one connection run one at a time and in order, OnClose last,
// whatever else goes on.
func TestWorkerOrder(t *testing.T) {
	const clients, messages = 8, 300
	type trace struct {
		mu    sync.Mutex
		calls []string
	}
	note := func(c perch.Ref, s string) *trace {
		tr := c.Value().(*trace)
		if !tr.mu.TryLock() {
			t.Error("two callbacks of one connection at a time")
			return tr
		}
		defer tr.mu.Unlock()
		tr.calls = append(tr.calls, s)
		return tr
	}
	ended := make(chan *trace, clients)
	srv := enginetest.Start(t, perch.Config{Workers: 4, Rate: enginetest.Unlimited}, func(srv *perch.Server) {
		srv.HandleBlocking("/ws", perch.BlockingHandler{
			OnUpgrade: func(*perch.Request) perch.Response { return perch.Response{Value: new(trace)} },
			OnOpen:    func(c perch.Ref, r *perch.Request) { note(c, "open "+r.Path()) },
			OnMessage: func(c perch.Ref, _ perch.Opcode, p []byte) { note(c, string(p)) },
			OnClose:   func(c perch.Ref, err *perch.CloseError) { ended <- note(c, fmt.Sprint("close ", uint16(err.Code))) },
		})
	})
	want := []string{"open /ws"}
	for n := range messages {
		want = append(want, strconv.Itoa(n))
	}
	want = append(want, "close 1000")
	for range clients {
		c := enginetest.Dial(t, srv)
		for n := range messages {
			c.Send(wstest.Text(strconv.Itoa(n)))
		}
		c.CloseHandshake(frame.CloseNormal)
	}
	for range clients {
		if tr := wstest.Receive(t, "OnClose", ended); !slices.Equal(tr.calls, want) {
			t.Errorf("calls %q", tr.calls)
		}
	}
}

// A connection that is gone while its handler runs: the handler finishes, its
// sends say that it is closed, OnClose comes after it.
func TestClosedWhileWorking(t *testing.T) {
	for name, end := range map[string]func(c *wstest.Conn){
		"FIN": (*wstest.Conn).Close,
		"RST": (*wstest.Conn).Reset,
		"close frame": func(c *wstest.Conn) {
			c.CloseHandshake(frame.CloseNormal)
		},
	} {
		t.Run(name, func(t *testing.T) {
			working, release := make(chan perch.Ref), make(chan bool)
			result, closed := make(chan error, 1), make(chan *perch.CloseError, 1)
			srv := enginetest.Start(t, perch.Config{Workers: 1}, func(srv *perch.Server) {
				srv.HandleBlocking("/ws", perch.BlockingHandler{
					OnMessage: func(c perch.Ref, op perch.Opcode, p []byte) {
						working <- c
						<-release
						result <- c.Do(func(perch.Conn) {
							if name != "FIN" { // its answers may be waited for: see TestHalfClose
								t.Error("Do on a closed connection")
							}
						})
					},
					OnClose: func(c perch.Ref, err *perch.CloseError) {
						if len(result) == 0 {
							t.Error("OnClose before OnMessage has returned")
						}
						closed <- err
					},
				})
			})
			c := enginetest.Dial(t, srv)
			c.Send(wstest.Text("work"))
			wstest.Receive(t, "OnMessage", working)
			end(c)
			// The descriptor is free at once; the slot waits for the worker.
			s := srv.Stats()
			if len(closed) != 0 || s.Connections != 1 || s.Closed != 0 {
				t.Errorf("closed under a running handler: %d connections", s.Connections)
			}
			close(release)
			err := wstest.Receive(t, "OnClose", closed)
			if !err.Remote || name == "close frame" && err.Code != frame.CloseNormal || name != "close frame" && err.Code != frame.CloseAbnormal {
				t.Errorf("closed with %v", err)
			}
			enginetest.AwaitStats(t, srv, "nothing is left", func(s *perch.Stats) bool { return s.Connections == 0 && s.Closed == 1 })
		})
	}
}

// OnUpgrade may take its time: other connections of the loop are served, bytes
// that come meanwhile are not lost, and the answer is what it decided.
func TestSlowUpgrade(t *testing.T) {
	deciding, decide := make(chan bool), make(chan perch.Response)
	got := make(chan string, 4)
	srv := enginetest.Start(t, perch.Config{Loops: 1, Workers: 1}, func(srv *perch.Server) {
		srv.Handle("/ws", enginetest.Echo())
		srv.HandleBlocking("/slow/{name}", perch.BlockingHandler{
			OnUpgrade: func(r *perch.Request) perch.Response { deciding <- true; return <-decide },
			OnOpen: func(c perch.Ref, r *perch.Request) {
				got <- r.PathValue("name") + " " + r.RemoteAddr().String() + " " + fmt.Sprint(c.Value())
			},
			OnMessage: func(_ perch.Ref, _ perch.Opcode, p []byte) { got <- string(p) },
		})
	})
	beside := enginetest.Dial(t, srv)
	for _, tc := range []struct {
		response perch.Response
		status   int
	}{
		{perch.Response{Value: 7}, 101},
		{perch.Reject(402, "pay first"), 402},
	} {
		c := wstest.Connect(t, srv.Addr().String())
		c.Write(append(wstest.Request("test", "/slow/anna"), c.Encode(wstest.Text("in the same segment"))...))
		wstest.Receive(t, "OnUpgrade", deciding)
		c.Send(wstest.Text("meanwhile"))
		beside.Send(wstest.Text("served"))
		beside.ExpectText("served")
		decide <- tc.response
		if r := c.ReadResponse(); r.Status != tc.status {
			t.Fatalf("answered %d, want %d", r.Status, tc.status)
		}
		if tc.status != 101 {
			c.Close()
			break
		}
		for _, want := range []string{"anna 127.0.0.1 7", "in the same segment", "meanwhile"} {
			if s := wstest.Receive(t, want, got); s != want {
				t.Errorf("got %q, want %q", s, want)
			}
		}
	}
	if len(got) != 0 {
		t.Errorf("a refused connection had callbacks: %q", <-got)
	}
}

// The client does not wait for a slow OnUpgrade: it goes, or its time is up. The
// decision comes too late and has no effect.
func TestUpgradeDecidedTooLate(t *testing.T) {
	deciding, decide := make(chan bool), make(chan bool)
	srv := enginetest.Start(t, perch.Config{Loops: 1, Workers: 1, HandshakeTimeout: 100 * time.Millisecond}, func(srv *perch.Server) {
		srv.Handle("/echo", enginetest.Echo())
		srv.HandleBlocking("/ws", perch.BlockingHandler{
			OnUpgrade: func(*perch.Request) perch.Response { deciding <- true; <-decide; return perch.Response{} },
			OnOpen:    func(perch.Ref, *perch.Request) { t.Error("opened") },
			OnClose:   func(perch.Ref, *perch.CloseError) { t.Error("closed without having been open") },
		})
	})
	beside := wstest.Dial(t, srv.Addr().String(), "/echo")
	c := wstest.Connect(t, srv.Addr().String())
	c.Write(wstest.Request("test", "/ws"))
	wstest.Receive(t, "OnUpgrade", deciding)
	if r := c.ReadResponse(); r.Status != 408 {
		t.Errorf("answered %d, want 408", r.Status)
	}
	c.ExpectEOF()
	c.Close()
	decide <- true
	enginetest.AwaitStats(t, srv, "the late one is gone", func(s *perch.Stats) bool { return s.Connections == 1 })

	c = wstest.Connect(t, srv.Addr().String())
	c.Write(wstest.Request("test", "/ws"))
	wstest.Receive(t, "OnUpgrade", deciding)
	c.Reset()
	beside.Send(wstest.Text("seen?")) // the loop that answers has seen the reset before it
	beside.ExpectText("seen?")
	decide <- true
	s := enginetest.AwaitStats(t, srv, "the reset one is gone", func(s *perch.Stats) bool { return s.Connections == 1 && s.Accepted == 3 })
	if s.Opened != 1 || s.HandshakeTimeouts != 1 {
		t.Errorf("%d opened, %d timeouts", s.Opened, s.HandshakeTimeouts)
	}
}

// A Ref's value is seen by every goroutine, until the connection is closed.
func TestWorkerValue(t *testing.T) {
	closed := make(chan any, 1)
	refs := make(chan perch.Ref, 1)
	srv := enginetest.Start(t, perch.Config{Workers: 2}, func(srv *perch.Server) {
		srv.HandleBlocking("/ws", perch.BlockingHandler{
			OnUpgrade: func(r *perch.Request) perch.Response { return perch.Response{Value: r.Query("name")} },
			OnOpen:    func(c perch.Ref, _ *perch.Request) { refs <- c },
			OnMessage: func(c perch.Ref, op perch.Opcode, p []byte) {
				old := c.Value().(string)
				c.SetValue(old + string(p))
				c.Do(func(conn perch.Conn) { conn.SendText(conn.Value().(string)) })
			},
			OnClose: func(c perch.Ref, _ *perch.CloseError) { closed <- c.Value() },
		})
	})
	c := wstest.Dial(t, srv.Addr().String(), "/ws?name=anna")
	ref := wstest.Receive(t, "OnOpen", refs)
	if v := ref.Value(); v != "anna" {
		t.Errorf("value %v", v)
	}
	c.Send(wstest.Text("+1"))
	c.ExpectText("anna+1")
	c.CloseHandshake(frame.CloseNormal)
	if v := wstest.Receive(t, "OnClose", closed); v != "anna+1" {
		t.Errorf("value in OnClose: %v", v)
	}
	wstest.Eventually(t, "the connection is closed", ref.Closed)
	if v, err := ref.Value(), ref.SetValue(1); v != nil || !errors.Is(err, perch.ErrClosed) {
		t.Errorf("value %v, SetValue: %v", v, err)
	}
}

// TestBlockedRoute: one route's handlers block for more connections than there are
// workers; the other routes' messages are handled meanwhile.
func TestBlockedRoute(t *testing.T) {
	b := &blocker{blocked: make(chan bool, 100), release: make(chan bool)}
	defer b.free()
	srv := enginetest.Start(t, perch.Config{Workers: 3, Rate: enginetest.Unlimited}, func(srv *perch.Server) {
		srv.HandleBlocking("/slow", b.handler())
		srv.HandleBlocking("/fast", newBlocker().handler())
	})
	addr := srv.Addr().String()
	var stuck []*wstest.Conn
	for range 8 {
		c := wstest.Dial(t, addr, "/slow")
		c.Send(wstest.Text("block"))
		stuck = append(stuck, c)
	}
	wstest.Receive(t, "a worker to block", b.blocked)
	wstest.Receive(t, "another worker to block", b.blocked)
	for i := range 4 {
		c := wstest.Dial(t, addr, "/fast")
		c.Send(wstest.Text(strconv.Itoa(i)))
		c.Expect(frame.OpText, []byte(strconv.Itoa(i)))
	}
	b.free()
	for _, c := range stuck {
		c.Expect(frame.OpText, []byte("block"))
	}
}
