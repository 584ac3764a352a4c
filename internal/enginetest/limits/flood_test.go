//go:build linux

package limits_test

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// heap is the memory in use, in bytes, with all garbage gone.
func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// A header is judged before anything is kept for it.
func TestBadLengths(t *testing.T) {
	const limit = 1 << 10
	for name, tc := range map[string]struct {
		frames []wstest.Frame
		code   frame.CloseCode
	}{
		"top bit":          {[]wstest.Frame{{Op: frame.OpBinary, Claim: 1 << 63}}, frame.CloseProtocolError},
		"all bits":         {[]wstest.Frame{{Op: frame.OpBinary, Claim: 1<<64 - 1}}, frame.CloseProtocolError},
		"largest":          {[]wstest.Frame{{Op: frame.OpBinary, Claim: 1<<63 - 1}}, frame.CloseMessageTooBig},
		"16 MiB announced": {[]wstest.Frame{{Op: frame.OpBinary, Claim: 16 << 20}}, frame.CloseMessageTooBig},
		"one over":         {[]wstest.Frame{{Op: frame.OpBinary, Claim: limit + 1}}, frame.CloseMessageTooBig},
		"one over in fragments": {append(wstest.Fragments(frame.OpBinary, make([]byte, limit), 100)[:10],
			wstest.Frame{Op: frame.OpContinuation, Claim: limit - 1000 + 1}), frame.CloseMessageTooBig},
		"the sum overflows": {[]wstest.Frame{{Op: frame.OpBinary, Payload: make([]byte, limit), More: true},
			{Op: frame.OpContinuation, Claim: 1<<63 - 1}}, frame.CloseMessageTooBig},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(enginetest.Closes, 1)
			h := enginetest.Echo()
			h.OnClose = ended.Note
			srv := enginetest.StartRoute(t, perch.Config{MaxMessageSize: limit}, h)
			c := enginetest.Dial(t, srv)
			c.Send(tc.frames...)
			c.ExpectFail(tc.code)
			c.Close()
			var pe *frame.ProtocolError
			if err := ended.One(t, srv); err.Code != tc.code || err.Remote || !errors.As(err, &pe) {
				t.Errorf("closed with %v", err)
			}
			if s := srv.Stats(); s.ProtocolErrors != 1 || s.MessagesReceived != 0 {
				t.Errorf("%d protocol errors, %d messages", s.ProtocolErrors, s.MessagesReceived)
			}
		})
	}
}

// The limit itself is allowed, however the message comes; a route has its own.
func TestMessageLimit(t *testing.T) {
	srv := enginetest.Start(t, perch.Config{MaxMessageSize: 1000}, func(srv *perch.Server) {
		srv.Handle("/ws", enginetest.Echo())
		wide := enginetest.Echo()
		wide.MaxMessageSize = 2000
		srv.Handle("/wide", wide)
		open := enginetest.Echo()
		open.MaxMessageSize, open.MaxFragments, open.Rate = -1, -1, enginetest.Unlimited
		srv.Handle("/open", open)
	})
	for path, size := range map[string]int{"/ws": 1000, "/wide": 2000, "/open": 1 << 20} {
		c := wstest.Dial(t, srv.Addr().String(), path)
		p := bytes.Repeat([]byte("perch"), size/5)
		go func() { // the echo of a large message needs reading meanwhile
			c.TrySend(wstest.Binary(p))
			c.TrySend(wstest.Fragments(frame.OpBinary, p, size/7+1)...)
		}()
		c.ExpectMessage(frame.OpBinary, p)
		c.ExpectMessage(frame.OpBinary, p)
		if path != "/open" {
			c.Send(wstest.Frame{Op: frame.OpBinary, Claim: uint64(size) + 1})
			c.ExpectFail(frame.CloseMessageTooBig)
		}
	}
}

// What a header announces costs nothing before it comes.
func TestAnnouncedOnly(t *testing.T) {
	const clients = 20
	srv := enginetest.StartRoute(t, perch.Config{Loops: 1, MaxMessageSize: 16 << 20}, enginetest.Echo())
	warm := enginetest.Dial(t, srv)
	warm.Send(wstest.Text("warm"))
	warm.ExpectText("warm")
	before := heap()
	received := srv.Stats().BytesReceived
	wire := wstest.Frame{Op: frame.OpBinary, Claim: 16 << 20, Payload: make([]byte, 1000)}.Bytes()
	handshakes := uint64(0)
	for range clients {
		c := enginetest.Dial(t, srv)
		handshakes += uint64(len(wstest.Request(srv.Addr().String(), "/ws")))
		c.Write(wire)
	}
	enginetest.AwaitStats(t, srv, "all headers are read", func(s *perch.Stats) bool {
		return s.BytesReceived == received+handshakes+clients*uint64(len(wire))
	})
	// The clients' own buffers of 32 KiB are in it too.
	if grown := heap() - before; grown > clients*64<<10+1<<20 {
		t.Errorf("%d bytes for %d connections that announced much and sent little", grown, clients)
	}
}

func TestEmptyFragments(t *testing.T) {
	first := wstest.Frame{Op: frame.OpText, More: true}.Bytes()
	empty := wstest.Frame{Op: frame.OpContinuation, More: true}.Bytes()
	t.Run("limited", func(t *testing.T) {
		srv := enginetest.StartRoute(t, perch.Config{}, enginetest.Echo())
		c := enginetest.Dial(t, srv)
		c.Write(append(first, bytes.Repeat(empty, 1023)...))
		c.Send(wstest.Ping("1024 are allowed"))
		c.ExpectPong("1024 are allowed")
		c.Write(empty)
		if reason := c.ExpectFail(perch.ClosePolicyViolation); reason != "too many fragments" {
			t.Errorf("reason %q", reason)
		}
		if s := srv.Stats(); s.ProtocolErrors != 1 {
			t.Errorf("%d protocol errors, want 1", s.ProtocolErrors)
		}
	})
	t.Run("unlimited", func(t *testing.T) {
		h := enginetest.Echo()
		h.Rate = enginetest.Unlimited
		srv := enginetest.StartRoute(t, perch.Config{Loops: 1, MaxFragments: -1}, h)
		c := enginetest.Dial(t, srv)
		c.Write(first)
		before := heap()
		const times, batch = 64, 1 << 14 // a million
		b := bytes.Repeat(empty, batch)
		for range times {
			c.Write(b)
		}
		c.Send(wstest.Ping("read"))
		c.ExpectPong("read")
		if grown := heap() - before; grown > 1<<20 {
			t.Errorf("%d bytes for %d empty fragments", grown, times*batch)
		}
		c.Send(wstest.Frame{Op: frame.OpContinuation, Payload: []byte("end")})
		c.ExpectText("end")
	})
}

// Pings that a peer does not read the answers of cost no more than a few of
// them: what is in the socket, and the newest.
func TestPingFlood(t *testing.T) {
	h := enginetest.Echo()
	h.Rate = enginetest.Unlimited
	srv := enginetest.StartRoute(t, perch.Config{Loops: 1}, h)
	c := enginetest.Dial(t, srv)
	last := strings.Repeat("z", 125)
	one := wstest.Ping(strings.Repeat("a", 125)).Bytes()
	const times, batch = 160, 512 // 10 MiB of pongs
	go func() {
		b := bytes.Repeat(one, batch)
		for range times {
			if c.TryWrite(b) != nil {
				return
			}
		}
		c.TrySend(wstest.Ping(last))
	}()
	s := enginetest.AwaitStats(t, srv, "all pings are read", func(s *perch.Stats) bool {
		if s.QueuedBytes > 64<<10 {
			t.Errorf("%d bytes of pongs are queued", s.QueuedBytes)
		}
		return s.PingsReceived == times*batch+1
	})
	if s.Pauses != 0 || s.SlowConsumers != 0 {
		t.Errorf("%d pauses, %d slow", s.Pauses, s.SlowConsumers)
	}
	c.Send(wstest.Text("still"))
	n, newest := 0, false
	for {
		f, err := c.Next()
		if err == nil && f.Op == frame.OpText && string(f.Payload) == "still" {
			break
		}
		if err != nil || f.Op != frame.OpPong {
			t.Fatalf("after %d pongs: %v, %v", n, f, err)
		}
		n++
		newest = newest || string(f.Payload) == last
	}
	if !newest {
		t.Error("the newest ping has no answer")
	}
	if n > times*batch {
		t.Errorf("%d pongs for %d pings", n, times*batch+1)
	}
}

func TestRateLimits(t *testing.T) {
	// The slowest rates there are: no test takes so long that a message is earned
	// again.
	for name, tc := range map[string]struct {
		rate   perch.Rate
		sends  int
		size   int
		echoed int
		reason string
	}{
		"messages":     {perch.Rate{Messages: 1, Burst: 5, Bytes: -1}, 8, 10, 5, "too many messages"},
		"one at once":  {perch.Rate{Messages: 1, Burst: 1, Bytes: -1}, 3, 10, 1, "too many messages"},
		"no burst set": {perch.Rate{Messages: 1, Burst: 200, Bytes: -1}, 250, 10, 200, "too many messages"},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(enginetest.Closes, 1)
			h := enginetest.Echo()
			h.Rate, h.OnClose = tc.rate, ended.Note
			srv := enginetest.StartRoute(t, perch.Config{}, h)
			c := enginetest.Dial(t, srv)
			var wire []byte
			for range tc.sends {
				wire = wstest.Text(strings.Repeat("x", tc.size)).Append(wire, true)
			}
			c.Write(wire) // in one piece: the clock of the server's tick decides
			for range tc.echoed {
				c.ExpectText(strings.Repeat("x", tc.size))
			}
			if reason := c.ExpectFail(perch.ClosePolicyViolation); reason != tc.reason {
				t.Errorf("reason %q, want %q", reason, tc.reason)
			}
			c.Close()
			if err := ended.One(t, srv); !errors.Is(err, perch.ErrRateLimit) || err.Code != perch.ClosePolicyViolation || err.Remote {
				t.Errorf("closed with %v", err)
			}
			if s := srv.Stats(); s.RateLimited != 1 || s.MessagesReceived != uint64(tc.echoed) {
				t.Errorf("%d limited, %d messages, want 1, %d", s.RateLimited, s.MessagesReceived, tc.echoed)
			}
		})
	}
	t.Run("bytes", func(t *testing.T) {
		// A second's worth may come at once, and one read more.
		const rate = 100 << 10
		ended := make(enginetest.Closes, 1)
		h := enginetest.Echo()
		h.Rate, h.OnMessage, h.OnClose = perch.Rate{Messages: -1, Bytes: rate}, nil, ended.Note
		srv := enginetest.StartRoute(t, perch.Config{}, h)
		c := enginetest.Dial(t, srv)
		begun := time.Now()
		part := wstest.Binary(make([]byte, 10<<10))
		wrote := 0
		for ; wrote < 100*rate; wrote += 10 << 10 {
			if c.TrySend(part) != nil {
				break
			}
		}
		took := time.Since(begun)
		if reason := c.ExpectClose(perch.ClosePolicyViolation); reason != "too many bytes" {
			t.Errorf("reason %q", reason)
		}
		c.Close()
		if err := ended.One(t, srv); !errors.Is(err, perch.ErrRateLimit) {
			t.Errorf("closed with %v", err)
		}
		s := srv.Stats()
		if want := float64(rate) * 0.8; s.RateLimited != 1 || float64(s.BytesReceived) < want {
			t.Errorf("%d limited after %d bytes, want 1, %v", s.RateLimited, s.BytesReceived, want)
		}
		if most := float64(rate)*(1+took.Seconds()) + 2*64<<10 + lingers; float64(s.BytesReceived) > most {
			t.Errorf("limited after %d bytes in %v", s.BytesReceived, took)
		}
	})
	t.Run("under it", func(t *testing.T) {
		h := enginetest.Echo()
		h.Rate = perch.Rate{Messages: 1000, Burst: 2, Bytes: -1}
		srv := enginetest.StartRoute(t, perch.Config{}, h)
		c := enginetest.Dial(t, srv)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for range 50 {
			<-tick.C
			c.Send(wstest.Text("steady"))
			c.ExpectText("steady")
		}
	})
}

// lingers is the input that a connection may still send after it was told why
// it is closed, in bytes.
const lingers = 1 << 20

// What the peer was sending when we refused it must not turn our close frame
// into a RST.
func TestCloseReachesSender(t *testing.T) {
	bad := wstest.Frame{Op: frame.OpText, Rsv: 4}.Bytes()
	t.Run("under the limit", func(t *testing.T) {
		srv := enginetest.StartRoute(t, perch.Config{Loops: 1}, enginetest.Echo())
		c := enginetest.Dial(t, srv)
		c.Write(append(bytes.Clone(bad), make([]byte, lingers-64<<10)...))
		c.ExpectFail(frame.CloseProtocolError)
		before := srv.Stats().Ticks.Count
		if s := enginetest.AwaitStats(t, srv, "all is read", func(s *perch.Stats) bool { return s.Ticks.Count >= before+2*lingers/(64<<10) }); s.Connections != 1 {
			t.Error("it is gone before the limit")
		}
		c.Close()
		enginetest.AwaitStats(t, srv, "it is gone", func(s *perch.Stats) bool { return s.Connections == 0 })
	})
	t.Run("over the limit", func(t *testing.T) {
		srv := enginetest.StartRoute(t, perch.Config{}, enginetest.Echo())
		c := enginetest.Dial(t, srv)
		begun := time.Now()
		b := make([]byte, 64<<10)
		c.Write(bad)
		c.ExpectFail(frame.CloseProtocolError)
		var err error
		for sent := 0; err == nil; sent += len(b) {
			if sent > 64<<20 {
				t.Fatal("it takes input without end")
			}
			err = c.TryWrite(b)
		}
		enginetest.AwaitStats(t, srv, "it is gone", func(s *perch.Stats) bool { return s.Connections == 0 })
		if took := time.Since(begun); took > 1800*time.Millisecond {
			t.Errorf("gone after %v: that was the time, not the bytes", took)
		}
	})
	t.Run("silent", func(t *testing.T) { // takes 2 s, by definition
		srv := enginetest.StartRoute(t, perch.Config{CloseTimeout: 160 * time.Millisecond}, enginetest.Echo())
		c := enginetest.Dial(t, srv)
		c.Write(bad)
		c.ExpectFail(frame.CloseProtocolError)
		begun := time.Now()
		enginetest.AwaitStats(t, srv, "it is gone", func(s *perch.Stats) bool { return s.Connections == 0 })
		if took := time.Since(begun); took < 1900*time.Millisecond {
			t.Errorf("gone after %v, before its time", took)
		}
	})
}
