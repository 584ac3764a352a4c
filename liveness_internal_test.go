//go:build linux

package perch

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/internal/wstest"
)

// connecting is a connection that we dial. TCP is connected: the loop learns it in
// its next turn.
func (d *driven) connecting(h Handler) *peer {
	d.t.Helper()
	route, err := d.srv.dialRoute(h)
	if err != nil {
		d.t.Fatal(err)
	}
	p := d.join(0)
	s := d.l.slab.at(p.slot)
	dial := newDialing(route, handshake.NewKey())
	s.state = stateConnecting
	s.setRoute(route.index)
	s.flags |= flagClient | flagOut
	d.l.slab.thaw(s).dial = dial
	d.l.poller.Mod(int(s.fd), d.l.token(p.slot, s), interestOf(s.flags))
	return p
}

// dialled is a connection that we have dialled, open and idle; the peer is the
// server.
func (d *driven) dialled(h Handler) *peer {
	d.t.Helper()
	p := d.connecting(h)
	key := d.l.slab.coldOf(d.l.slab.at(p.slot)).dial.key
	d.turn()
	p.send(wstest.Switching(key))
	wstest.Eventually(d.t, "the dialled connection is open and idle", func() bool {
		d.turn()
		return p.state() == stateOpen && d.l.slab.at(p.slot).cold == 0
	})
	p.read()
	p.got = nil // our request
	return p
}

// times is a pair of the heartbeat; 0: never.
type times struct{ interval, timeout time.Duration }

func (p times) config() (interval, timeout time.Duration) {
	return orNever(p.interval), orNever(p.timeout)
}

// TestHeartbeatTimes: every pair of times keeps its meaning, at every scale and
// wherever it is set: no ping before the interval, one before the end, and the
// peer has what is between the two to answer. None is missed by much.
func TestHeartbeatTimes(t *testing.T) {
	const year = 365 * 24 * time.Hour
	var pairs []times
	for _, interval := range []time.Duration{time.Millisecond, 2 * time.Millisecond, 7 * time.Millisecond, 100 * time.Millisecond, time.Second, 2 * time.Second, 30 * time.Second, time.Hour, 24 * time.Hour, 60 * 24 * time.Hour, year} {
		for _, ratio := range []float64{1.05, 1.2, 2, 3, 1000, 1e6} {
			if timeout := float64(interval) * ratio; timeout <= float64(4*year) {
				pairs = append(pairs, times{interval, time.Duration(timeout)})
			}
		}
		pairs = append(pairs, times{interval, 0}, times{0, interval})
	}
	pairs = append(pairs, times{time.Millisecond, time.Millisecond + 1}, times{1, 2}, times{time.Hour, time.Hour + 1})
	places := map[string]func(t *testing.T, p times) *peer{
		"server": func(t *testing.T, p times) *peer {
			var cfg Config
			cfg.PingInterval, cfg.PingTimeout = p.config()
			return drive(t, cfg, func(srv *Server) { srv.Handle("/ws", Handler{}) }).freeze().open(0)
		},
		"route": func(t *testing.T, p times) *peer {
			var s Settings
			s.PingInterval, s.PingTimeout = p.config()
			return drive(t, Config{}, func(srv *Server) { srv.Handle("/ws", Handler{Settings: s}) }).freeze().open(0)
		},
		"dialled": func(t *testing.T, p times) *peer {
			var s Settings
			s.PingInterval, s.PingTimeout = p.config()
			return drive(t, Config{}, func(srv *Server) {}).freeze().dialled(Handler{Settings: s})
		},
	}
	for place, open := range places {
		for _, pair := range pairs {
			t.Run(fmt.Sprintf("%s/%v-%v", place, pair.interval, pair.timeout), func(t *testing.T) {
				p := open(t, pair)
				for round := range 3 { // twice it answers
					begun := p.d.l.now
					if pair.interval != 0 {
						payload := p.awaitPing(begun, pair.interval)
						begun = p.d.l.now
						if round < 2 {
							p.answerPing(payload)
							continue
						}
					}
					if pair.timeout == 0 {
						p.d.pass(10 * year)
						p.d.turns(3)
						if p.state() != stateOpen {
							t.Fatalf("closed, although never was asked for: %v", p.state())
						}
						continue
					}
					p.awaitEnd(begun, pair.timeout-pair.interval)
					return
				}
			})
		}
	}
}

// passing lets time pass in steps until the condition holds: not before limit
// has passed since begun, and not much later.
func (p *peer) passing(what string, begun int64, limit time.Duration, cond func() bool) {
	p.d.t.Helper()
	step := max(limit/64, time.Duration(p.d.l.hand.period))
	for n := 0; ; n++ {
		p.d.turn()
		p.read()
		passed := time.Duration(p.d.srv.clock.Now() - begun)
		if cond() {
			if passed < limit {
				p.d.t.Fatalf("%s after %v, wanted %v", what, passed, limit)
			}
			return
		}
		if n > 64+16+8 { // a quarter later, and a few periods
			p.d.t.Fatalf("no %s after %v, wanted %v; state %v", what, passed, limit, p.state())
		}
		p.d.pass(step)
	}
}

func (p *peer) awaitPing(begun int64, limit time.Duration) (payload []byte) {
	p.d.t.Helper()
	p.passing("ping", begun, limit, func() bool {
		if p.state() != stateOpen {
			p.d.t.Fatalf("state %v before a ping", p.state())
		}
		h, b, ok := p.next()
		payload = append([]byte(nil), b...)
		return ok && h.Opcode == frame.OpPing
	})
	return payload
}

func (p *peer) awaitEnd(begun int64, limit time.Duration) {
	p.d.t.Helper()
	p.passing("end", begun, limit, func() bool { return p.state() != stateOpen })
	h, b, ok := p.next()
	if code, _, err := frame.ParseClose(unmasked(h, b)); !ok || h.Opcode != frame.OpClose || code != CloseHeartbeatTimeout || err != nil {
		p.d.t.Fatalf("closed with %v %x", h, b)
	}
}

func (p *peer) answerPing(payload []byte) {
	p.d.t.Helper()
	s := p.d.l.slab.at(p.slot)
	if s.flags&flagClient != 0 {
		p.send(frame.AppendFrame(nil, frame.OpPong, payload))
	} else {
		p.frame(frame.OpPong, payload)
	}
	p.d.turn()
	if s.flags&flagPinged != 0 {
		p.d.t.Fatal("the pong is not seen")
	}
}

// unmasked is the payload of a frame as it was meant.
func unmasked(h frame.Header, b []byte) []byte {
	b = append([]byte(nil), b...)
	if h.Masked {
		frame.Mask(b, h.Key, 0)
	}
	return b
}

// TestSweepPeriod: the loops sweep as often as the connections that are there ask
// for, and no more often than that when they are gone.
func TestSweepPeriod(t *testing.T) {
	d := drive(t, Config{}, func(srv *Server) {
		srv.Handle("/ws", Handler{})
		srv.Handle("/quick", Handler{Settings: Settings{PingInterval: 32 * time.Millisecond}})
	})
	slow := d.l.hand.period
	if slow != int64(maxSweep) {
		t.Fatalf("a sweep every %v without connections", time.Duration(slow))
	}
	p := d.open(0)
	q := d.dialled(Handler{Settings: Settings{PingInterval: 160 * time.Millisecond}})
	if d.l.hand.period != int64(10*time.Millisecond) || d.l.hand.next > d.l.now+d.l.hand.period {
		t.Errorf("a sweep every %v, the next in %v", time.Duration(d.l.hand.period), time.Duration(d.l.hand.next-d.l.now))
	}
	for range 8 {
		d.pass(20 * time.Millisecond)
		d.turn()
	}
	if d.l.hand.period != int64(10*time.Millisecond) {
		t.Errorf("after some sweeps one every %v", time.Duration(d.l.hand.period))
	}
	q.close()
	d.turns(2)
	for range 3 {
		d.pass(time.Second)
		d.turn()
	}
	if d.l.hand.period != slow || p.state() != stateOpen {
		t.Errorf("a sweep every %v when the quick one is gone; the other is %v", time.Duration(d.l.hand.period), p.state())
	}
	p.close()
	d.turns(3)
	d.gone()
}

// TestPingTimes: one of the two alone gives the other, and nonsense is refused, in
// a server's configuration, a route's settings and those of a dial.
func TestPingTimes(t *testing.T) {
	const never = -1
	refused := times{-9, -9}
	for _, tt := range []struct{ in, want times }{
		{times{0, 0}, times{30 * time.Second, 60 * time.Second}},
		{times{10 * time.Second, 0}, times{10 * time.Second, 20 * time.Second}},
		{times{0, 10 * time.Second}, times{5 * time.Second, 10 * time.Second}},
		{times{time.Hour, 0}, times{time.Hour, 2 * time.Hour}},
		{times{never, 0}, times{0, 0}},
		{times{0, never}, times{30 * time.Second, 0}},
		{times{never, time.Minute}, times{0, time.Minute}},
		{times{time.Minute, never}, times{time.Minute, 0}},
		{times{never, never}, times{0, 0}},
		{times{1 << 62, 0}, times{1 << 62, 1<<63 - 2}},
		{times{1<<63 - 1, 0}, refused},
		{times{0, 1}, refused},
		{times{time.Second, time.Second}, refused},
		{times{2 * time.Second, time.Second}, refused},
	} {
		c, err := Config{PingInterval: tt.in.interval, PingTimeout: tt.in.timeout}.withDefaults()
		switch got := (times{c.PingInterval, c.PingTimeout}); {
		case tt.want == refused:
			if err == nil || !strings.Contains(err.Error(), "PingTimeout") {
				t.Errorf("%v: %v, want an error that names the key", tt.in, err)
			}
		case err != nil || got != tt.want:
			t.Errorf("%v becomes %v, %v; want %v", tt.in, got, err, tt.want)
		}
		if tt.in == (times{}) {
			continue
		}
		server, err2 := Config{PingInterval: time.Minute, PingTimeout: time.Hour}.withDefaults()
		if err2 != nil {
			t.Fatal(err2)
		}
		s, bad := Settings{PingInterval: tt.in.interval, PingTimeout: tt.in.timeout}.resolve(&server)
		if got := (times{s.PingInterval, s.PingTimeout}); (bad == nil) != (err == nil) || err == nil && got != (times{c.PingInterval, c.PingTimeout}) {
			t.Errorf("as a route's settings %v becomes %v, %v", tt.in, got, bad)
		}
	}
	srv := New(Config{Addr: "-", Loops: 1})
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	defer srv.Wait()
	defer srv.Close()
	err := srv.Dial(t.Context(), "ws://127.0.0.1:1/", Handler{Settings: Settings{PingInterval: time.Second, PingTimeout: time.Second}})
	if err == nil || !strings.Contains(err.Error(), "perch: route settings: PingTimeout") || errors.Is(err, ErrDial) {
		t.Errorf("a dial with nonsense: %v", err)
	}
}

// TestUnreadPong: what has arrived and was not read yet, because the loop had too
// much to do, is a sign of life. A connection that has answered is a bare slot
// again.
func TestUnreadPong(t *testing.T) {
	d := drive(t, Config{PingInterval: time.Minute}, func(srv *Server) { srv.Handle("/ws", Handler{}) })
	p := d.open(0)
	payload := p.awaitPing(d.l.now, time.Minute)
	p.frame(frame.OpPong, payload)
	d.pass(10 * time.Minute)
	d.l.clock()
	d.l.sweep() // in a tick whose events were others
	if p.state() != stateOpen {
		t.Fatalf("state %v with its pong unread", p.state())
	}
	d.turn()
	if s := d.l.slab.at(p.slot); s.flags&flagPinged != 0 || s.cold != 0 || p.state() != stateOpen {
		t.Errorf("after the pong: state %v, flags %b, cold %d", p.state(), s.flags, s.cold)
	}
	p.awaitPing(d.l.now, time.Minute)
}
