//go:build linux

package liveness_test

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// drip writes b a byte at a time, at a pace that keeps every timeout by itself
// but not the one for the whole. It ends with b, or when the peer is gone.
func drip(c *wstest.Conn, b []byte, pace time.Duration) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for i := range b {
		if c.TryWrite(b[i:i+1]) != nil {
			return
		}
		<-tick.C
	}
}

// A client that sends a byte now and then is told so when its time is up, at
// whatever it dawdles, and delays nobody on its loop.
func TestDrip(t *testing.T) {
	const limit, pace = 200 * time.Millisecond, 20 * time.Millisecond
	header := wstest.Frame{Op: frame.OpPing, Payload: make([]byte, 125)}.Bytes() // nothing is told before the last byte
	body := wstest.Frame{Op: frame.OpBinary, Payload: make([]byte, 125)}.Bytes()
	fragments := []byte{}
	for _, f := range wstest.Fragments(frame.OpText, make([]byte, 25), 1) {
		fragments = f.Append(fragments, true)
	}
	for _, tc := range []struct {
		name string
		head bool
		b    []byte
	}{
		{"head", true, wstest.Request("a", "/ws", "X: "+strings.Repeat("x", 100))},
		{"frame", false, header},
		{"body", false, body},
		{"fragments", false, fragments},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ended := make(enginetest.Closes, 4)
			h := enginetest.Echo()
			h.OnClose = ended.Note
			srv := enginetest.StartRoute(t, perch.Config{Loops: 1, HandshakeTimeout: limit, MessageTimeout: limit}, h)
			other := enginetest.Dial(t, srv)
			var c *wstest.Conn
			if tc.head {
				c = wstest.Connect(t, srv.Addr().String())
			} else {
				c = enginetest.Dial(t, srv)
			}
			begun, done := time.Now(), make(chan bool)
			go func() {
				defer close(done)
				drip(c, tc.b, pace)
			}()
			for range 5 {
				other.Send(wstest.Text("quick"))
				other.ExpectText("quick")
			}
			if tc.head {
				if r := c.ReadResponse(); r.Status != 408 {
					t.Errorf("status %d, want 408", r.Status)
				}
				c.ExpectEOF()
			} else if reason := c.ExpectFail(perch.ClosePolicyViolation); reason != "message took too long" {
				t.Errorf("reason %q", reason)
			}
			if took := time.Since(begun); took < limit*9/10 {
				t.Errorf("closed after %v, before its time", took)
			}
			c.Close()
			<-done
			other.Send(wstest.Text("still"))
			other.ExpectText("still")
			s := srv.Stats()
			if tc.head && s.HandshakeTimeouts != 1 || !tc.head && s.MessageTimeouts != 1 {
				t.Errorf("%d handshake timeouts, %d message timeouts", s.HandshakeTimeouts, s.MessageTimeouts)
			}
			if !tc.head {
				if err := wstest.Receive(t, "OnClose", ended); !errors.Is(err, perch.ErrMessageTimeout) || err.Code != perch.ClosePolicyViolation {
					t.Errorf("closed with %v", err)
				}
			}
		})
	}
}

// Messages of a frame each may come for ever: the clock is one message's.
func TestMessageTimeoutIsPerMessage(t *testing.T) {
	srv := enginetest.StartRoute(t, perch.Config{MessageTimeout: 100 * time.Millisecond}, enginetest.Echo())
	c := enginetest.Dial(t, srv)
	wire := c.Encode(wstest.Text("ab"))
	go func() {
		for range 6 { // together longer than one may take
			drip(c, wire[:1], 20*time.Millisecond)
			c.TryWrite(wire[1:])
		}
	}()
	for range 6 {
		c.ExpectText("ab")
	}
}

// While we do not read from a connection, a message that it has begun is late
// by our own doing.
func TestMessageTimeoutWhilePaused(t *testing.T) {
	const limit = 150 * time.Millisecond
	opened, sent := make(chan perch.Ref, 1), make(chan int, 1)
	h := enginetest.Echo()
	h.OnOpen = func(c perch.Conn, _ *perch.Request) { opened <- c.Ref() }
	srv := enginetest.StartRoute(t, perch.Config{Loops: 1, MaxOutput: 8 << 20, MessageTimeout: limit}, h)
	c := enginetest.Dial(t, srv)
	ref := wstest.Receive(t, "OnOpen", opened)
	parts := wstest.Fragments(frame.OpText, []byte("first second"), 6)
	before := srv.Stats().BytesReceived
	c.Send(parts[0])
	enginetest.AwaitStats(t, srv, "the message has begun", func(s *perch.Stats) bool { return s.BytesReceived > before })
	ref.Do(func(c perch.Conn) { sent <- enginetest.Fill(c, enginetest.FillSize, 7<<20) }) // more than the kernel takes
	n := wstest.Receive(t, "fill", sent)
	enginetest.AwaitStats(t, srv, "reading is paused", func(s *perch.Stats) bool { return s.Pauses == 1 })
	c.Send(parts[1]) // in time, but not read
	paused := time.Now()
	wstest.Eventually(t, "the limit is over three times", func() bool { return time.Since(paused) > 3*limit })
	enginetest.ExpectNumbered(c, t, 0, n)
	c.ExpectText("first second")
	if s := srv.Stats(); s.MessageTimeouts != 0 {
		t.Errorf("%d message timeouts", s.MessageTimeouts)
	}
}

// A client that does not read its own echo is not read from either, and loses
// nothing.
func TestEchoBackpressure(t *testing.T) {
	const limit = 2 << 20 // several times what is sent in one turn
	var most, drained atomic.Int64
	srv := enginetest.StartRoute(t, perch.Config{Loops: 1, MaxOutput: limit}, perch.Handler{
		Settings: perch.Settings{Rate: enginetest.Unlimited},
		OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) {
			if err := c.Send(op, p); err != nil {
				t.Errorf("send: %v", err)
			}
			most.Store(max(most.Load(), int64(c.Queued())))
		},
		OnDrain: func(c perch.Conn) {
			if n := c.Queued(); n > limit/4 {
				t.Errorf("OnDrain with %d bytes queued, more than a quarter", n)
			}
			drained.Add(1)
		},
	})
	other := enginetest.Dial(t, srv)
	c := enginetest.Dial(t, srv)
	var stop atomic.Bool
	failed := make(chan error, 1)
	go func() {
		n := 0
		for ; !stop.Load(); n++ {
			if err := c.TrySend(wstest.Binary(enginetest.Numbered(n, enginetest.FillSize))); err != nil {
				failed <- err
				return
			}
		}
		failed <- c.TrySend(wstest.Text(strconv.Itoa(n)))
	}()
	enginetest.AwaitStats(t, srv, "reading is paused", func(s *perch.Stats) bool { return s.Pauses == 1 })
	other.Send(wstest.Text("unaffected"))
	other.ExpectText("unaffected")
	stop.Store(true)
	for n := 0; ; n++ {
		op, p := c.NextMessage()
		if op == perch.Text {
			if string(p) != strconv.Itoa(n) {
				t.Errorf("%d messages came back of %s", n, p)
			}
			break
		}
		if !bytes.Equal(p, enginetest.Numbered(n, enginetest.FillSize)) {
			t.Fatalf("message %d is not what was sent", n)
		}
	}
	if err := wstest.Receive(t, "the sender", failed); err != nil {
		t.Errorf("send: %v", err)
	}
	if drained.Load() == 0 {
		t.Error("OnDrain was not called")
	}
	// At half of it reading stops; what one turn has gathered for its send comes on top.
	if n := most.Load(); n < limit/2 || n > limit/2+64<<10+enginetest.FillSize {
		t.Errorf("at most %d bytes were queued, want about half of %d", n, limit)
	}
	if s := srv.Stats(); s.SlowConsumers != 0 || s.MessagesDropped != 0 || s.QueuedBytes != 0 {
		t.Errorf("%+v", s)
	}
}

// broadcastUntilSlow broadcasts to a peer that does not read and to others that
// do, in step with them, until the first is given up. It returns the number of
// broadcasts.
func broadcastUntilSlow(t *testing.T, srv *perch.Server, broadcast func(*perch.Prepared), others ...*wstest.Conn) (n int) {
	t.Helper()
	for ; srv.Stats().SlowConsumers == 0; n++ {
		if n > 4096 {
			t.Fatal("a peer that does not read is never too slow")
		}
		broadcast(perch.Prepare(perch.Binary, enginetest.Numbered(n, enginetest.FillSize)))
		for _, c := range others {
			enginetest.ExpectNumbered(c, t, n, n+1)
		}
	}
	return n
}

func TestSlowConsumer(t *testing.T) {
	const limit = 256 << 10
	slowServer := func(t *testing.T, cfg perch.Config) (srv *perch.Server, broadcast func(*perch.Prepared), ended enginetest.Closes) {
		ended = make(enginetest.Closes, 4)
		cfg.MaxOutput = limit
		srv = enginetest.Start(t, cfg, func(srv *perch.Server) {
			var h perch.Handler
			h, broadcast = enginetest.Audience(srv, perch.Handler{Settings: perch.Settings{Rate: enginetest.Unlimited}, OnClose: ended.Note})
			srv.Handle("/ws", h)
		})
		return srv, broadcast, ended
	}
	checkCause := func(t *testing.T, err *perch.CloseError) {
		t.Helper()
		if err.Code != perch.CloseSlowConsumer || err.Remote || !errors.Is(err, perch.ErrSlowConsumer) {
			t.Errorf("closed with %v", err)
		}
	}

	t.Run("reads at last", func(t *testing.T) {
		srv, broadcast, ended := slowServer(t, perch.Config{})
		slow, a, b := enginetest.Dial(t, srv), enginetest.Dial(t, srv), enginetest.Dial(t, srv)
		n := broadcastUntilSlow(t, srv, broadcast, a, b)
		var f wstest.Frame
		got := 0
		for ; ; got++ {
			var err error
			if f, err = slow.Next(); err != nil {
				t.Fatalf("after %d messages: %v", got, err)
			}
			if f.Op != perch.Binary {
				break
			}
			if !bytes.Equal(f.Payload, enginetest.Numbered(got, enginetest.FillSize)) {
				t.Fatalf("message %d is not what was sent", got)
			}
		}
		if code, reason := f.CloseInfo(); f.Op != frame.OpClose || code != perch.CloseSlowConsumer || reason != "slow consumer" {
			t.Errorf("behind the messages: %v", f)
		}
		slow.ExpectEOF()
		slow.Close()
		if want := n - limit/enginetest.FillSize; got > want {
			t.Errorf("%d messages of %d came, what was queued was not dropped", got, n)
		}
		checkCause(t, wstest.Receive(t, "OnClose", ended))
		broadcast(perch.Prepare(perch.Text, []byte("go on")))
		a.ExpectText("go on")
		b.ExpectText("go on")
		if s := srv.Stats(); s.SlowConsumers != 1 || s.CloseTimeouts != 0 || s.QueuedBytes != 0 {
			t.Errorf("%+v", s)
		}
	})

	t.Run("sends meanwhile", func(t *testing.T) {
		// What it has sent is unread when we close: that must not destroy the close
		// frame.
		srv, broadcast, ended := slowServer(t, perch.Config{})
		slow, a := enginetest.Dial(t, srv), enginetest.Dial(t, srv)
		go func() {
			msg := slow.Encode(wstest.Text(strings.Repeat("unread ", 100)))
			for range 300 {
				if slow.TryWrite(msg) != nil {
					return
				}
			}
		}()
		broadcastUntilSlow(t, srv, broadcast, a)
		for {
			f, err := slow.Next()
			if err != nil {
				t.Fatalf("%v, want the close frame", err)
			}
			if f.Op == frame.OpClose {
				break
			}
		}
		slow.ExpectEOF()
		begun := time.Now()
		slow.Close()
		checkCause(t, wstest.Receive(t, "OnClose", ended))
		if took := time.Since(begun); took > time.Second {
			t.Errorf("OnClose %v after the peer's end", took)
		}
	})

	t.Run("never reads", func(t *testing.T) {
		srv, broadcast, ended := slowServer(t, perch.Config{CloseTimeout: 200 * time.Millisecond})
		slow, a := enginetest.Dial(t, srv), enginetest.Dial(t, srv)
		broadcastUntilSlow(t, srv, broadcast, a)
		checkCause(t, wstest.Receive(t, "OnClose", ended))
		if s := srv.Stats(); s.CloseTimeouts != 1 || s.QueuedBytes != 0 {
			t.Errorf("%+v", s)
		}
		var err error
		for err == nil {
			_, err = slow.Next()
		}
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the end is %v, want RST", err)
		}
	})
}

func TestWriteTimeout(t *testing.T) {
	const limit = 200 * time.Millisecond
	filler := func(ended enginetest.Closes, sent chan int) perch.Handler {
		return perch.Handler{
			OnMessage: func(c perch.Conn, _ perch.Opcode, _ []byte) { sent <- enginetest.Fill(c, enginetest.FillSize, 2<<20) },
			OnClose:   ended.Note,
		}
	}
	t.Run("takes nothing", func(t *testing.T) {
		ended, sent := make(enginetest.Closes, 1), make(chan int, 1)
		srv := enginetest.StartRoute(t, perch.Config{WriteTimeout: limit, MaxOutput: 4 << 20}, filler(ended, sent))
		c := enginetest.Dial(t, srv)
		c.Send(wstest.Text("go"))
		wstest.Receive(t, "fill", sent)
		begun := time.Now()
		if err := ended.One(t, srv); err.Code != frame.CloseAbnormal || err.Remote || !errors.Is(err, perch.ErrWriteTimeout) {
			t.Errorf("closed with %v", err)
		}
		if took := time.Since(begun); took < limit*3/4 {
			t.Errorf("closed after %v, before its time", took)
		}
		if s := srv.Stats(); s.WriteTimeouts != 1 {
			t.Errorf("%d write timeouts, want 1", s.WriteTimeouts)
		}
	})
	t.Run("takes little", func(t *testing.T) {
		// The kernel tells that there is room again only when a third of its buffer is
		// free: what counts is what the peer has taken, not what we could write.
		ended, sent := make(enginetest.Closes, 1), make(chan int, 1)
		srv := enginetest.StartRoute(t, perch.Config{WriteTimeout: limit, MaxOutput: 4 << 20}, filler(ended, sent))
		c := enginetest.Dial(t, srv)
		c.Send(wstest.Text("go"))
		n := wstest.Receive(t, "fill", sent)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		begun := time.Now()
		got := 0
		for ; time.Since(begun) < 5*limit; got += 2 {
			enginetest.ExpectNumbered(c, t, got, got+2)
			<-tick.C
		}
		if got >= n {
			t.Skipf("all %d messages were read: nothing was slow", n)
		}
		enginetest.ExpectNumbered(c, t, got, n)
		c.CloseHandshake(perch.CloseNormal)
		if s := srv.Stats(); s.WriteTimeouts != 0 {
			t.Errorf("%d write timeouts", s.WriteTimeouts)
		}
	})
}
