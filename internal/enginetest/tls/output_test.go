//go:build linux

package tls_test

import (
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// A client that sends and does not read is not read either, and goes on when it
// takes its answers: none is lost, whatever waits sealed.
func TestTLSBackpressure(t *testing.T) {
	h := enginetest.Echo()
	eachVersion(t, perch.Config{MaxOutput: 256 << 10, Rate: enginetest.Unlimited}, h, func(t *testing.T, srv *perch.Server, client *tls.Config) {
		c := enginetest.DialTLS(t, srv, client)
		p := []byte(strings.Repeat("perch", 4000))
		const most = 2000
		sent := make(chan error, 1)
		go func() {
			for range most {
				if err := c.TrySend(wstest.Binary(p)); err != nil {
					sent <- err
					return
				}
			}
			sent <- nil
		}()
		enginetest.AwaitStats(t, srv, "reading has stopped", func(s *perch.Stats) bool { return s.Pauses > 0 })
		if n := srv.Stats().QueuedBytes; n == 0 || n > 512<<10 {
			t.Errorf("%d bytes are queued", n)
		}
		for range most {
			c.Expect(perch.Binary, p)
		}
		if err := wstest.Receive(t, "the sender", sent); err != nil {
			t.Fatal(err)
		}
		c.Send(wstest.Text("done"))
		c.ExpectText("done")
		c.CloseHandshake(perch.CloseNormal)
		enginetest.AwaitStats(t, srv, "nothing is queued", func(s *perch.Stats) bool { return s.QueuedBytes == 0 && s.Connections == 0 })
	})
}

// stuffed opens a connection whose client does not read, and has more sent to it,
// a megabyte at a time, than the sockets at both ends can ever take.
func stuffed(t *testing.T, srv *perch.Server, client *tls.Config, opened <-chan perch.Ref) *wstest.Conn {
	t.Helper()
	const sockets = 16 // megabytes; ours grows to tcp_wmem's 4, the client's no more
	c := enginetest.DialTLS(t, srv, client)
	c.TCP().SetReadBuffer(64 << 10)
	ref := wstest.Receive(t, "OnOpen", opened)
	p := make([]byte, 1<<20)
	for n := range 100 {
		if err := ref.Send(perch.Binary, p); err != nil {
			t.Fatal(err)
		}
		acted := make(chan bool, 1)
		ref.Do(func(perch.Conn) { acted <- true })
		wstest.Receive(t, "the loop", acted)
		if n >= sockets && srv.Stats().QueuedBytes > 1<<20 {
			return c
		}
	}
	t.Fatal("the socket takes everything")
	return nil
}

// A slow consumer is told so behind the frame that is being sent, one that takes
// nothing is reset, and a close waits for what is queued.
func TestTLSSlow(t *testing.T) {
	opened, closed := make(chan perch.Ref, 8), make(chan *perch.CloseError, 8)
	h := perch.Handler{
		OnOpen:  func(c perch.Conn, _ *perch.Request) { opened <- c.Ref() },
		OnClose: func(_ perch.Conn, err *perch.CloseError) { closed <- err },
	}
	t.Run("slow consumer", func(t *testing.T) {
		eachVersion(t, perch.Config{MaxOutput: 4 << 20}, h, func(t *testing.T, srv *perch.Server, client *tls.Config) {
			c := enginetest.DialTLS(t, srv, client)
			ref := wstest.Receive(t, "OnOpen", opened)
			for srv.Stats().SlowConsumers == 0 {
				ref.Send(perch.Binary, make([]byte, 1<<20))
			}
			for {
				f, err := c.Next()
				if err != nil {
					t.Fatal(err)
				}
				if f.Op == frame.OpClose {
					if code, _, _ := frame.ParseClose(f.Payload); code != perch.CloseSlowConsumer {
						t.Errorf("closed with %v", code)
					}
					break
				}
				if len(f.Payload) != 1<<20 {
					t.Fatalf("a frame of %d bytes", len(f.Payload))
				}
			}
			c.Send(wstest.Close(perch.CloseSlowConsumer, ""))
			c.ExpectEOF()
			if err := wstest.Receive(t, "OnClose", closed); !errors.Is(err, perch.ErrSlowConsumer) {
				t.Errorf("closed with %v", err)
			}
		})
	})
	t.Run("write timeout", func(t *testing.T) {
		eachVersion(t, perch.Config{MaxOutput: 64 << 20, WriteTimeout: 200 * time.Millisecond}, h, func(t *testing.T, srv *perch.Server, client *tls.Config) {
			stuffed(t, srv, client, opened)
			if err := wstest.Receive(t, "OnClose", closed); !errors.Is(err, perch.ErrWriteTimeout) {
				t.Errorf("closed with %v", err)
			}
			enginetest.AwaitStats(t, srv, "nothing is queued", func(s *perch.Stats) bool { return s.QueuedBytes == 0 })
		})
	})
	t.Run("shutdown", func(t *testing.T) {
		eachVersion(t, perch.Config{MaxOutput: 64 << 20}, h, func(t *testing.T, srv *perch.Server, client *tls.Config) {
			c := stuffed(t, srv, client, opened)
			down := enginetest.Shutdown(t, srv)
			for {
				f, err := c.Next()
				if err != nil {
					t.Fatal(err)
				}
				if f.Op == frame.OpClose {
					break
				}
			}
			c.Send(wstest.Close(perch.CloseGoingAway, ""))
			c.ExpectEOF()
			enginetest.ExpectShutdown(t, srv, down)
			wstest.Receive(t, "OnClose", closed)
		})
	})
	t.Run("RST", func(t *testing.T) {
		eachVersion(t, perch.Config{MaxOutput: 64 << 20}, h, func(t *testing.T, srv *perch.Server, client *tls.Config) {
			stuffed(t, srv, client, opened).Reset()
			wstest.Receive(t, "OnClose", closed)
			enginetest.AwaitStats(t, srv, "nothing is queued", func(s *perch.Stats) bool { return s.QueuedBytes == 0 && s.Connections == 0 })
		})
	})
}

// The answers of a blocking handler come before the end, be it FIN or
// close_notify alone, and however the worker takes its time.
func TestTLSAnswersBeforeTheEnd(t *testing.T) {
	for _, notify := range []bool{false, true} {
		gate := make(chan bool)
		cfg, client := enginetest.Secured(t, perch.Config{})
		srv := enginetest.Start(t, cfg, func(srv *perch.Server) {
			srv.HandleBlocking("/ws", perch.BlockingHandler{OnMessage: func(c perch.Ref, op perch.Opcode, p []byte) { <-gate; c.Send(op, p) }})
		})
		c := enginetest.DialTLS(t, srv, client)
		c.Send(wstest.Text("a"), wstest.Text("b"))
		if notify {
			c.NotifyClose()
		} else {
			c.CloseWrite()
		}
		close(gate)
		c.ExpectText("a")
		c.ExpectText("b")
		c.ExpectEOF()
	}
}

// A client may send close_notify right behind its close frame. Left unread, it would
// make our close a RST, which takes away what the client has not read yet.
func TestTLSNotifyBehindClose(t *testing.T) {
	busy, release := make(chan bool), make(chan bool)
	srv, client := startSecure(t, perch.Config{}, perch.Handler{OnMessage: func(perch.Conn, perch.Opcode, []byte) { busy <- true; <-release }})
	c := enginetest.DialTLS(t, srv, client)
	c.Send(wstest.Text("wait"), wstest.Close(perch.CloseNormal, ""))
	wstest.Receive(t, "OnMessage", busy)
	c.NotifyClose()
	close(release)
	c.ExpectClose(perch.CloseNormal)
	c.ExpectEOF()
	if n, err := c.TCP().Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("behind close_notify: %d bytes, %v, want FIN", n, err)
	}
}

// Private descriptor tables and TLS get on.
func TestTLSPrivateTables(t *testing.T) {
	enginetest.NeedPrivateTables(t)
	eachVersion(t, perch.Config{PrivateFDs: true}, enginetest.Echo(), func(t *testing.T, srv *perch.Server, client *tls.Config) {
		c := enginetest.DialTLS(t, srv, client)
		c.Send(wstest.Text("hello"))
		c.ExpectText("hello")
		c.CloseHandshake(perch.CloseNormal)
	})
}
