//go:build linux

package lifecycle_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// promptly runs f, which must not hang.
func promptly[T any](t *testing.T, what string, f func() T) T {
	t.Helper()
	done := make(chan T, 1)
	go func() { done <- f() }()
	return wstest.Receive(t, what, done)
}

func background(f func(context.Context) error) func() error {
	return func() error { return f(context.Background()) }
}

// Every order of starting, stopping and asking has an answer.
func TestLifecycle(t *testing.T) {
	wstest.NoLeaks(t)
	fresh := func() *perch.Server { return perch.New(perch.Config{Addr: "127.0.0.1:0", Loops: 2}) }

	srv := fresh()
	if a := srv.Addr(); a != nil {
		t.Errorf("before Start the address is %v", a)
	}
	if s := promptly(t, "Stats", srv.Stats); s.Connections != 0 {
		t.Errorf("before Start: %+v", s)
	}
	if err := srv.Dial(context.Background(), "ws://127.0.0.1:1/", perch.Handler{}); !errors.Is(err, perch.ErrServerClosed) {
		t.Errorf("Dial before Start: %v", err)
	}
	waits := make(chan error, 1)
	go func() { waits <- srv.Wait() }()
	if err := srv.Start(); err != nil || srv.Addr() == nil {
		t.Fatalf("Start: %v, %v", err, srv.Addr())
	}
	if err := srv.Start(); err == nil || errors.Is(err, perch.ErrServerClosed) {
		t.Errorf("the second Start: %v", err)
	}
	if err := promptly(t, "Shutdown", background(srv.Shutdown)); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := wstest.Receive(t, "a Wait from before Start", waits); err != nil {
		t.Errorf("Wait: %v", err)
	}
	for range 2 { // it stays so
		if err := srv.Start(); !errors.Is(err, perch.ErrServerClosed) {
			t.Errorf("Start after Shutdown: %v", err)
		}
		if err := promptly(t, "ListenAndServe", srv.ListenAndServe); !errors.Is(err, perch.ErrServerClosed) {
			t.Errorf("ListenAndServe after Shutdown: %v", err)
		}
		if err := errors.Join(promptly(t, "Shutdown", background(srv.Shutdown)), promptly(t, "Close", srv.Close), promptly(t, "Wait", srv.Wait)); err != nil {
			t.Errorf("once more: %v", err)
		}
		promptly(t, "Stats", srv.Stats)
	}

	for name, stop := range map[string]func(*perch.Server) error{
		"Shutdown": func(srv *perch.Server) error { return srv.Shutdown(context.Background()) }, "Close": (*perch.Server).Close,
	} {
		srv := fresh()
		go func() { waits <- srv.Wait() }()
		for range 2 {
			if err := promptly(t, name, func() error { return stop(srv) }); err != nil {
				t.Errorf("%s before Start: %v", name, err)
			}
		}
		if err := wstest.Receive(t, "Wait", waits); !errors.Is(err, perch.ErrServerClosed) {
			t.Errorf("Wait after %s before Start: %v", name, err)
		}
		if err := promptly(t, "ListenAndServe", srv.ListenAndServe); !errors.Is(err, perch.ErrServerClosed) {
			t.Errorf("%s was lost: %v", name, err)
		}
	}

	// A Start that fails may be tried again.
	taken := fresh()
	if err := taken.Start(); err != nil {
		t.Fatal(err)
	}
	second := perch.New(perch.Config{Addr: taken.Addr().String(), Loops: 1})
	if err := second.Start(); err == nil {
		t.Error("the address is taken twice")
	}
	if err := promptly(t, "Wait", second.Wait); err == nil || errors.Is(err, perch.ErrServerClosed) {
		t.Errorf("Wait after a Start that has failed: %v", err)
	}
	taken.Close()
	if err := second.Start(); err != nil {
		t.Errorf("the second try: %v", err)
	}
	go func() { waits <- second.Wait() }()
	second.Close()
	if err := wstest.Receive(t, "Wait", waits); err != nil {
		t.Errorf("Wait after the second try: %v", err)
	}
	bad := perch.New(perch.Config{Loops: -1})
	go func() { waits <- bad.Wait() }()
	if err := bad.ListenAndServe(); err == nil || !strings.Contains(err.Error(), "Loops") {
		t.Errorf("%v", err)
	}
	if err := wstest.Receive(t, "a Wait from before it", waits); err == nil || !strings.Contains(err.Error(), "Loops") {
		t.Errorf("Wait for a Start that fails: %v", err)
	}
	if err := promptly(t, "Close", bad.Close); err != nil {
		t.Errorf("%v", err)
	}
	for name, stop := range map[string]func(*perch.Server){
		"Shutdown": func(srv *perch.Server) { srv.Shutdown(context.Background()) }, "Close": func(srv *perch.Server) { srv.Close() },
	} {
		srv := fresh()
		go func() { waits <- srv.ListenAndServe() }()
		wstest.Eventually(t, "it listens", func() bool { return srv.Addr() != nil })
		stop(srv)
		if err := wstest.Receive(t, "ListenAndServe", waits); !errors.Is(err, perch.ErrServerClosed) {
			t.Errorf("ListenAndServe ended by %s: %v", name, err)
		}
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		if err := srv.Shutdown(ended); err != nil {
			t.Errorf("Shutdown of what has ended, with a context that has: %v", err)
		}
	}
}

// All of it at once, from many goroutines.
func TestLifecycleAtOnce(t *testing.T) {
	wstest.NoLeaks(t)
	for range 20 {
		srv := perch.New(perch.Config{Addr: "127.0.0.1:0", Loops: 2})
		srv.Handle("/ws", enginetest.Echo())
		var all sync.WaitGroup
		for _, f := range []func(){
			func() { srv.ListenAndServe() }, func() { srv.Start() }, func() { srv.Wait() }, func() { srv.Stats() }, func() { srv.Addr() },
			func() { srv.Shutdown(context.Background()) }, func() { srv.Close() },
			func() { srv.Dial(context.Background(), "ws://127.0.0.1:1/", perch.Handler{}) },
		} {
			all.Go(f)
		}
		promptly(t, "all of it", func() bool { all.Wait(); return true })
	}
}

// What waits for loops says so when it is called on one, and does its part.
func TestLifecycleOnLoop(t *testing.T) {
	for name, stop := range map[string]func(*perch.Server) error{
		"Shutdown": func(srv *perch.Server) error { return srv.Shutdown(context.Background()) }, "Close": (*perch.Server).Close, "Wait": (*perch.Server).Wait,
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan error, 1)
			srv := enginetest.Start(t, perch.Config{}, func(srv *perch.Server) {
				srv.Handle("/ws", perch.Handler{OnMessage: func(perch.Conn, perch.Opcode, []byte) {
					srv.Stats()
					got <- stop(srv)
				}})
			})
			c := enginetest.Dial(t, srv)
			c.Send(wstest.Text("x"))
			if err := wstest.Receive(t, "it returns", got); !errors.Is(err, perch.ErrOnLoop) {
				t.Errorf("%v", err)
			}
			switch name {
			case "Shutdown":
				c.AnswerClose(perch.CloseGoingAway)
				fallthrough
			case "Close":
				if err := promptly(t, "the end", srv.Wait); err != nil {
					t.Errorf("%v", err)
				}
			}
		})
	}
}

// A callback that does not return holds up neither Shutdown nor Close nor Stats, and is
// named: while it blocks, once, with its stack.
func TestStuckCallback(t *testing.T) {
	out := new(enginetest.Buffer)
	release, opened := make(chan struct{}), make(chan perch.ID, 1)
	srv := enginetest.Start(t, perch.Config{Loops: 2, Logger: slog.New(slog.NewTextHandler(out, nil))}, func(srv *perch.Server) {
		srv.Handle("/ws", perch.Handler{
			OnOpen:    func(c perch.Conn, _ *perch.Request) { opened <- c.ID() },
			OnMessage: func(perch.Conn, perch.Opcode, []byte) { blockHere(release) },
		})
		srv.Handle("/other", enginetest.Echo())
	})
	stuck := enginetest.Dial(t, srv)
	stuck.Send(wstest.Text("x"))
	enginetest.AwaitStats(t, srv, "a loop is stuck", func(s *perch.Stats) bool { return s.Stuck == 1 })
	enginetest.AwaitStats(t, srv, "it is named", func(*perch.Stats) bool { return strings.Contains(out.String(), "blockHere") })
	for range 3 { // none of which tells it again
		promptly(t, "Stats", srv.Stats)
	}
	enginetest.AwaitStats(t, srv, "it is still stuck", func(s *perch.Stats) bool { return s.Stuck == 1 && s.Connections == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	var late *perch.ShutdownError
	if err := promptly(t, "Shutdown", func() error { return srv.Shutdown(ctx) }); !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &late) || late.Stuck != 1 ||
		!strings.Contains(err.Error(), "blocked in a callback") {
		t.Errorf("Shutdown: %v", err)
	}
	if err := promptly(t, "Close", srv.Close); !errors.As(err, &late) || late.Stuck != 1 {
		t.Errorf("Close: %v", err)
	}
	if s := out.String(); strings.Count(s, "a callback blocks its loop") != 1 || !strings.Contains(s, "connection_id="+(<-opened).String()) {
		t.Errorf("logged %s", s)
	}
	close(release)
	if err := promptly(t, "the end", srv.Wait); err != nil {
		t.Errorf("%v", err)
	}
}

func blockHere(c chan struct{}) { <-c }

// An error names the package once, however many errors it is made of.
func TestErrorsReadWell(t *testing.T) {
	srv := enginetest.Start(t, perch.Config{Addr: "-"}, nil)
	closed := make(chan *perch.CloseError, 1)
	h := perch.Handler{OnClose: func(_ perch.Conn, err *perch.CloseError) { closed <- err }}
	ln := wstest.Listen(t)
	ln.Close()
	if err := srv.Dial(context.Background(), enginetest.URL(ln.Addr()), h); err != nil {
		t.Fatal(err)
	}
	bad := h
	bad.Settings.MaxMessageSize = -7
	for _, err := range []error{
		wstest.Receive(t, "OnClose", closed), srv.Dial(context.Background(), "http://x", h), srv.Dial(context.Background(), "ws://127.0.0.1:1/", bad),
		perch.New(perch.Config{MaxOutput: -3}).Start(), perch.New(perch.Config{Addr: "127.0.0.1:x"}).Start(),
	} {
		if err == nil || strings.Count(err.Error(), "perch:") != 1 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q", err)
		}
	}
}
