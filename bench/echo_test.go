package bench

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

func send(c perch.Conn, op perch.Opcode, p []byte) { c.Send(op, p) }

func TestEcho(t *testing.T) {
	url := serve(t, perch.Handler{OnMessage: send})
	for _, tt := range []struct {
		name string
		o    Echo
	}{
		{"one at a time", Echo{Size: 128, Depth: 1}},
		{"pipelined", Echo{Size: 128, Depth: 16}},
		{"smallest", Echo{Size: 8, Depth: 3, Text: true}},
		{"large", Echo{Size: 100_000, Depth: 3}},
		{"rate", Echo{Size: 64, Depth: 1, Rate: 2000}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Target = target(t, url, 5)
			tt.o.Loops = 2
			res := runUntil(t, func(d time.Duration) *Result { tt.o.Time = d; return runOf(t, tt.o) }, func(r *Result) bool { return r.Count > 0 })
			expectFaults(t, res)
			if res.Opened != 5 || res.Loops != 2 || res.Count == 0 || res.Latency.Count != res.Count || res.Latency.P50 <= 0 {
				t.Errorf("result %+v, latency %+v", res, res.Latency)
			}
			if want := float64(res.Count) / res.Seconds; res.Rate != want || res.Bytes != want*float64(tt.o.Size)/1e6 {
				t.Errorf("rate %v, %v MB/s, want %v messages", res.Rate, res.Bytes, want)
			}
		})
	}
}

// TestEchoFaults plants each fault in a server.
func TestEchoFaults(t *testing.T) {
	// every calls good for most messages and bad for each seventh.
	every := func(bad func(c perch.Conn, op perch.Opcode, p []byte)) func(perch.Conn, perch.Opcode, []byte) {
		n := 0
		return func(c perch.Conn, op perch.Opcode, p []byte) {
			if n++; n%7 == 0 {
				bad(c, op, p)
			} else {
				c.Send(op, p)
			}
		}
	}
	others := make(map[perch.Conn][]byte)
	n := 0
	for _, tt := range []struct {
		name      string
		onMessage func(c perch.Conn, op perch.Opcode, p []byte)
		want      []Fault
	}{
		{"corrupt", every(func(c perch.Conn, op perch.Opcode, p []byte) { p[len(p)/2] ^= 1; c.Send(op, p) }), []Fault{Corrupt}},
		{"corrupt first byte", every(func(c perch.Conn, op perch.Opcode, p []byte) { p[0] |= 0x80; c.Send(op, p) }), []Fault{Corrupt}},
		{"corrupt last byte", every(func(c perch.Conn, op perch.Opcode, p []byte) { p[len(p)-1] ^= 0x80; c.Send(op, p) }), []Fault{Corrupt}},
		{"short", every(func(c perch.Conn, op perch.Opcode, p []byte) { c.Send(op, p[:len(p)-1]) }), []Fault{Corrupt}},
		{"empty", every(func(c perch.Conn, op perch.Opcode, p []byte) { c.Send(op, nil) }), []Fault{Corrupt}},
		{"long", every(func(c perch.Conn, op perch.Opcode, p []byte) { c.Send(op, append(bytes.Clone(p), 'x')) }), []Fault{Corrupt}},
		{"opcode", every(func(c perch.Conn, _ perch.Opcode, p []byte) { c.Send(perch.Text, bytes.ToValidUTF8(p, nil)) }), []Fault{Corrupt}},
		{"of another connection", every(func(c perch.Conn, op perch.Opcode, p []byte) {
			for other, q := range others {
				if other != c {
					c.Send(op, q)
					break
				}
			}
			others[c] = bytes.Clone(p)
		}), []Fault{Corrupt, Lost}}, // the first has no other
		{"drop", every(func(perch.Conn, perch.Opcode, []byte) {}), []Fault{Lost}},
		{"duplicate", every(func(c perch.Conn, op perch.Opcode, p []byte) { c.Send(op, p); c.Send(op, p) }), []Fault{Duplicate}},
		{"reorder", every(func(c perch.Conn, op perch.Opcode, p []byte) { // behind all that has been read with it
			held := bytes.Clone(p)
			c.Ref().Do(func(c perch.Conn) { c.Send(op, held) })
		}), []Fault{Reordered}},
		{"stall", func(c perch.Conn, op perch.Opcode, p []byte) {
			if n++; n < 300 {
				c.Send(op, p)
			}
		}, []Fault{Lost}},
		{"close", every(func(c perch.Conn, _ perch.Opcode, _ []byte) { c.Close(perch.CloseGoingAway, "enough") }), []Fault{Closed, Lost}},
		{"panic", every(func(perch.Conn, perch.Opcode, []byte) { panic("on purpose") }), []Fault{Closed, Lost}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wstest.NoLeaks(t)
			res := runUntil(t, func(d time.Duration) *Result {
				clear(others)
				n = 0
				return during(t, perch.Handler{OnMessage: tt.onMessage}, func(url string) *Result {
					o := Echo{Target: target(t, url, 3), Size: 64, Depth: 8}
					o.Time, o.Drain = d, drainFor(tt.want)
					return runOf(t, o)
				})
			}, func(r *Result) bool { return r.Count > 0 && hasFaults(r, tt.want) })
			expectFaults(t, res, tt.want...)
			if res.Count == 0 {
				t.Error("no answer counted: the good ones should be")
			}
		})
	}
}

// TestEchoUnasked sends what nothing was sent for.
func TestEchoUnasked(t *testing.T) {
	url := serve(t, perch.Handler{
		OnOpen:    func(c perch.Conn, _ *perch.Request) { c.Send(perch.Binary, make([]byte, 64)) },
		OnMessage: send,
	})
	expectFaults(t, runOf(t, Echo{Target: target(t, url, 2), Size: 64, Depth: 1}), Corrupt)
}

// raw is a run against a server of one connection that is played by hand.
func raw(t *testing.T, play func(c *wstest.Conn), headers ...string) *Result {
	t.Helper()
	wstest.NoLeaks(t)
	ln := wstest.Listen(t)
	o := Echo{Target: target(t, "ws://"+ln.Addr().String()+"/", 1), Size: 64, Depth: 2}
	o.Drain = 50 * time.Millisecond
	done := make(chan *Result, 1)
	go func() {
		res, err := o.Run(context.Background())
		if err != nil {
			t.Error(err)
		}
		done <- res
	}()
	c := wstest.AcceptConn(t, ln, headers...)
	play(c)
	return wstest.Receive(t, "result", done)
}

func TestEchoProtocolFault(t *testing.T) {
	for _, tt := range []struct {
		name string
		f    wstest.Frame
		code frame.CloseCode
	}{
		{"reserved bit", wstest.Frame{Op: frame.OpBinary, Rsv: 4}, frame.CloseProtocolError},
		{"not UTF-8", wstest.Frame{Op: frame.OpText, Payload: []byte("\xff")}, frame.CloseInvalidPayload},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res := raw(t, func(c *wstest.Conn) {
				c.Next() // both that are in flight
				c.Next()
				c.Send(tt.f)
				c.ExpectFail(tt.code)
			})
			expectFaults(t, res, Protocol, Lost)
		})
	}
}

func TestEchoClosingFault(t *testing.T) {
	res := raw(t, func(c *wstest.Conn) {
		for {
			f, err := c.Next()
			if err != nil {
				t.Error(err)
				return
			}
			if f.Op == frame.OpClose { // and no answer to it
				c.Close()
				return
			}
			c.Send(wstest.Frame{Op: f.Op, Payload: f.Payload})
		}
	})
	expectFaults(t, res, Closing)
}

func TestEchoRefused(t *testing.T) {
	var log strings.Builder
	o := Echo{Target: target(t, serve(t, perch.Handler{
		OnUpgrade: func(*perch.Request) perch.Response { return perch.Reject(503, "full") },
	}), 7), Size: 8, Depth: 1}
	o.Log = &log
	res := runOf(t, o)
	expectFaults(t, res, Handshake)
	if res.Opened != 0 || res.ErrorsTotal != 7 {
		t.Errorf("%d open, %d faults, want 0 and 7", res.Opened, res.ErrorsTotal)
	}
	if n := strings.Count(log.String(), "\n"); n != describedFaults || !strings.Contains(log.String(), "connect more slowly") {
		t.Errorf("log of %d lines, want %d and an advice:\n%s", n, describedFaults, &log)
	}
}

func TestEchoNobodyThere(t *testing.T) {
	wstest.NoLeaks(t)
	ln := wstest.Listen(t)
	url := "ws://" + ln.Addr().String()
	ln.Close()
	expectFaults(t, runOf(t, Echo{Target: target(t, url, 2), Size: 8, Depth: 1}), Connect)
}

// TestCoordinatedOmission stalls a server once. Load that waits for it sees one
// slow answer; a rate sees all the messages that were due meanwhile.
func TestCoordinatedOmission(t *testing.T) {
	const stall = 500 * time.Millisecond
	for _, rate := range []float64{0, 1000} {
		var stalled atomic.Bool
		begun := time.Now()
		url := serve(t, perch.Handler{OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) {
			if time.Since(begun) > 100*time.Millisecond && !stalled.Swap(true) {
				time.Sleep(stall) // the fault
			}
			c.Send(op, p)
		}})
		o := Echo{Target: target(t, url, 1), Size: 64, Depth: 1, Rate: rate}
		o.Time = stall + 200*time.Millisecond
		res := runOf(t, o)
		expectFaults(t, res)
		slowest := time.Duration(res.Latency.Max) * time.Microsecond
		p90 := time.Duration(res.Latency.P90) * time.Microsecond
		if slowest < stall*99/100 {
			t.Errorf("rate %v: the slowest answer took %v, the stall %v", rate, slowest, stall)
		}
		if slow := p90 > stall/2; slow != (rate > 0) {
			t.Errorf("rate %v: p90 %v with a stall of %v", rate, p90, stall)
		}
	}
}

// TestEchoTooFast asks for a rate that no client can send.
func TestEchoTooFast(t *testing.T) {
	o := Echo{Target: target(t, serve(t, perch.Handler{OnMessage: send}), 1), Size: 8, Depth: 1, Rate: 1e9}
	res := runOf(t, o)
	expectFaults(t, res)
	if res.Unsent == 0 || res.SendDelay.Max < 1000 {
		t.Errorf("%d unsent, sent up to %v µs late, want it told", res.Unsent, res.SendDelay.Max)
	}
}

// TestEchoInterrupted ends a run early: what was measured is told.
func TestEchoInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var n atomic.Int64
	o := Echo{Target: target(t, serve(t, perch.Handler{OnMessage: func(c perch.Conn, op perch.Opcode, p []byte) {
		if n.Add(1) == 100 {
			cancel()
		}
		c.Send(op, p)
	}}), 2), Size: 8, Depth: 1}
	o.Time = time.Hour
	res, err := o.Run(ctx)
	if err != nil || !res.Interrupted || res.OK || res.ErrorsTotal != 0 || res.Count == 0 {
		t.Errorf("result %+v, error %v, want an interrupted one", res, err)
	}
}

func TestEchoNonsense(t *testing.T) {
	good := Echo{Target: target(t, "ws://127.0.0.1:1/", 1), Size: 8, Depth: 1}
	for _, spoil := range []func(o *Echo){
		func(o *Echo) { o.Size = tagSize - 1 },
		func(o *Echo) { o.Size = maxMessage + 1 },
		func(o *Echo) { o.Depth = 0 },
		func(o *Echo) { o.Depth = maxDepth + 1 },
		func(o *Echo) { o.Rate = -1 },
		func(o *Echo) { o.URL = "http://127.0.0.1/" },
		func(o *Echo) { o.Conns = 0 },
		func(o *Echo) { o.InFlight = 0 },
		func(o *Echo) { o.Time = 0 },
		func(o *Echo) { o.Loops = -1 },
	} {
		o := good
		spoil(&o)
		if _, err := o.Run(t.Context()); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

// TestSources spreads connections over addresses.
func TestSources(t *testing.T) {
	var from []string
	o := Echo{Target: target(t, serve(t, perch.Handler{
		OnOpen:    func(c perch.Conn, _ *perch.Request) { from = append(from, c.RemoteAddr().Addr().String()) },
		OnMessage: send,
	}), 6), Size: 8, Depth: 1}
	o.Sources = 3
	o.ConnectRate = 500
	expectFaults(t, runOf(t, o))
	slices.Sort(from)
	if want := []string{"127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.3", "127.0.0.4", "127.0.0.4"}; !slices.Equal(from, want) {
		t.Errorf("connections from %v, want %v", from, want)
	}
}
