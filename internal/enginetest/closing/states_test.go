//go:build linux

package closing_test

import (
	"errors"
	"io"
	"syscall"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// stuckBytes wait, at least, behind what the kernel has taken for a peer that
// does not read.
const stuckBytes = 128 << 10

// states brings a fresh connection of a server with ordersHandler into a state.
// queued is the number of messages that the client has not read.
var states = []struct {
	name  string
	enter func(t *testing.T, srv *perch.Server) (c *wstest.Conn, queued int)

	remote bool            // what OnClose is told by the end of a connection in this state
	code   perch.CloseCode // 0: OnClose is not called
	cause  error           // of a reset, nil: none
	eof    error           // of FIN, nil: none
}{
	{name: "handshake", enter: func(t *testing.T, srv *perch.Server) (*wstest.Conn, int) {
		c := wstest.Connect(t, srv.Addr().String())
		c.Write([]byte("GET /ws HTTP/1.1\r\nHost: a\r\n"))
		enginetest.AwaitStats(t, srv, "the head has begun", func(s *perch.Stats) bool { return s.BytesReceived > 20 })
		return c, 0
	}},
	{name: "open", remote: true, code: frame.CloseAbnormal, cause: syscall.ECONNRESET, eof: io.EOF,
		enter: func(t *testing.T, srv *perch.Server) (*wstest.Conn, int) { return enginetest.Dial(t, srv), 0 }},
	{name: "open, message begun", remote: true, code: frame.CloseAbnormal, cause: syscall.ECONNRESET, eof: io.EOF,
		enter: func(t *testing.T, srv *perch.Server) (*wstest.Conn, int) {
			c := enginetest.Dial(t, srv)
			before := srv.Stats().BytesReceived
			c.Write(c.Encode(wstest.Text("only the first half of this"))[:20])
			enginetest.AwaitStats(t, srv, "half a frame is read", func(s *perch.Stats) bool { return s.BytesReceived == before+20 })
			return c, 0
		}},
	{name: "closing", code: perch.CloseNormal, cause: syscall.ECONNRESET, eof: io.EOF,
		enter: func(t *testing.T, srv *perch.Server) (*wstest.Conn, int) {
			c := enginetest.Dial(t, srv)
			c.Send(wstest.Text("close"))
			c.ExpectClose(perch.CloseNormal)
			return c, 0
		}},
	{name: "closing, output left", code: perch.CloseNormal, cause: syscall.ECONNRESET, eof: io.EOF,
		enter: func(t *testing.T, srv *perch.Server) (*wstest.Conn, int) {
			c, n := enterStuck(t, srv)
			c.Send(wstest.Text("close"))
			enginetest.AwaitStats(t, srv, "close is ordered", func(s *perch.Stats) bool { return s.MessagesReceived == 2 })
			return c, n
		}},
	{name: "replying", remote: true, code: 4001,
		enter: func(t *testing.T, srv *perch.Server) (*wstest.Conn, int) {
			return behindStuck(t, srv, wstest.Close(4001, "done"))
		}},
	{name: "draining", remote: true, code: frame.CloseAbnormal, cause: io.EOF, eof: io.EOF,
		enter: func(t *testing.T, srv *perch.Server) (*wstest.Conn, int) {
			c, n := enterStuck(t, srv)
			c.CloseWrite()
			before := srv.Stats().Ticks.Count
			enginetest.AwaitStats(t, srv, "the FIN is read", func(s *perch.Stats) bool { return s.Ticks.Count >= before+3 })
			return c, n
		}},
	{name: "failing", code: frame.CloseProtocolError, cause: frame.ErrRSV, eof: frame.ErrRSV,
		enter: func(t *testing.T, srv *perch.Server) (*wstest.Conn, int) {
			return behindStuck(t, srv, wstest.Frame{Op: frame.OpText, Rsv: 4})
		}},
	{name: "lingering", code: frame.CloseProtocolError, cause: frame.ErrRSV, eof: frame.ErrRSV,
		enter: func(t *testing.T, srv *perch.Server) (*wstest.Conn, int) {
			c := enginetest.Dial(t, srv)
			c.Send(wstest.Frame{Op: frame.OpText, Rsv: 4})
			c.ExpectFail(frame.CloseProtocolError)
			return c, 0
		}},
}

// ordersHandler does what it is told: "close", "fill".
func ordersHandler(ended enginetest.Closes, filled chan<- int) perch.Handler {
	return perch.Handler{
		OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) {
			switch string(p) {
			case "close":
				c.Close(perch.CloseNormal, "as you wish")
			case "fill":
				filled <- enginetest.Fill(c, enginetest.FillSize, stuckBytes)
			}
		},
		OnClose: ended.Note,
	}
}

// enterStuck opens a connection and stops reading from it.
func enterStuck(t *testing.T, srv *perch.Server) (*wstest.Conn, int) {
	t.Helper()
	c := enginetest.Dial(t, srv)
	c.Send(wstest.Text("fill"))
	s := enginetest.AwaitStats(t, srv, "the socket is full", func(s *perch.Stats) bool { return s.QueuedBytes >= stuckBytes/2 })
	return c, int(s.MessagesSent)
}

// behindStuck sends a frame on a connection whose output is stuck and waits
// until it is acted on.
func behindStuck(t *testing.T, srv *perch.Server, f wstest.Frame) (*wstest.Conn, int) {
	t.Helper()
	c, n := enterStuck(t, srv)
	before := srv.Stats()
	c.Send(f)
	enginetest.AwaitStats(t, srv, "the frame is read", func(s *perch.Stats) bool { return s.BytesReceived > before.BytesReceived })
	return c, n
}

func TestResetInEveryState(t *testing.T) {
	for _, st := range states {
		t.Run(st.name, func(t *testing.T) {
			ended, filled := make(enginetest.Closes, 16), make(chan int, 1)
			srv := enginetest.StartRoute(t, perch.Config{Loops: 1}, ordersHandler(ended, filled))
			c, _ := st.enter(t, srv)
			c.Reset()
			if st.code == 0 {
				enginetest.AwaitStats(t, srv, "the connection is gone", func(s *perch.Stats) bool { return s.Connections == 0 })
				if len(ended) != 0 {
					t.Errorf("OnClose was called without OnOpen: %v", <-ended)
				}
				return
			}
			err := ended.One(t, srv)
			if err.Code != st.code || err.Remote != st.remote {
				t.Errorf("closed with %v, remote %v, want %v, %v", err.Code, err.Remote, st.code, st.remote)
			}
			// the RST may be faster than the FIN
			if st.name != "draining" || !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
				checkCause(t, err, st.cause)
			}
			if s := srv.Stats(); s.CloseTimeouts+s.WriteTimeouts+s.Panics != 0 {
				t.Errorf("it took a timeout to notice the RST: %+v", s)
			}
		})
	}
}

// A peer that sends FIN may still read: it gets all that was queued before it.
func TestHalfCloseInEveryState(t *testing.T) {
	for _, st := range states {
		t.Run(st.name, func(t *testing.T) {
			ended, filled := make(enginetest.Closes, 16), make(chan int, 1)
			srv := enginetest.StartRoute(t, perch.Config{Loops: 1}, ordersHandler(ended, filled))
			c, queued := st.enter(t, srv)
			if st.name != "draining" {
				c.CloseWrite()
			}
			enginetest.ExpectNumbered(c, t, 0, queued)
			if queued > 0 && st.name != "draining" {
				switch f, err := c.Next(); {
				case err != nil:
					t.Errorf("behind the messages: %v, want a close frame", err)
				case f.Op != frame.OpClose:
					t.Errorf("behind the messages: %v, want a close frame", f)
				}
			}
			if st.name != "lingering" { // there EOF was seen already
				c.ExpectEOF()
			}
			if st.code == 0 {
				enginetest.AwaitStats(t, srv, "the connection is gone", func(s *perch.Stats) bool { return s.Connections == 0 })
				return
			}
			err := ended.One(t, srv)
			if err.Code != st.code || err.Remote != st.remote {
				t.Errorf("closed with %v, remote %v, want %v, %v", err.Code, err.Remote, st.code, st.remote)
			}
			checkCause(t, err, st.eof)
			if s := srv.Stats(); s.CloseTimeouts+s.WriteTimeouts+s.Panics != 0 {
				t.Errorf("it took a timeout to notice the FIN: %+v", s)
			}
		})
	}
}

// checkCause wants err to be caused by want. A reset may also show as EPIPE, to
// a write that comes before the read.
func checkCause(t testing.TB, err *perch.CloseError, want error) {
	t.Helper()
	switch {
	case want == nil && err.Err != nil:
		t.Errorf("cause %v, want none", err.Err)
	case errors.Is(want, syscall.ECONNRESET) && errors.Is(err, syscall.EPIPE):
	case want != nil && !errors.Is(err, want):
		t.Errorf("cause %v, want %v", err.Err, want)
	}
}
