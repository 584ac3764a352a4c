//go:build linux

package lifecycle_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// echoUntilClosed sends and reads until the server closes, and answers that.
func echoUntilClosed(c *wstest.Conn, first func()) (frame.CloseCode, error) {
	for n := 0; ; n++ {
		if err := c.TrySend(wstest.Text("load")); err != nil {
			return 0, err
		}
		f, err := c.Next()
		if err != nil {
			return 0, err
		}
		if f.Op == frame.OpClose {
			code, _ := f.CloseInfo()
			if err := c.TrySend(wstest.Close(code, "")); err != nil {
				return code, err
			}
			if _, err = c.Next(); !errors.Is(err, io.EOF) {
				return code, err
			}
			return code, nil
		}
		if n == 0 {
			first()
		}
	}
}

// Every client of a busy server sees 1001 and then the end of the stream.
func TestShutdownUnderLoad(t *testing.T) {
	const clients = 100
	var closed atomic.Int64
	srv := enginetest.StartRoute(t, perch.Config{Rate: enginetest.Unlimited}, perch.Handler{
		OnMessage: enginetest.Echo().OnMessage,
		OnClose: func(_ perch.Conn, err *perch.CloseError) {
			if err.Code == perch.CloseGoingAway && !err.Remote && errors.Is(err, perch.ErrShutdown) {
				closed.Add(1)
			}
		},
	})
	var ready, done sync.WaitGroup
	for range clients {
		c := enginetest.Dial(t, srv)
		ready.Add(1)
		done.Go(func() {
			if code, err := echoUntilClosed(c, ready.Done); code != perch.CloseGoingAway || err != nil {
				t.Errorf("closed with %v, then %v", code, err)
			}
		})
	}
	ready.Wait()
	enginetest.ExpectShutdown(t, srv, enginetest.Shutdown(t, srv))
	done.Wait()
	if n := closed.Load(); n != clients {
		t.Errorf("OnClose was called for %d of %d", n, clients)
	}
	if s := srv.Stats(); s.CloseCodes[1] != clients {
		t.Errorf("%d closed with 1001", s.CloseCodes[1])
	}
}

// Who has not finished the handshake is told to come back, also when nothing of
// the request has come yet.
func TestShutdownRefusesHandshakes(t *testing.T) {
	deciding, decide := make(chan bool), make(chan bool)
	srv := enginetest.Start(t, perch.Config{Loops: 1}, func(srv *perch.Server) {
		srv.Handle("/ws", enginetest.Echo())
		srv.HandleBlocking("/slow", perch.BlockingHandler{
			OnUpgrade: func(*perch.Request) perch.Response { deciding <- true; <-decide; return perch.Response{} },
			OnOpen:    func(perch.Ref, *perch.Request) { t.Error("opened after Shutdown") },
		})
	})
	silent, half, slow := wstest.Connect(t, srv.Addr().String()), wstest.Connect(t, srv.Addr().String()), wstest.Connect(t, srv.Addr().String())
	request := wstest.Request("test", "/ws")
	half.Write(request[:len(request)/2])
	slow.Write(wstest.Request("test", "/slow"))
	wstest.Receive(t, "OnUpgrade", deciding)
	enginetest.AwaitStats(t, srv, "half the request is read", func(s *perch.Stats) bool {
		return s.Accepted == 3 && s.BytesReceived == uint64(len(request)/2+len(wstest.Request("test", "/slow")))
	})
	result := enginetest.Shutdown(t, srv)
	for _, c := range []*wstest.Conn{silent, half} {
		if r := c.ReadResponse(); r.Status != 503 || r.Header("Retry-After") == "" {
			t.Errorf("answered %d\n%s", r.Status, r.Head)
		}
		c.Close()
	}
	close(decide)
	if r := slow.ReadResponse(); r.Status != 503 || r.Header("Retry-After") == "" {
		t.Errorf("decided too late, answered %d", r.Status)
	}
	slow.Close()
	enginetest.ExpectShutdown(t, srv, result)
}

// What the kernel has accepted for us is answered, not reset.
func TestShutdownDrainsAcceptQueue(t *testing.T) {
	const clients = 200 // more than one turn accepts
	blocked, release := make(chan bool), make(chan bool)
	srv := enginetest.StartRoute(t, perch.Config{Loops: 1}, perch.Handler{
		OnMessage: func(perch.Conn, perch.Opcode, []byte) { blocked <- true; <-release },
	})
	first := enginetest.Dial(t, srv)
	first.Send(wstest.Text("block"))
	wstest.Receive(t, "OnMessage", blocked)
	var waiting []*wstest.Conn
	for range clients {
		c := wstest.Connect(t, srv.Addr().String())
		c.Write(wstest.Request("test", "/ws"))
		waiting = append(waiting, c)
	}
	result := enginetest.Shutdown(t, srv)
	wstest.Eventually(t, "Shutdown has begun", func() bool {
		return errors.Is(srv.Dial(context.Background(), "ws://127.0.0.1:1/", perch.Handler{}), perch.ErrServerClosed)
	})
	close(release)
	first.AnswerClose(perch.CloseGoingAway)
	for i, c := range waiting {
		switch r, err := c.TryReadResponse(); {
		case err != nil:
			t.Fatalf("client %d: %v", i, err)
		case r.Status == 101: // it was quicker than Shutdown
			c.AnswerClose(perch.CloseGoingAway)
		case r.Status != 503:
			t.Errorf("client %d: answered %d", i, r.Status)
		}
		c.Close()
	}
	enginetest.ExpectShutdown(t, srv, result)
	if s := srv.Stats(); s.Accepted != clients+1 {
		t.Errorf("accepted %d of %d", s.Accepted, clients+1)
	}
}

// The deadline resets who does not answer, with and without net/http beside it.
func TestShutdownDeadline(t *testing.T) {
	for name, handler := range map[string]http.Handler{"alone": nil, "with net/http": http.NotFoundHandler()} {
		t.Run(name, func(t *testing.T) {
			closed := make(chan *perch.CloseError, 1)
			srv := enginetest.StartRoute(t, perch.Config{CloseTimeout: time.Hour, HTTP: handler}, perch.Handler{
				OnClose: func(_ perch.Conn, err *perch.CloseError) { closed <- err },
			})
			c := enginetest.Dial(t, srv)
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			result := make(chan error, 1)
			go func() { result <- srv.Shutdown(ctx) }()
			if err := wstest.Receive(t, "Shutdown", result); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Shutdown: %v", err)
			}
			c.ExpectClose(perch.CloseGoingAway)
			if f, err := c.Next(); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("got %v, %v, want RST", f, err)
			}
			if err := wstest.Receive(t, "OnClose", closed); err.Code != perch.CloseGoingAway || !errors.Is(err, perch.ErrShutdown) {
				t.Errorf("OnClose: %v", err)
			}
			if err := srv.Wait(); err != nil {
				t.Errorf("Wait: %v", err)
			}
		})
	}
}

// Close does not wait for anybody: not for peers, and not for a handler that
// blocks. Its OnClose is called when it has returned.
func TestCloseWithBlockedWorker(t *testing.T) {
	blocked, release := make(chan bool), make(chan bool)
	closed := make(chan *perch.CloseError, 2)
	srv := enginetest.Start(t, perch.Config{Workers: 1, CloseTimeout: time.Hour, HTTP: http.NotFoundHandler()}, func(srv *perch.Server) {
		srv.HandleBlocking("/ws", perch.BlockingHandler{
			OnMessage: func(perch.Ref, perch.Opcode, []byte) { blocked <- true; <-release },
			OnClose:   func(_ perch.Ref, err *perch.CloseError) { closed <- err },
		})
	})
	c, idle := enginetest.Dial(t, srv), enginetest.Dial(t, srv)
	c.Send(wstest.Text("block"))
	wstest.Receive(t, "OnMessage", blocked)
	done := make(chan error, 1)
	go func() { done <- srv.Close() }()
	if err := wstest.Receive(t, "Close", done); err != nil {
		t.Errorf("Close: %v", err)
	}
	c.ExpectGone()
	idle.ExpectGone()
	close(release)
	for range 2 {
		if err := wstest.Receive(t, "OnClose", closed); !errors.Is(err, perch.ErrShutdown) {
			t.Errorf("OnClose: %v", err)
		}
	}
}

// Shutdown waits for the answer to a plain request that is under way.
func TestShutdownWaitsForHTTP(t *testing.T) {
	serving, finish := make(chan bool), make(chan bool)
	srv := enginetest.Start(t, perch.Config{HTTP: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		serving <- true
		<-finish
		io.WriteString(w, "done")
	})}, nil)
	c := wstest.Connect(t, srv.Addr().String())
	c.Write([]byte("GET / HTTP/1.1\r\nHost: test\r\n\r\n"))
	wstest.Receive(t, "the request", serving)
	result := enginetest.Shutdown(t, srv)
	wstest.Eventually(t, "Shutdown has begun", func() bool {
		return errors.Is(srv.Dial(context.Background(), "ws://127.0.0.1:1/", perch.Handler{}), perch.ErrServerClosed)
	})
	select {
	case err := <-result:
		t.Errorf("Shutdown did not wait: %v", err)
	default:
	}
	close(finish)
	if r := c.ReadResponse(); r.Status != 200 || r.Body != "done" {
		t.Errorf("answered %d %q", r.Status, r.Body)
	}
	enginetest.ExpectShutdown(t, srv, result)
}

// Whoever stops the server first, and however often: it is stopped once.
func TestCloseTwice(t *testing.T) {
	srv := enginetest.StartRoute(t, perch.Config{}, enginetest.Echo())
	enginetest.Dial(t, srv)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { srv.Close() })
		all.Go(func() { srv.Shutdown(context.Background()) })
	}
	all.Wait()
	if err := srv.Wait(); err != nil {
		t.Errorf("Wait: %v", err)
	}
	if err := srv.Close(); err != nil {
		t.Errorf("Close of a closed server: %v", err)
	}
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Errorf("Shutdown of a closed server: %v", err)
	}
	if err := srv.Dial(context.Background(), "ws://127.0.0.1:1/", perch.Handler{}); !errors.Is(err, perch.ErrServerClosed) {
		t.Errorf("Dial of a closed server: %v", err)
	}
}
