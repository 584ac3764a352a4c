//go:build linux

package liveness_test

import (
	"errors"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// Who is silent is pinged, and who answers stays, for many times PingTimeout.
func TestPingKeepsAlive(t *testing.T) {
	rtts := make(chan time.Duration, 64)
	srv := enginetest.StartRoute(t, perch.Config{PingInterval: 40 * time.Millisecond, PingTimeout: 200 * time.Millisecond}, perch.Handler{
		OnPong:    func(_ perch.Conn, rtt time.Duration) { rtts <- rtt },
		OnMessage: enginetest.Echo().OnMessage,
	})
	begin := time.Now()
	c := enginetest.Dial(t, srv)
	payloads := make(map[string]bool)
	for time.Since(begin) < 600*time.Millisecond {
		p := enginetest.ExpectPing(t, c)
		if payloads[p] {
			t.Errorf("payload %x came twice", p)
		}
		payloads[p] = true
		c.Send(wstest.Pong(p))
		if rtt := wstest.Receive(t, "OnPong", rtts); rtt <= 0 || rtt > time.Since(begin) {
			t.Errorf("round trip of %v", rtt)
		}
	}
	c.Send(wstest.Text("still here"))
	for {
		f, err := c.Next()
		if err != nil || f.Op != frame.OpPing && string(f.Payload) != "still here" {
			t.Fatalf("got %v, %v", f, err)
		}
		if f.Op == perch.Text {
			break
		}
	}
	n := uint64(len(payloads))
	if s := srv.Stats(); s.RoundTrips.Count != n || s.PongsReceived != n || s.PingsSent < n || s.HeartbeatTimeouts != 0 || s.RoundTrips.Sum <= 0 {
		t.Errorf("%d pings answered: %+v", n, s.RoundTrips)
	}
}

// Who does not answer is closed with 3001 after PingTimeout of silence in all.
func TestSilentPeer(t *testing.T) {
	const timeout = 200 * time.Millisecond
	closed := make(chan *perch.CloseError, 1)
	srv := enginetest.StartRoute(t, perch.Config{PingInterval: timeout / 4, PingTimeout: timeout}, perch.Handler{
		OnPong:  func(perch.Conn, time.Duration) { t.Error("OnPong without a pong") },
		OnClose: func(_ perch.Conn, err *perch.CloseError) { closed <- err },
	})
	begin := time.Now()
	c := enginetest.Dial(t, srv)
	enginetest.ExpectPing(t, c)
	c.ExpectFail(perch.CloseHeartbeatTimeout) // the ping was the only one
	if took := time.Since(begin); took < timeout*3/4 {
		t.Errorf("given up after %v, want %v", took, timeout)
	}
	c.Close()
	if err := wstest.Receive(t, "OnClose", closed); err.Code != perch.CloseHeartbeatTimeout || err.Remote || !errors.Is(err, perch.ErrHeartbeat) {
		t.Errorf("closed with %v", err)
	}
	if s := srv.Stats(); s.PingsSent != 1 || s.HeartbeatTimeouts != 1 || s.CloseCodes[16] != 1 {
		t.Errorf("%d pings, %d timeouts", s.PingsSent, s.HeartbeatTimeouts)
	}
}

// Any frame is life: a peer that sends one in time is neither pinged nor closed.
func TestAnyFrameIsLife(t *testing.T) {
	const interval = 200 * time.Millisecond
	srv := enginetest.StartRoute(t, perch.Config{PingInterval: interval, PingTimeout: 2 * interval, Rate: enginetest.Unlimited}, enginetest.Echo())
	frames := []func(c *wstest.Conn){
		func(c *wstest.Conn) { c.Send(wstest.Text("x")); c.ExpectText("x") },
		func(c *wstest.Conn) { c.Send(wstest.Ping("x")); c.ExpectPong("x") },
		func(c *wstest.Conn) { c.Send(wstest.Pong("x")) },
		func(c *wstest.Conn) { c.Send(wstest.Frame{Op: frame.OpText, More: true}) },
		func(c *wstest.Conn) { c.Send(wstest.Frame{Op: frame.OpContinuation}); c.ExpectText("") },
	}
	pings := uint64(0)
	for attempt := 1; ; attempt++ { // the machine may be too slow for one
		c := enginetest.Dial(t, srv)
		begin, slowest := time.Now(), time.Duration(0)
		for n := 0; time.Since(begin) < 3*interval; n++ {
			last := time.Now()
			c.ExpectSilence(interval / 10)
			frames[n%len(frames)](c)
			slowest = max(slowest, time.Since(last))
		}
		s := srv.Stats()
		c.Close()
		if s.PingsSent == pings {
			return
		}
		if slowest < interval/2 || attempt == 5 {
			t.Fatalf("%d pings although something came every %v", s.PingsSent-pings, slowest)
		}
		pings = s.PingsSent
	}
}

// A pong that answers no ping of ours is legal and means nothing: it is no round
// trip, nor may it be made up.
func TestForeignPongs(t *testing.T) {
	srv := enginetest.StartRoute(t, perch.Config{PingInterval: 50 * time.Millisecond, PingTimeout: time.Minute}, perch.Handler{
		OnMessage: enginetest.Echo().OnMessage,
		OnPong:    func(perch.Conn, time.Duration) { t.Error("OnPong for a pong that answers nothing") },
	})
	c, other := enginetest.Dial(t, srv), enginetest.Dial(t, srv)
	theirs := enginetest.ExpectPing(t, other)
	ours := []byte(enginetest.ExpectPing(t, c))
	ours[0] ^= 1 // another time: a round trip that flatters us
	c.Send(wstest.Pong(""), wstest.Pong("abc"), wstest.Pong("12345678"), wstest.Pong(string(ours)), wstest.Pong(theirs), wstest.Text("end"))
	for {
		f, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if f.Op == perch.Text {
			break
		}
	}
	if s := srv.Stats(); s.PongsReceived != 5 || s.RoundTrips.Count != 0 {
		t.Errorf("%d pongs, %d round trips", s.PongsReceived, s.RoundTrips.Count)
	}
}

// Every route has its own intervals, or none.
func TestPingIntervalOfRoute(t *testing.T) {
	srv := enginetest.Start(t, perch.Config{Loops: 1, PingInterval: time.Hour, PingTimeout: 2 * time.Hour}, func(srv *perch.Server) {
		srv.Handle("/often", perch.Handler{Settings: perch.Settings{PingInterval: 30 * time.Millisecond, PingTimeout: time.Minute}})
		srv.Handle("/never", perch.Handler{Settings: perch.Settings{PingInterval: -1, PingTimeout: -1}, OnMessage: enginetest.Echo().OnMessage})
		srv.Handle("/ws", enginetest.Echo())
	})
	addr := srv.Addr().String()
	often, never, usual := wstest.Dial(t, addr, "/often"), wstest.Dial(t, addr, "/never"), enginetest.Dial(t, srv)
	for range 4 {
		often.Send(wstest.Pong(enginetest.ExpectPing(t, often)))
	}
	for _, c := range []*wstest.Conn{never, usual} {
		c.Send(wstest.Text("no ping before this"))
		c.ExpectText("no ping before this")
	}
}

// Our client side is pinged by the server and pings it itself: both are alive.
func TestClientPings(t *testing.T) {
	srv := enginetest.StartRoute(t, perch.Config{}, enginetest.Echo())
	rtts := make(chan time.Duration, 16)
	c := enginetest.NewClient()
	c.PingInterval, c.PingTimeout = 30*time.Millisecond, time.Minute
	c.OnPong = func(_ perch.Conn, rtt time.Duration) { rtts <- rtt }
	from := enginetest.Start(t, perch.Config{Addr: "-", PingInterval: 30 * time.Millisecond, PingTimeout: time.Minute}, nil)
	if err := from.Dial(t.Context(), enginetest.URL(srv.Addr()), c.Handler); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if rtt := wstest.Receive(t, "OnPong", rtts); rtt <= 0 {
			t.Errorf("round trip of %v", rtt)
		}
	}
}

// Every message of a stream has MessageTimeout for itself, also if each read
// ends within one.
func TestStreamIsNoSlowMessage(t *testing.T) {
	const limit = 200 * time.Millisecond
	srv := enginetest.StartRoute(t, perch.Config{MessageTimeout: limit, Rate: enginetest.Unlimited}, enginetest.Echo())
	c := enginetest.Dial(t, srv)
	wire := c.Encode(wstest.Text("one of many"))
	half := len(wire) / 2
	c.Write(wire[:half])
	for begin := time.Now(); time.Since(begin) < 3*limit; {
		c.ExpectSilence(limit / 20)
		c.Write(append(wire[half:len(wire):len(wire)], wire[:half]...))
		c.ExpectText("one of many")
	}
}
