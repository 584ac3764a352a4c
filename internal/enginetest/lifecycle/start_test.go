//go:build linux

package lifecycle_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// A port that is taken is an error that says so, also when the other one is a
// Server, whose loops share it. Once it is free the same Server starts.
func TestStartOnTakenPort(t *testing.T) {
	wstest.NoLeaks(t)
	other := perch.New(perch.Config{Addr: "127.0.0.1:0", Loops: 2})
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	addr := other.Addr().String()
	srv := perch.New(perch.Config{Addr: addr, Loops: 2})
	srv.Handle("/ws", enginetest.Echo())
	err := srv.Start()
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), addr) {
		t.Fatalf("started on a taken port: %v", err)
	}
	if err := srv.ListenAndServe(); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("ListenAndServe: %v", err)
	}
	other.Close()
	other.Wait()
	if err := srv.Start(); err != nil {
		t.Fatalf("the port is free: %v", err)
	}
	c := wstest.Dial(t, addr, "/ws")
	c.Send(wstest.Text("hello"))
	c.ExpectText("hello")
	if err := srv.Start(); err == nil {
		t.Error("started twice")
	}
	srv.Close()
	if err := srv.Wait(); err != nil {
		t.Errorf("Wait: %v", err)
	}
	if err := srv.Start(); err == nil {
		t.Error("started again after Close")
	}
}

// TestProcessors: loops keep their Ps through short sleeps, so there are as many
// more while they run, and all others have what they had.
func TestProcessors(t *testing.T) {
	wstest.NoLeaks(t)
	before := runtime.GOMAXPROCS(0)
	var servers []*perch.Server
	for i, loops := range []int{3, 1} {
		srv := perch.New(perch.Config{Addr: "127.0.0.1:0", Loops: loops})
		if err := srv.Start(); err != nil {
			t.Fatal(err)
		}
		servers = append(servers, srv)
		if got, want := runtime.GOMAXPROCS(0), before+[]int{3, 4}[i]; got != want {
			t.Errorf("%d Ps, want %d", got, want)
		}
	}
	for _, srv := range servers {
		srv.Close()
		srv.Wait()
	}
	if got := runtime.GOMAXPROCS(0); got != before {
		t.Errorf("%d Ps when all loops have ended, want %d", got, before)
	}
}

// Where GOMAXPROCS is to stay, it does: loops share what there is, with each other and
// with all else.
func TestKeepGOMAXPROCS(t *testing.T) {
	wstest.NoLeaks(t)
	before := runtime.GOMAXPROCS(0)
	srv := perch.New(perch.Config{Addr: "127.0.0.1:0", Loops: 2 * before, KeepGOMAXPROCS: true,
		HTTP: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "plain") })})
	srv.Handle("/ws", enginetest.Echo())
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	for range 4 * before {
		c := enginetest.Dial(t, srv)
		c.Send(wstest.Text("x"))
		if got, err := c.Next(); err != nil || string(got.Payload) != "x" {
			t.Errorf("echo: %v, %v", got, err)
		}
	}
	resp, err := http.Get("http://" + srv.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "plain" {
		t.Errorf("%q, %v", body, err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if got := runtime.GOMAXPROCS(0); got != before {
		t.Errorf("%d Ps, want %d", got, before)
	}
	srv.Close()
	if got := runtime.GOMAXPROCS(0); got != before {
		t.Errorf("%d Ps at the end, want %d", got, before)
	}
}

// Nonsense in the configuration is reported by Start, by the name of the key.
func TestStartWithBadConfig(t *testing.T) {
	for key, cfg := range map[string]perch.Config{
		"MaxMessageSize": {MaxMessageSize: -2},
		"PingTimeout":    {PingInterval: time.Second, PingTimeout: time.Second},
		"Loops":          {Loops: -1},
		"Rate.Burst":     {Rate: perch.Rate{Burst: -7}},
		"CloseTimeout":   {CloseTimeout: -time.Second},
	} {
		srv := perch.New(cfg)
		srv.Handle("/ws", enginetest.Echo())
		if err := srv.Start(); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
			srv.Close()
		}
	}
}

// Handlers belong to the time before Start.
func TestHandleAfterStart(t *testing.T) {
	srv := enginetest.StartRoute(t, perch.Config{}, enginetest.Echo())
	defer func() {
		if recover() == nil {
			t.Error("Handle after Start did not panic")
		}
	}()
	srv.Handle("/late", enginetest.Echo())
}

// A server without a listener is for clients.
func TestServerWithoutListener(t *testing.T) {
	to := enginetest.StartRoute(t, perch.Config{}, enginetest.Echo())
	from := enginetest.Start(t, perch.Config{Addr: "-"}, nil)
	got := make(chan string, 1)
	err := from.Dial(context.Background(), "ws://"+to.Addr().String()+"/ws", perch.Handler{
		OnOpen:    func(c perch.Conn, _ *perch.Request) { c.SendText("hello") },
		OnMessage: func(_ perch.Conn, _ perch.Opcode, p []byte) { got <- string(p) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if s := wstest.Receive(t, "the echo", got); s != "hello" {
		t.Errorf("got %q", s)
	}
	if s := from.Stats(); s.Opened != 1 || s.Accepted != 0 {
		t.Errorf("%d opened, %d accepted", s.Opened, s.Accepted)
	}
}

// Connections cost no goroutine.
func TestNoGoroutinePerConnection(t *testing.T) {
	srv := enginetest.StartRoute(t, perch.Config{}, enginetest.Echo())
	c := enginetest.Dial(t, srv)
	c.Send(wstest.Text("warm"))
	c.ExpectText("warm")
	before := runtime.NumGoroutine()
	for range 300 {
		enginetest.Dial(t, srv)
	}
	if s := srv.Stats(); s.Opened != 301 {
		t.Fatalf("%d opened", s.Opened)
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before 300 connections, %d with them", before, after)
	}
}

// 10,000 connections come and go in every way there is, and leave nothing: no
// slot, no descriptor, no goroutine.
func TestTenThousandComeAndGo(t *testing.T) {
	const each, clients = 2500, 4
	srv := enginetest.StartRoute(t, perch.Config{NewConnectionsPerSecond: -1, CloseTimeout: 5 * time.Second}, enginetest.Echo())
	addr := srv.Addr().String()
	ways := []func(c *wstest.Conn) error{
		func(c *wstest.Conn) error { // in order
			if err := c.TrySend(wstest.Text("x"), wstest.Close(perch.CloseNormal, "")); err != nil {
				return err
			}
			if f, err := c.Next(); err != nil || f.Op != perch.Text {
				return errors.Join(err, errors.New("no echo"))
			}
			_, err := c.Next()
			c.Close()
			return err
		},
		func(c *wstest.Conn) error { c.Close(); return nil },
		func(c *wstest.Conn) error { c.Reset(); return nil },
	}
	run := func(t *testing.T, rounds int) {
		var all sync.WaitGroup
		for range clients {
			all.Go(func() {
				for n := range rounds {
					c := wstest.Connect(t, addr)
					request := wstest.Request("test", "/ws")
					if n%4 == 3 { // in the handshake
						c.TryWrite(request[:n%len(request)])
						c.Reset()
						continue
					}
					c.TryWrite(request)
					if r, err := c.TryReadResponse(); err != nil || r.Status != 101 {
						t.Errorf("upgrade: %v", err)
						return
					}
					if err := ways[n%4](c); err != nil {
						t.Errorf("way %d: %v", n%4, err)
					}
				}
			})
		}
		all.Wait()
		enginetest.AwaitStats(t, srv, "all are gone", func(s *perch.Stats) bool { return s.Connections == 0 && s.Opened == s.Closed })
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	t.Run("some", func(t *testing.T) { run(t, 200) }) // what is kept for reuse is there then
	before := heap()
	t.Run("all", func(t *testing.T) { run(t, each-200) })
	after := heap()
	if after > before+256<<10 {
		t.Errorf("the heap has grown from %d to %d bytes", before, after)
	}
	if s := srv.Stats(); s.Opened != clients*each*3/4 || s.Accepted != clients*each {
		t.Errorf("%d accepted, %d opened", s.Accepted, s.Opened)
	}
}
