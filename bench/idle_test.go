package bench

import (
	"os"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/wstest"
)

func TestIdle(t *testing.T) {
	url := serve(t, perch.Handler{
		Settings:  perch.Settings{PingInterval: 30 * time.Millisecond, PingTimeout: 5 * time.Second},
		OnMessage: func(c perch.Conn, _ perch.Opcode, p []byte) { c.SendText("welcome " + string(p)) },
	})
	o := Idle{Target: target(t, url, 20), Greeting: Greeting{Hello: []string{"I am {id}"}, Ack: "welcome I am "}}
	o.PID, o.Loops = os.Getpid(), 2
	res := runUntil(t, func(d time.Duration) *Result { o.Time = d; return runOf(t, o) }, func(r *Result) bool { return r.Pings > 0 })
	expectFaults(t, res)
	if res.Opened != 20 || res.Pings == 0 {
		t.Errorf("%d open, %d pings, want 20 and some", res.Opened, res.Pings)
	}
	if s := res.Server; s == nil || s.Processes != 1 || s.RSS <= 0 || s.RSSBefore <= 0 || s.PerConn != float64(s.RSS-s.RSSBefore)/20 {
		t.Errorf("server %+v", res.Server)
	}
}

func TestIdleFaults(t *testing.T) {
	for _, tt := range []struct {
		name string
		h    perch.Handler
		want Fault
	}{
		{"closed", perch.Handler{OnMessage: func(c perch.Conn, _ perch.Opcode, _ []byte) {
			c.SendText("ack")
			c.Close(perch.CloseTryAgainLater, "")
		}}, Closed},
		{"no answer", perch.Handler{OnMessage: func(c perch.Conn, _ perch.Opcode, _ []byte) { c.SendText("other") }}, Timeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := Idle{Target: target(t, serve(t, tt.h), 3), Greeting: Greeting{Hello: []string{"hello"}, Ack: "ack"}}
			o.ConnectTimeout = 300 * time.Millisecond
			res := runOf(t, o)
			expectFaults(t, res, tt.want)
			if res.ErrorsTotal != 3 {
				t.Errorf("%d faults, want 3", res.ErrorsTotal)
			}
		})
	}
}

func TestStorm(t *testing.T) {
	o := Storm{target(t, serve(t, perch.Handler{}), 8)}
	o.Loops = 2
	res := runUntil(t, func(d time.Duration) *Result { o.Time = d; return runOf(t, o) }, func(r *Result) bool { return r.Second.Count > 0 })
	expectFaults(t, res)
	if res.Count == 0 || res.Opened < int(res.Count) || res.Second.Count == 0 || res.Second.P50 < res.Latency.Min {
		t.Errorf("result %+v, open %+v, closed %+v", res, res.Latency, res.Second)
	}
}

func TestStormFaults(t *testing.T) {
	refusing := serve(t, perch.Handler{OnUpgrade: func(*perch.Request) perch.Response { return perch.Reject(429, "") }})
	expectFaults(t, runOf(t, Storm{target(t, refusing, 4)}), Handshake)

	o := Storm{target(t, "ws://"+wstest.Listen(t).Addr().String()+"/", 4)} // nobody accepts
	o.Drain = 50 * time.Millisecond
	res := runOf(t, o)
	expectFaults(t, res, Timeout)
	if res.ErrorsTotal != 4 {
		t.Errorf("%d faults, want 4", res.ErrorsTotal)
	}
}
