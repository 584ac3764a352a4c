//go:build linux

package liveness_test

import (
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// paused connects a client that has so much to read that we read no more of it;
// more of its input is in the socket. It has sent done whole messages, and
// perhaps a part of one more.
func paused(t *testing.T, srv *perch.Server, size int) (c *wstest.Conn, done int) {
	t.Helper()
	c = enginetest.Dial(t, srv)
	var sent atomic.Int64
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for p := make([]byte, size); ; sent.Add(1) {
			binary.BigEndian.PutUint32(p, uint32(sent.Load()))
			if c.TrySend(wstest.Binary(p)) != nil {
				return
			}
		}
	}()
	enginetest.AwaitStats(t, srv, "reading has stopped", func(s *perch.Stats) bool {
		return s.Pauses > 0 && uint64(sent.Load())*uint64(size) > s.BytesReceived+64<<10
	})
	wstest.Eventually(t, "the client sends no more", func() bool {
		c.TCP().SetWriteDeadline(time.Now())
		select {
		case <-stopped:
			return true
		default:
			return false
		}
	})
	return c, int(sent.Load())
}

// restful wants the loops at rest for as long as the window is.
func restful(t *testing.T, srv *perch.Server, window time.Duration) {
	t.Helper()
	before := srv.Stats()
	end := time.Now().Add(window)
	<-time.After(window) // nothing may happen: there is no event to wait for
	s := srv.Stats()
	// A sweep every quantum of 5 ms, and the two calls of Stats.
	most := uint64(time.Since(end.Add(-window))/(5*time.Millisecond))*2 + 20
	if n := s.Ticks.Count - before.Ticks.Count; n > most {
		t.Errorf("%d turns of the loops in %v, want at most %d", n, window, most)
	}
}

func pauseConfig() perch.Config {
	return perch.Config{
		Loops: 1, MaxOutput: 1 << 20, Rate: enginetest.Unlimited,
		PingInterval: 80 * time.Millisecond, PingTimeout: 250 * time.Millisecond, MessageTimeout: 400 * time.Millisecond,
	}
}

// While a peer does not read, the loop neither spins nor takes it for silent or
// for slow to send; when it reads, everything it has sent comes back, in order.
func TestPausedPeer(t *testing.T) {
	const size = 30_000
	srv := enginetest.StartRoute(t, pauseConfig(), enginetest.Echo())
	c, done := paused(t, srv, size)
	restful(t, srv, 600*time.Millisecond)
	if s := srv.Stats(); s.Connections != 1 || s.HeartbeatTimeouts != 0 || s.MessageTimeouts != 0 {
		t.Fatalf("%d connections, %d heartbeat timeouts, %d message timeouts: its silence was ours",
			s.Connections, s.HeartbeatTimeouts, s.MessageTimeouts)
	}
	for n := range done {
		_, p := c.NextMessage()
		if len(p) != size || binary.BigEndian.Uint32(p) != uint32(n) {
			t.Fatalf("message %d of %d: %d bytes", n, done, len(p))
		}
	}
}

// So it is where less may be queued than the loop gathers for one write: a peer's own
// messages do not make it a slow consumer.
func TestPausedPeerSmallOutput(t *testing.T) {
	for _, size := range []int{1500, 10_000} {
		srv := enginetest.StartRoute(t, perch.Config{Loops: 1, MaxOutput: 16 << 10, Rate: enginetest.Unlimited}, enginetest.Echo())
		c, done := paused(t, srv, size)
		for n := range done {
			if _, p := c.NextMessage(); len(p) != size || binary.BigEndian.Uint32(p) != uint32(n) {
				t.Fatalf("message %d of %d: %d bytes", n, done, len(p))
			}
		}
	}
}

// A peer that neither reads nor will send more, and one that is gone altogether:
// no spinning either, and the end is noticed when it can be.
func TestPausedPeerHalfCloses(t *testing.T) {
	closed := make(chan *perch.CloseError, 1)
	srv := enginetest.StartRoute(t, pauseConfig(), perch.Handler{
		OnMessage: enginetest.Echo().OnMessage,
		OnClose:   func(_ perch.Conn, err *perch.CloseError) { closed <- err },
	})
	c, _ := paused(t, srv, 1000)
	c.CloseWrite()
	restful(t, srv, 200*time.Millisecond)
	if len(closed) != 0 {
		t.Errorf("closed with %v", <-closed)
	}
	c.Reset()
	if err := wstest.Receive(t, "OnClose", closed); err.Code != frame.CloseAbnormal || !err.Remote {
		t.Errorf("closed with %v", err)
	}
}
