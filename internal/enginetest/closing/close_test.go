//go:build linux

package closing_test

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// Close while reading is paused: the answer of a peer that has read everything
// must still be heard.
func TestCloseWhilePaused(t *testing.T) {
	ended, sent := make(enginetest.Closes, 1), make(chan int, 1)
	srv := enginetest.StartRoute(t, perch.Config{Loops: 1, MaxOutput: 128 << 10, CloseTimeout: 10 * time.Second}, perch.Handler{
		OnMessage: func(c perch.Conn, _ perch.Opcode, _ []byte) {
			sent <- enginetest.Fill(c, enginetest.FillSize, 64<<10)
			c.Close(perch.CloseNormal, "enough")
		},
		OnClose: ended.Note,
	})
	c := enginetest.Dial(t, srv)
	c.Send(wstest.Text("go"))
	n := wstest.Receive(t, "fill", sent)
	if s := srv.Stats(); s.Pauses != 1 {
		t.Fatalf("%d pauses, want 1", s.Pauses)
	}
	enginetest.ExpectNumbered(c, t, 0, n)
	if reason := c.AnswerClose(perch.CloseNormal); reason != "enough" {
		t.Errorf("reason %q", reason)
	}
	if err := ended.One(t, srv); err.Code != perch.CloseNormal || err.Remote || err.Err != nil {
		t.Errorf("closed with %v", err)
	}
}

// What a handler sends can find out that the connection is broken, and the
// close that follows comes too late.
func TestCloseAfterBrokenSend(t *testing.T) {
	for name, last := range map[string]func(c perch.Conn){
		"close": func(c perch.Conn) { c.Close(perch.CloseNormal, "") },
		"panic": func(c perch.Conn) { panic("handler") },
	} {
		t.Run(name, func(t *testing.T) {
			ended, entered, gone := make(enginetest.Closes, 16), make(chan bool, 1), make(chan bool)
			srv := enginetest.StartRoute(t, perch.Config{Loops: 1}, perch.Handler{
				OnMessage: func(c perch.Conn, _ perch.Opcode, _ []byte) {
					entered <- true
					<-gone
					c.Send(perch.Binary, make([]byte, 64<<10-frame.MaxHeaderSize)) // the cork has no room for more
					last(c)
				},
				OnClose: ended.Note,
			})
			c := enginetest.Dial(t, srv)
			c.Send(wstest.Text("go"))
			wstest.Receive(t, "OnMessage", entered)
			c.Reset()
			close(gone)
			ended.One(t, srv)
			want := uint64(0)
			if name == "panic" {
				want = 1
			}
			if s := srv.Stats(); s.Panics != want {
				t.Errorf("%d panics, want %d", s.Panics, want)
			}
		})
	}
}

// RFC 6455 §7.1.4 lets both sides send a close frame at the same time.
func TestSimultaneousClose(t *testing.T) {
	ended, closed, told := make(enginetest.Closes, 1), make(chan bool, 1), make(chan bool)
	srv := enginetest.StartRoute(t, perch.Config{Loops: 1}, perch.Handler{
		OnMessage: func(c perch.Conn, _ perch.Opcode, _ []byte) {
			c.Close(4002, "ours")
			closed <- true
			<-told // until the peer's close frame is in the socket
		},
		OnClose: ended.Note,
	})
	c := enginetest.Dial(t, srv)
	c.Send(wstest.Text("go"))
	wstest.Receive(t, "Close", closed)
	c.Send(wstest.Close(4003, "theirs"))
	close(told)
	if reason := c.ExpectClose(4002); reason != "ours" {
		t.Errorf("reason %q", reason)
	}
	c.ExpectEOF()
	if err := ended.One(t, srv); err.Code != 4002 || err.Remote || err.Err != nil {
		t.Errorf("closed with %v", err)
	}
}

func TestCloseFromOnOpen(t *testing.T) {
	ended := make(enginetest.Closes, 1)
	srv := enginetest.StartRoute(t, perch.Config{}, perch.Handler{
		OnOpen: func(c perch.Conn, _ *perch.Request) {
			c.SendText("no room")
			c.Close(perch.CloseTryAgainLater, "later")
		},
		OnMessage: func(perch.Conn, perch.Opcode, []byte) { t.Error("a message after Close was delivered") },
		OnClose:   ended.Note,
	})
	c := wstest.Connect(t, srv.Addr().String())
	c.Write(append(wstest.Request("a", "/ws"), c.Encode(wstest.Text("early"))...))
	c.ExpectUpgraded()
	c.ExpectText("no room")
	if reason := c.AnswerClose(perch.CloseTryAgainLater); reason != "later" {
		t.Errorf("reason %q", reason)
	}
	if err := ended.One(t, srv); err.Code != perch.CloseTryAgainLater || err.Remote {
		t.Errorf("closed with %v", err)
	}
}

func TestUseAfterClose(t *testing.T) {
	ended, results := make(enginetest.Closes, 1), make(chan []error, 2)
	srv := enginetest.StartRoute(t, perch.Config{}, perch.Handler{
		OnMessage: func(c perch.Conn, _ perch.Opcode, _ []byte) {
			results <- []error{
				c.Close(1005, ""), // not for the wire
				c.Send(frame.OpPing, nil),
				c.Close(4000, strings.Repeat("é", 100)),
				c.Close(4001, "twice"),
				c.SendText("late"),
				c.SendPrepared(perch.Prepare(perch.Text, []byte("late"))),
			}
		},
		OnClose: func(c perch.Conn, err *perch.CloseError) {
			results <- []error{c.SendText("late"), c.Close(4001, "late")}
			ended <- err
		},
	})
	c := enginetest.Dial(t, srv)
	c.Send(wstest.Text("go"))
	want := []error{perch.ErrCloseCode, perch.ErrOpcode, nil, perch.ErrClosed, perch.ErrClosed, perch.ErrClosed}
	for i, err := range wstest.Receive(t, "OnMessage", results) {
		if !errors.Is(err, want[i]) {
			t.Errorf("call %d: %v, want %v", i, err, want[i])
		}
	}
	// 123 bytes at most, and still UTF-8 (RFC 6455 §5.5): 61 letters of two bytes.
	if reason := c.AnswerClose(4000); reason != strings.Repeat("é", 61) {
		t.Errorf("reason %q, %d bytes", reason, len(reason))
	}
	for i, err := range wstest.Receive(t, "OnClose", results) {
		if !errors.Is(err, perch.ErrClosed) {
			t.Errorf("call %d in OnClose: %v, want ErrClosed", i, err)
		}
	}
	if err := ended.One(t, srv); err.Code != 4000 || err.Remote {
		t.Errorf("closed with %v", err)
	}
}

// A close can be the consequence of another.
func TestCloseFromOnCloseOfAnother(t *testing.T) {
	ended := make(enginetest.Closes, 2)
	var first, second perch.Conn // of the only loop
	opened := make(chan bool, 2)
	srv := enginetest.StartRoute(t, perch.Config{Loops: 1}, perch.Handler{
		OnOpen: func(c perch.Conn, _ *perch.Request) {
			first, second = second, c
			opened <- true
		},
		OnClose: func(c perch.Conn, err *perch.CloseError) {
			if c == first {
				second.SendText("alone")
				second.Close(4010, "with the other")
			}
			ended <- err
		},
	})
	a := enginetest.Dial(t, srv)
	wstest.Receive(t, "OnOpen", opened)
	b := enginetest.Dial(t, srv)
	wstest.Receive(t, "OnOpen", opened)
	a.CloseHandshake(perch.CloseNormal)
	b.ExpectText("alone")
	b.AnswerClose(4010)
	if err := wstest.Receive(t, "OnClose", ended); err.Code != perch.CloseNormal || !err.Remote {
		t.Errorf("first closed with %v", err)
	}
	if err := ended.One(t, srv); err.Code != 4010 || err.Remote {
		t.Errorf("second closed with %v", err)
	}
	if s := srv.Stats(); s.CloseCodes[0] != 1 || s.CloseCodes[17] != 1 {
		t.Errorf("close codes %v", s.CloseCodes)
	}
}

// A peer that does not answer our close frame is reset.
func TestCloseTimeout(t *testing.T) {
	ended := make(enginetest.Closes, 1)
	srv := enginetest.StartRoute(t, perch.Config{CloseTimeout: 100 * time.Millisecond}, perch.Handler{
		OnOpen:  func(c perch.Conn, _ *perch.Request) { c.Close(perch.CloseNormal, "") },
		OnClose: ended.Note,
	})
	c := enginetest.Dial(t, srv)
	c.ExpectClose(perch.CloseNormal)
	begun := time.Now()
	if f, err := c.Next(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, %v, want RST", f, err)
	}
	if took := time.Since(begun); took < 90*time.Millisecond {
		t.Errorf("reset after %v, before its time", took)
	}
	if err := ended.One(t, srv); err.Code != perch.CloseNormal || err.Remote || !errors.Is(err, perch.ErrCloseTimeout) {
		t.Errorf("closed with %v", err)
	}
	if s := srv.Stats(); s.CloseTimeouts != 1 {
		t.Errorf("%d close timeouts, want 1", s.CloseTimeouts)
	}
}

// Connections that are reset before anybody looked at them leave nothing behind.
func TestResetBeforeAccept(t *testing.T) {
	srv := enginetest.StartRoute(t, perch.Config{Loops: 1}, enginetest.Echo())
	for range 50 {
		nc, err := net.Dial("tcp", srv.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		nc.(*net.TCPConn).SetLinger(0)
		nc.Close()
	}
	enginetest.AwaitStats(t, srv, "all are gone", func(s *perch.Stats) bool { return s.Accepted == 50 && s.Connections == 0 })
	c := enginetest.Dial(t, srv)
	c.Send(wstest.Text("still here"))
	c.ExpectText("still here")
}
