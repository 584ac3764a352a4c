package endpoint

import (
	"errors"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/session"
)

func TestReliable(t *testing.T) {
	w := newWorld(t, nil, nil)
	c, _ := w.begin("")
	for _, tt := range []struct{ message, want string }{
		{`{"type":"ping","timestamp":1700000000123,"id":1}`, `{"type":"pong","original_timestamp":1700000000123,"timestamp":` + timestamp + `,"id":1}`},
		{`{"type":"ping","timestamp":"2030-01-01T00:00:00Z"}`, `{"type":"pong","original_timestamp":"2030-01-01T00:00:00Z","timestamp":` + timestamp + `}`},
		{`{"type":"ping"}`, `{"type":"pong","timestamp":` + timestamp + `}`},
		{`{"type":"ping","timestamp":{},"id":2}`, `{"type":"error","code":"wrong_type","message":"*","field":"timestamp","id":2}`},
		{`{"type":"reconnect_request","id":3}`, `{"type":"reconnect_ack","session":"*","resume_token":"*","id":3}`},
		{`{"type":"health","id":4}`, `{"type":"health","status":"healthy","silence_ms":"*","timeout_ms":30000,"id":4}`},
		{`{"type":"x","id":"m"}`, `{"type":"ack","message_id":"*","timestamp":` + timestamp + `,"id":"m"}`},
		{`{"any":"thing"}`, `{"type":"ack","message_id":"*","timestamp":` + timestamp + `}`},
		{`thing`, `{"type":"error","code":"invalid_json","message":"*"}`},
	} {
		c.say(tt.message)
		c.expect(tt.want)
	}
	// A pong is a sign of life, but no message to acknowledge.
	c.say(`{"type":"pong","sequence":1}`, `{"type":"x","id":5}`)
	c.expect(`{"type":"ack","message_id":"*","timestamp":"*","id":5}`)
}

// TestReconnectRequestGone: without a session there is nothing to resume.
func TestReconnectRequestGone(t *testing.T) {
	w := newWorld(t, nil, nil)
	c, text := w.begin("")
	key, err := session.ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	c.say(`{"type":"reconnect_request","id":1}`)
	c.expect(`{"type":"error","code":"session_not_found","message":"*","id":1}`)
}

// TestMessageIDs: no two ids are the same, on one connection or several.
func TestMessageIDs(t *testing.T) {
	w := newWorld(t, nil, nil)
	seen := map[any]bool{}
	for range 3 {
		c, _ := w.begin("")
		for range 3 {
			c.say(`{"type":"x"}`)
			id := c.hear()["message_id"]
			if seen[id] {
				t.Errorf("message_id %v comes twice", id)
			}
			seen[id] = true
		}
	}
}

// TestHeartbeat: a silent client also gets a JSON ping, with its number. Any answer is a sign of life, and a client
// that answers nothing is closed. In this test a second is a few milliseconds.
func TestHeartbeat(t *testing.T) {
	const interval, timeout = 60 * time.Millisecond, 600 * time.Millisecond
	ended := make(chan *perch.CloseError, 2)
	w := newWorld(t, nil, func(w *world) {
		w.srv.Handle("/ws/beating", w.realm.Handler(Endpoint{
			Name: "/ws/beating", Heartbeat: true,
			Settings: perch.Settings{PingInterval: interval, PingTimeout: timeout},
			Message:  func(perch.Conn, *Client, string, protocol.Message) error { return errors.New("not for us") },
			Close:    func(_ perch.Conn, _ *Client, err *perch.CloseError) { ended <- err },
		}))
	})
	alive, dead := w.dial("/ws/beating"), w.dial("/ws/beating")
	for n := 1; n <= 3; n++ {
		text, ping := heartbeatOf(t, alive)
		if !like(text, fields{"type": "ping", "timestamp": "2030-01-02T03:04:05.006Z", "sequence": n}) || len(ping.Payload) != 8 {
			t.Fatalf("heartbeat %d: %v and %v", n, text, ping)
		}
		alive.say(`{"type":"pong"}`)
	}
	for {
		f, err := dead.Next()
		if err != nil {
			t.Fatal(err)
		}
		if f.Op == frame.OpClose {
			if code, _ := f.CloseInfo(); code != perch.CloseHeartbeatTimeout {
				t.Errorf("closed with %v", code)
			}
			break
		}
	}
	dead.Close()
	if err := wstest.Receive(t, "the end", ended); !errors.Is(err, perch.ErrHeartbeat) {
		t.Errorf("it ended with %v", err)
	}
	w.meter.saw(t, "/ws/beating timeout")
}

// heartbeatOf reads the two frames of a heartbeat, which may come in either order.
func heartbeatOf(t *testing.T, c peer) (text fields, ping wstest.Frame) {
	t.Helper()
	for range 2 {
		f, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if f.Op == frame.OpPing {
			ping = f
		} else {
			text = parsed(t, f.Payload)
		}
	}
	return text, ping
}

// TestHealth: the numbers of SPEC 6.1 for /ws/reliable, a warning from 24 s of silence on.
func TestHealth(t *testing.T) {
	for silence, want := range map[time.Duration]string{
		0:                  "healthy",
		24 * time.Second:   "healthy",
		24*time.Second + 1: "warning",
		30*time.Second - 1: "warning",
		30 * time.Second:   "timeout",
		time.Hour:          "timeout",
	} {
		if got := health(silence, reliableTimeout); got != want {
			t.Errorf("after %v: %s, want %s", silence, got, want)
		}
	}
	o := appendHealth(protocol.NewObject(nil, ""), 25*time.Second, reliableTimeout, 1500*time.Microsecond)
	if got, want := string(o.End()), `{"status":"warning","silence_ms":25000,"timeout_ms":30000,"rtt_ms":1.5}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	r := New(Config{})
	defer r.Close()
	if h := r.reliable(); h.PingInterval != 10*time.Second || h.PingTimeout != 30*time.Second {
		t.Errorf("a ping after %v, a timeout after %v", h.PingInterval, h.PingTimeout)
	}
}

// TestRoundTrip: health has the round-trip time once a ping was answered.
func TestRoundTrip(t *testing.T) {
	w := newWorld(t, nil, func(w *world) {
		h := w.realm.reliable()
		h.PingInterval = 60 * time.Millisecond
		w.srv.Handle("/ws/quick", h)
	})
	c := w.dial("/ws/quick?client_id=a")
	c.hear()
	if text, ping := heartbeatOf(t, c); text["sequence"] != 1. {
		t.Fatalf("heartbeat %v", text)
	} else {
		c.Send(wstest.Pong(string(ping.Payload)))
	}
	c.say(`{"type":"health"}`)
	got := c.hear()
	if rtt, ok := got["rtt_ms"].(float64); !ok || rtt <= 0 || rtt > 60_000 {
		t.Errorf("health %v", got)
	}
}
