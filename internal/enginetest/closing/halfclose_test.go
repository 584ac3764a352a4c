//go:build linux

package closing_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// A client that has said all it has to say, and shuts its side, reads the answers
// still: those of handlers that block too.
func TestHalfClose(t *testing.T) {
	const messages = 200 // more than a worker has at a time
	closed := make(chan *perch.CloseError, 1)
	ended := func(err *perch.CloseError) { closed <- err }
	srv := enginetest.Start(t, perch.Config{Rate: enginetest.Unlimited}, func(srv *perch.Server) {
		h := enginetest.Echo()
		h.OnClose = func(_ perch.Conn, err *perch.CloseError) { ended(err) }
		srv.Handle("/inline", h)
		srv.HandleBlocking("/blocking", perch.BlockingHandler{
			OnMessage: func(c perch.Ref, op perch.Opcode, p []byte) { c.Send(op, p) },
			OnClose:   func(_ perch.Ref, err *perch.CloseError) { ended(err) },
		})
	})
	for _, path := range []string{"/inline", "/blocking"} {
		for _, n := range []int{0, 1, messages} {
			c := wstest.Dial(t, srv.Addr().String(), path)
			var all []wstest.Frame
			for i := range n {
				all = append(all, wstest.Text(fmt.Sprint(i)))
			}
			c.Send(all...)
			c.CloseWrite()
			for i := range n {
				c.ExpectText(fmt.Sprint(i))
			}
			c.ExpectEOF()
			if err := wstest.Receive(t, "OnClose", closed); err.Code != frame.CloseAbnormal || !err.Remote || !errors.Is(err, io.EOF) {
				t.Errorf("%s, %d messages: closed with %v", path, n, err)
			}
		}
	}
}

// A worker that is at it when the peer shuts its side: the answer waits for it,
// and the end for the answer. A peer that is gone altogether is not waited for.
func TestHalfCloseWhileWorking(t *testing.T) {
	begun, release := make(chan bool), make(chan bool)
	closed := make(chan *perch.CloseError, 1)
	srv := enginetest.Start(t, perch.Config{Loops: 1}, func(srv *perch.Server) {
		srv.HandleBlocking("/ws", perch.BlockingHandler{
			OnMessage: func(c perch.Ref, op perch.Opcode, p []byte) {
				begun <- true
				<-release
				if string(p) == "panic" {
					panic("as asked")
				}
				if string(p) == "close" {
					c.Close(perch.CloseNormal, "as asked")
					return
				}
				c.Send(op, p)
			},
			OnClose: func(_ perch.Ref, err *perch.CloseError) { closed <- err },
		})
	})
	ask := func(text string) *wstest.Conn {
		c := enginetest.Dial(t, srv)
		c.Send(wstest.Text(text))
		wstest.Receive(t, "the worker is at it", begun)
		return c
	}
	ticks := func() uint64 { return srv.Stats().Ticks.Count }
	for text, code := range map[string]perch.CloseCode{"hello": 0, "close": perch.CloseNormal, "panic": perch.CloseInternalError} {
		c := ask(text)
		c.CloseWrite()
		enginetest.Dial(t, srv).CloseHandshake(perch.CloseNormal) // the loop has seen the FIN by now
		wstest.Receive(t, "OnClose of the other", closed)
		before := ticks()
		c.ExpectSilence(0)
		if n := ticks() - before; n > 20 {
			t.Errorf("%s: %d turns while nothing happens", text, n)
		}
		release <- true
		if code == 0 {
			c.ExpectText(text)
		} else {
			c.ExpectClose(code)
		}
		c.ExpectEOF()
		wstest.Receive(t, "OnClose", closed)
	}
	c := ask("in vain")
	c.CloseWrite()
	c.Reset()
	release <- true
	wstest.Receive(t, "OnClose", closed)
	enginetest.AwaitStats(t, srv, "all are gone", func(s *perch.Stats) bool { return s.Connections == 0 })
}
