//go:build linux

package callbacks_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// badText is a value whose text panics too.
type badText struct{}

func (badText) Error() string { panic("Error") }

// faults are what a function of the application's may do to us.
var faults = map[string]func(){
	"panic":              func() { panic("planted") },
	"panic(nil)":         func() { panic(nil) },
	"panic with a panic": func() { panic(badText{}) },
	"Goexit":             runtime.Goexit,
	"index out of range": func() { noFaults[len(noFaults)] = nil },
}

var noFaults []func()

// A function of the application's that panics, or ends its goroutine, costs its own
// connection at most: every function that we call, by every fault. Somebody else is
// served meanwhile and afterwards, on the same loop and worker, and it is logged, with
// the stack.
func TestCallbackFaults(t *testing.T) {
	type parts struct {
		cfg      *perch.Config
		handler  *perch.Handler         // of /ws
		blocking *perch.BlockingHandler // of /blocking
		fault    func()                 // once armed
	}
	type run struct {
		srv *perch.Server
		arm func()
	}
	dialWS := func(t *testing.T, r run, path string) *wstest.Conn {
		return wstest.Dial(t, r.srv.Addr().String(), path)
	}
	message := func(path string) func(t *testing.T, r run) {
		return func(t *testing.T, r run) {
			c := dialWS(t, r, path)
			r.arm()
			c.Send(wstest.Text("do it"))
			c.ExpectGone()
			c.Close()
		}
	}
	opening := func(path string) func(t *testing.T, r run) {
		return func(t *testing.T, r run) {
			r.arm()
			c := wstest.Connect(t, r.srv.Addr().String())
			c.TryWrite(wstest.Request("perch.test", path))
			c.ExpectGone()
			c.Close()
		}
	}
	closing := func(path string) func(t *testing.T, r run) {
		return func(t *testing.T, r run) {
			c := dialWS(t, r, path)
			r.arm()
			c.Send(wstest.Close(perch.CloseNormal, ""))
			c.ExpectGone()
			c.Close()
		}
	}
	inRoom := func(set func(p parts)) func(p parts) {
		return func(p parts) {
			set(p)
			p.handler.OnMessage = func(c perch.Conn, _ perch.Opcode, b []byte) {
				r, taken := c.Value().(*room.Room), string(b) == "taken"
				r.Publish(room.Message{Payload: b, Taken: func(int) {
					if taken {
						p.fault()
					}
				}}, nil)
				c.SendText("said")
			}
		}
	}
	publish := func(text string) func(t *testing.T, r run) {
		return func(t *testing.T, r run) {
			c := dialWS(t, r, "/ws")
			r.arm()
			c.Send(wstest.Text(text))
			c.Close()
		}
	}
	for name, tt := range map[string]struct {
		plant func(p parts)
		do    func(t *testing.T, r run)
	}{
		"OnUpgrade": {func(p parts) {
			p.handler.OnUpgrade = func(*perch.Request) perch.Response { p.fault(); return perch.Response{} }
		}, opening("/ws")},
		"OnOpen":    {func(p parts) { p.handler.OnOpen = func(perch.Conn, *perch.Request) { p.fault() } }, opening("/ws")},
		"OnMessage": {func(p parts) { p.handler.OnMessage = func(perch.Conn, perch.Opcode, []byte) { p.fault() } }, message("/ws")},
		"OnClose":   {func(p parts) { p.handler.OnClose = func(perch.Conn, *perch.CloseError) { p.fault() } }, closing("/ws")},
		"Do": {func(p parts) {
			p.handler.OnMessage = func(c perch.Conn, _ perch.Opcode, _ []byte) { c.Ref().Do(func(perch.Conn) { p.fault() }) }
		}, message("/ws")},
		"blocking OnUpgrade": {func(p parts) {
			p.blocking.OnUpgrade = func(*perch.Request) perch.Response { p.fault(); return perch.Response{} }
		}, opening("/blocking")},
		"blocking OnOpen":    {func(p parts) { p.blocking.OnOpen = func(perch.Ref, *perch.Request) { p.fault() } }, opening("/blocking")},
		"blocking OnMessage": {func(p parts) { p.blocking.OnMessage = func(perch.Ref, perch.Opcode, []byte) { p.fault() } }, message("/blocking")},
		"blocking OnClose":   {func(p parts) { p.blocking.OnClose = func(perch.Ref, *perch.CloseError) { p.fault() } }, closing("/blocking")},
		"Message.Taken":      {inRoom(func(parts) {}), publish("taken")},
		"Encode": {inRoom(func(p parts) {
			p.cfg.Rooms.Encode = func(dst []byte, _ string, _ uint64, b []byte) []byte { p.fault(); return append(dst, b...) }
		}), publish("x")},
		"Offline": {func(p parts) {
			p.cfg.Rooms.Offline = func(*room.User) { p.fault() }
			p.handler.OnOpen = func(c perch.Conn, _ *perch.Request) { c.SignIn(room.Identity{ID: "ada", Name: "Ada"}) }
		}, closing("/ws")},
		"Announce": {func(p parts) {
			p.cfg.Rooms.Announce = func(room.Event) room.Frames { p.fault(); return room.Frames{} }
			p.handler.OnUpgrade = func(r *perch.Request) perch.Response { return perch.Response{Value: r.Query("user")} }
		}, func(t *testing.T, r run) {
			a := dialWS(t, r, "/ws?user=ada")
			r.arm()
			dialWS(t, r, "/ws?user=bob").Close()
			a.Close()
		}},
		"Logger": {func(p parts) {
			p.cfg.Logger = slog.New(badHandler{p.fault, p.cfg.Logger.Handler()})
			// logged
			p.handler.OnUpgrade = func(*perch.Request) perch.Response { return perch.Response{Subprotocol: "none such"} }
		}, opening("/ws")},
	} {
		for kind, fault := range faults {
			t.Run(name+"/"+kind, func(t *testing.T) {
				var armed atomic.Bool
				out := new(enginetest.Buffer)
				cfg := perch.Config{Loops: 1, Workers: 1, Rate: enginetest.Unlimited, Logger: slog.New(slog.NewTextHandler(out, nil))}
				h, b := enginetest.Echo(), perch.BlockingHandler{OnMessage: func(r perch.Ref, op perch.Opcode, p []byte) { r.Send(op, p) }}
				tt.plant(parts{&cfg, &h, &b, func() {
					if armed.CompareAndSwap(true, false) {
						fault()
					}
				}})
				var lobby *room.Room
				if open := h.OnOpen; open == nil {
					h.OnOpen = func(c perch.Conn, _ *perch.Request) {
						if user, ok := c.Value().(string); ok {
							c.SignIn(room.Identity{ID: user, Name: user})
						}
						c.SetValue(lobby)
						c.Join(lobby, room.JoinOptions{})
					}
				}
				srv := enginetest.Start(t, cfg, func(srv *perch.Server) {
					var err error
					if lobby, err = srv.Rooms().Create("lobby", room.Options{}); err != nil {
						t.Fatal(err)
					}
					srv.Handle("/ws", h)
					srv.HandleBlocking("/blocking", b)
					srv.Handle("/other", enginetest.Echo())
					srv.HandleBlocking("/otherblocking", perch.BlockingHandler{OnMessage: func(r perch.Ref, op perch.Opcode, p []byte) { r.Send(op, p) }})
				})
				bystanders := []*wstest.Conn{dial2(t, srv, "/other"), dial2(t, srv, "/otherblocking")}
				tt.do(t, run{srv, func() { armed.Store(true) }})
				for i := range 3 {
					for _, c := range bystanders {
						c.Send(wstest.Text(fmt.Sprint(i)))
						c.ExpectText(fmt.Sprint(i))
					}
				}
				enginetest.AwaitStats(t, srv, "the fault is spent", func(s *perch.Stats) bool {
					return !armed.Load() && (name == "Logger" || s.Panics == 1 || kind == "Goexit" && s.Panics > 1)
				})
				if name != "Logger" {
					enginetest.AwaitStats(t, srv, "the fault is logged", func(*perch.Stats) bool { return strings.Contains(out.String(), "stack=") })
				}
				enginetest.AwaitStats(t, srv, "only the bystanders are left", func(s *perch.Stats) bool { return s.Connections == 2 })
				for _, path := range []string{"/other", "/otherblocking"} {
					c := dial2(t, srv, path)
					c.Send(wstest.Text("new"))
					c.ExpectText("new")
				}
			})
		}
	}
}

func dial2(t *testing.T, srv *perch.Server, path string) *wstest.Conn {
	t.Helper()
	return wstest.Dial(t, srv.Addr().String(), path)
}

// badHandler is a slog.Handler that does what it likes.
type badHandler struct {
	fault func()
	slog.Handler
}

func (h badHandler) Handle(ctx context.Context, r slog.Record) error {
	h.fault()
	return h.Handler.Handle(ctx, r)
}

// A dial that fails may send, and do all else, in OnClose; so may the zero Conn.
func TestFailedDialSends(t *testing.T) {
	srv := enginetest.Start(t, perch.Config{Loops: 1, MaxConnections: 5}, func(srv *perch.Server) { srv.Handle("/ws", enginetest.Echo()) })
	use := func(c perch.Conn) error {
		_, _, signed := c.SignIn(room.Identity{})
		_, joined := c.Join(nil, room.JoinOptions{})
		c.SetValue(1)
		c.Rooms(func(*room.Room) {})
		if c.Value() != nil || c.RemoteAddr().IsValid() || c.Queued() != 0 || c.User() != nil || c.SignOut() || c.Silence() != 0 || c.In(nil) || c.ID() != (perch.ID{}) || c.Ref() != (perch.Ref{}) {
			return errors.New("it is somebody")
		}
		for _, err := range []error{c.Send(perch.Text, nil), c.SendText("x"), c.SendPrepared(perch.Prepare(perch.Text, nil)), c.Close(perch.CloseNormal, ""), signed, joined} {
			if !errors.Is(err, perch.ErrClosed) {
				return fmt.Errorf("%v, want ErrClosed", err)
			}
		}
		return nil
	}
	if err := use(perch.Conn{}); err != nil {
		t.Errorf("the zero Conn: %v", err)
	}
	c := enginetest.Dial(t, srv)
	for range 20 {
		srv.Dial(context.Background(), "ws://127.0.0.1:1/", perch.Handler{OnClose: func(c perch.Conn, _ *perch.CloseError) {
			c.SendText("into the void")
			c.Close(perch.CloseNormal, "")
			c.SendPrepared(perch.Prepare(perch.Text, nil))
		}})
	}
	c.Send(wstest.Text("still here"))
	c.ExpectText("still here")
	// While loops end a dial finds no place: OnClose gets the zero Conn then.
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.Close()
	}()
	for {
		err := srv.Dial(context.Background(), enginetest.URL(srv.Addr()), perch.Handler{OnClose: func(c perch.Conn, _ *perch.CloseError) {
			c.SendText("into the void")
			c.Close(perch.CloseNormal, "")
		}})
		if errors.Is(err, perch.ErrServerClosed) {
			break
		}
	}
	<-done
}

// Nothing to send is an error, and no crash.
func TestSendPreparedNil(t *testing.T) {
	errs := make(chan error, 2)
	srv := enginetest.StartRoute(t, perch.Config{}, perch.Handler{OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) {
		errs <- c.SendPrepared(nil)
		errs <- c.Ref().SendPrepared(nil)
		c.Send(op, p)
	}})
	c := enginetest.Dial(t, srv)
	c.Send(wstest.Text("x"))
	c.ExpectText("x")
	for range 2 {
		if err := wstest.Receive(t, "an error", errs); !errors.Is(err, perch.ErrOpcode) {
			t.Errorf("%v", err)
		}
	}
}

// Without a Logger the fault of an application is still told: to slog.Default().
func TestDefaultLogger(t *testing.T) {
	out := new(enginetest.Buffer)
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.NewTextHandler(out, nil)))
	srv := enginetest.StartRoute(t, perch.Config{}, perch.Handler{OnMessage: func(perch.Conn, perch.Opcode, []byte) { panic("planted") }})
	c := enginetest.Dial(t, srv)
	c.Send(wstest.Text("x"))
	c.ExpectFail(perch.CloseInternalError)
	enginetest.AwaitStats(t, srv, "a line", func(*perch.Stats) bool { return out.String() != "" })
	if s := out.String(); !strings.Contains(s, "planted") || strings.Contains(s, "INFO") || !strings.Contains(s, "connection_id") {
		t.Errorf("logged %q", s)
	}
}

// badContext is a context whose methods panic, or end their goroutine, once the test
// says so.
type badContext struct {
	context.Context
	armed *atomic.Bool
	fault func()
}

func (c badContext) Value(key any) any {
	if c.armed.Load() {
		c.fault()
	}
	return c.Context.Value(key)
}

// The context of a dial is code of the application's too; none is an error.
func TestBadContext(t *testing.T) {
	srv := enginetest.StartRoute(t, perch.Config{Loops: 1}, enginetest.Echo())
	var none context.Context
	if err := srv.Dial(none, enginetest.URL(srv.Addr()), perch.Handler{}); !errors.Is(err, perch.ErrDial) {
		t.Errorf("without a context: %v", err)
	}
	for name, fault := range faults {
		for _, host := range []string{"127.0.0.1", "localhost"} {
			var armed atomic.Bool
			ctx, cancel := context.WithCancelCause(badContext{context.Background(), &armed, fault})
			closed := make(chan error, 2)
			h := perch.Handler{
				OnOpen:  func(c perch.Conn, _ *perch.Request) { c.Close(perch.CloseNormal, "") },
				OnClose: func(_ perch.Conn, err *perch.CloseError) { closed <- err },
			}
			port := srv.Addr().(*net.TCPAddr).Port
			if err := srv.Dial(ctx, fmt.Sprintf("ws://%s:%d/ws", host, port), h); err != nil {
				t.Fatal(err)
			}
			armed.Store(true)
			cancel(badText{})
			wstest.Receive(t, name+": the end of the dial to "+host, closed)
		}
	}
	c := enginetest.Dial(t, srv)
	c.Send(wstest.Text("still here"))
	c.ExpectText("still here")
}
