//go:build linux

package rooms_test

import (
	"bytes"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// segments is how many TCP segments with data the client has received.
func segments(t *testing.T, c *wstest.Conn) (n int) {
	t.Helper()
	raw, err := c.TCP().SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info *unix.TCPInfo
	raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Data_segs_in)
}

// expectPingThen reads a ping of the engine and, behind it, a text.
func expectPingThen(t *testing.T, c *wstest.Conn, text string) {
	t.Helper()
	p := enginetest.ExpectPing(t, c)
	c.ExpectText(text)
	c.Send(wstest.Pong(p))
}

// What OnPing sends leaves in one write with the ping, each time.
func TestOnPing(t *testing.T) {
	var calls atomic.Int64
	srv, connect := startMembers(t, perch.Config{PingInterval: 50 * time.Millisecond, PingTimeout: time.Minute}, perch.Handler{
		OnPing: func(c perch.Conn) { calls.Add(1); c.SendText("ping") },
	})
	c, _ := connect()
	for n := range 3 {
		expectPingThen(t, c, "ping")
		if got := segments(t, c); got != n+2 { // the response, then one each
			t.Errorf("ping %d: %d segments in all, want %d", n, got, n+2)
		}
	}
	if s := srv.Stats(); s.PingsSent != uint64(calls.Load()) || s.PingsSent < 3 {
		t.Errorf("%d pings, OnPing called %d times", s.PingsSent, calls.Load())
	}
}

// More than fits beside the ping is sent all the same, and in order.
func TestOnPingSendsMuch(t *testing.T) {
	const messages = 40
	_, connect := startMembers(t, perch.Config{PingInterval: 50 * time.Millisecond, PingTimeout: time.Minute}, perch.Handler{
		OnPing: func(c perch.Conn) {
			for n := range messages {
				c.Send(perch.Binary, enginetest.Numbered(n, enginetest.FillSize))
			}
			c.SendText("ping")
		},
	})
	c, _ := connect()
	for range 2 {
		p := enginetest.ExpectPing(t, c)
		enginetest.ExpectNumbered(c, t, 0, messages)
		c.ExpectText("ping")
		c.Send(wstest.Pong(p))
	}
}

// In OnPing rooms can be joined and left, like in every callback.
func TestOnPingJoins(t *testing.T) {
	srv := enginetest.Start(t, perch.Config{PingInterval: 50 * time.Millisecond, PingTimeout: time.Minute}, func(srv *perch.Server) {
		r := makeRoom(t, srv, "a", room.Options{})
		srv.Handle("/ws", perch.Handler{OnPing: func(c perch.Conn) {
			if c.In(r) {
				c.Leave(r)
				publish(t, r, "too late")
				c.SendText("left")
				return
			}
			c.Join(r, room.JoinOptions{})
			publish(t, r, "behind the reply")
			c.SendText("joined")
		}})
	})
	c := enginetest.Dial(t, srv)
	for range 2 {
		expectPingThen(t, c, "joined")
		c.ExpectText("behind the reply")
		expectPingThen(t, c, "left")
	}
}

// pingCase is what OnPing does to its own connection, and what the peer sees
// behind the ping.
type pingCase struct {
	name   string
	do     func(c perch.Conn)
	expect func(c *wstest.Conn)
	cause  func(err *perch.CloseError) bool
}

func pingCases() []pingCase {
	return []pingCase{
		{"close", func(c perch.Conn) { c.SendText("goodbye"); c.Close(4000, "enough") },
			func(c *wstest.Conn) { c.ExpectText("goodbye"); c.AnswerClose(4000) },
			func(err *perch.CloseError) bool { return err.Code == 4000 && !err.Remote && err.Err == nil }},
		{"panic", func(c perch.Conn) { c.SendText("goodbye"); enginetest.Boom() },
			func(c *wstest.Conn) { c.ExpectText("goodbye"); c.ExpectFail(frame.CloseInternalError); c.Close() },
			func(err *perch.CloseError) bool {
				return err.Code == frame.CloseInternalError && errors.Is(err, perch.ErrPanic)
			}},
		{"close and panic", func(c perch.Conn) { c.Close(4000, "enough"); enginetest.Boom() },
			func(c *wstest.Conn) { c.ExpectClose(4000); c.ExpectEOF(); c.Close() },
			func(err *perch.CloseError) bool { return err.Code == 4000 && !err.Remote }},
	}
}

// OnPing may end its connection. The one beside it is pinged as before.
func TestOnPingEnds(t *testing.T) {
	for _, tc := range pingCases() {
		t.Run(tc.name, func(t *testing.T) {
			var first perch.Ref
			ended := make(enginetest.Closes, 2)
			_, connect := startMembers(t, perch.Config{Loops: 1, PingInterval: 100 * time.Millisecond, PingTimeout: time.Minute}, perch.Handler{
				OnPing: func(c perch.Conn) {
					if c.Ref() == first {
						tc.do(c)
					} else {
						c.SendText("fine")
					}
				},
				OnClose: ended.Note,
			})
			c, ref := connect()
			within(t, ref, func(perch.Conn) { first = ref })
			beside, _ := connect()
			enginetest.ExpectPing(t, c)
			tc.expect(c)
			if err := wstest.Receive(t, "OnClose", ended); !tc.cause(err) {
				t.Errorf("closed with %v", err)
			}
			for range 2 {
				expectPingThen(t, beside, "fine")
			}
		})
	}
}

// With a queue before it, which the socket does not take, the ping goes ahead of
// all and what OnPing sends behind all; nothing is lost when it ends the
// connection.
func TestOnPingBlocked(t *testing.T) {
	cases := append(pingCases(), pingCase{
		"send", func(c perch.Conn) { c.SendText("behind") },
		func(c *wstest.Conn) { c.ExpectText("behind"); c.CloseHandshake(frame.CloseNormal) },
		func(err *perch.CloseError) bool { return err.Code == frame.CloseNormal && err.Remote },
	})
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			ended := make(enginetest.Closes, 1)
			var armed atomic.Bool
			var calls atomic.Int64
			cfg := perch.Config{Loops: 1, PingInterval: 300 * time.Millisecond, PingTimeout: time.Minute, CloseTimeout: time.Minute, MaxOutput: 4 << 20}
			srv, connect := startMembers(t, cfg, perch.Handler{
				OnPing: func(c perch.Conn) {
					if armed.Load() {
						calls.Add(1)
						tc.do(c)
					}
				},
				OnClose: ended.Note,
			})
			c, ref := connect()
			n := clog(t, srv, ref, 0, 256<<10)
			armed.Store(true)
			c.Send(wstest.Pong("")) // if that took long it was pinged before: the next one counts
			wstest.Eventually(t, "OnPing is called", func() bool { return calls.Load() == 1 })
			pings := 0
			for got := 0; got < n; { // pings overtake what is not being sent yet
				f, err := c.Next()
				if err != nil {
					t.Fatal(err)
				}
				if f.Op == frame.OpPing {
					pings++
					continue
				}
				if !bytes.Equal(f.Payload, enginetest.Numbered(got, enginetest.FillSize)) {
					t.Fatalf("%v instead of message %d", f, got)
				}
				got++
			}
			if pings == 0 {
				t.Error("no ping has overtaken anything")
			}
			tc.expect(c)
			if err := wstest.Receive(t, "OnClose", ended); !tc.cause(err) {
				t.Errorf("closed with %v", err)
			}
			if n := calls.Load(); n != 1 {
				t.Errorf("OnPing was called %d times", n)
			}
		})
	}
}

// Silence is the time since the peer was heard; any frame ends it.
func TestSilence(t *testing.T) {
	const interval = 1600 * time.Millisecond
	const unit = interval / 16 // the resolution
	heard := make(chan time.Duration, 1)
	_, connect := startMembers(t, perch.Config{
		Loops:            1,
		HandshakeTimeout: -1, MessageTimeout: -1, CloseTimeout: interval, WriteTimeout: -1, PingInterval: interval, PingTimeout: time.Minute,
	}, perch.Handler{OnMessage: func(c perch.Conn, _ perch.Opcode, _ []byte) { heard <- c.Silence() }})
	c, ref := connect()
	silence := func() (d time.Duration) {
		within(t, ref, func(c perch.Conn) { d = c.Silence() })
		return d
	}
	for _, f := range []wstest.Frame{wstest.Text("x"), wstest.Pong("x"), {Op: frame.OpText, More: true}} {
		before := time.Now()
		wstest.Eventually(t, "it is silent for a while", func() bool { return silence() >= 4*unit })
		if took := time.Since(before); took < 2*unit { // at its begin it was up to one, and each end is as much off
			t.Errorf("silent for %v after %v", 4*unit, took)
		}
		c.Send(f)
		if f.Op == frame.OpText && !f.More {
			if d := wstest.Receive(t, "OnMessage", heard); d != 0 {
				t.Errorf("silence of %v in OnMessage", d)
			}
		}
		wstest.Eventually(t, "it is heard", func() bool { return silence() <= unit })
	}
	var closing perch.Conn
	within(t, ref, func(c perch.Conn) { closing = c; c.Close(perch.CloseNormal, "") })
	_, beside := connect()
	wstest.Eventually(t, "the other is silent for a while", func() (long bool) {
		within(t, beside, func(c perch.Conn) {
			if d := closing.Silence(); d != 0 {
				t.Errorf("silence of %v while closing", d)
			}
			long = c.Silence() >= 2*unit
		})
		return long
	})
}
