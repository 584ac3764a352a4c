//go:build linux

package perch

import (
	"net/netip"
	"testing"
	"time"

	"github.com/perchws/perch/internal/limit"
)

// TestPushOut: which of several connections over a limit goes first.
func TestPushOut(t *testing.T) {
	const a, b = "192.0.2.1", "192.0.2.2"
	old, young := -overflowGrace, time.Duration(0)
	type c struct {
		peer  string
		age   time.Duration // since it came, negative
		state connState
		sent  bool // a part of its request
	}
	for _, tt := range []struct {
		name  string
		held  []c
		first []int // who goes, in order
	}{
		{"the oldest", []c{{a, young, stateHandshake, false}, {a, young, stateHandshake, false}}, []int{0, 1}},
		{"of the address with the most", []c{{a, young, stateHandshake, false}, {b, young, stateHandshake, false}, {b, young, stateHandshake, false}}, []int{1, 0, 2}},
		{"silent", []c{{a, old, stateHandshake, true}, {a, old, stateHandshake, false}, {a, young, stateHandshake, false}}, []int{1, 0, 2}},
		{"answered", []c{{a, old, stateHandshake, false}, {b, young, stateLingering, false}}, []int{1, 0}},
		{"being answered", []c{{a, old, stateDeciding, true}, {a, old, stateFailing, true}, {b, young, stateHandshake, true}}, []int{2, 0, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := drive(t, Config{}, func(*Server) {})
			l := d.l
			now := int64(time.Hour)
			var slots []uint32
			for _, h := range tt.held {
				i, s, _ := l.slab.alloc()
				s.fd, s.flags, s.state = -1, flagRefused, h.state
				d.srv.refusing.Add(1)
				l.now = now + int64(h.age)
				l.accepting.overflow.add(over{i, limit.ShareOf(netip.MustParseAddr(h.peer)), l.now})
				if h.state == stateHandshake {
					l.slab.thaw(s).refusal = &refusal{status: 503}
				}
				if h.sent {
					l.keep(s, []byte("GET"))
				}
				slots = append(slots, i)
			}
			l.now = now
			for _, want := range tt.first {
				l.pushOut(rankAll)
				if s := l.slab.at(slots[want]); s.state != stateClosed {
					t.Fatalf("%d is not the next to go", want)
				}
				l.reap()
			}
			if len(l.accepting.overflow.held) != 0 || l.accepting.overflow.shares.Len() != 0 || d.srv.refusing.Load() != 0 {
				t.Errorf("left: %v, shares of %d addresses, %d refusing", l.accepting.overflow.held, l.accepting.overflow.shares.Len(), d.srv.refusing.Load())
			}
		})
	}
}

// TestMayTell: TLS handshakes only to be told of a limit are limited too, of each address and in all.
func TestMayTell(t *testing.T) {
	d := drive(t, Config{NewConnectionsPerSecond: 2000}, func(*Server) {})
	i, s, _ := d.l.slab.alloc()
	s.fd, s.state = -1, stateSecuring
	d.l.slab.thaw(s).refusal = new(refusal)
	granted := func(peer string) (n int) {
		d.l.accepting.overflow.add(over{i, limit.ShareOf(netip.MustParseAddr(peer)), d.l.now})
		for range 500 {
			if d.l.mayTell(i, s) {
				n++
			}
		}
		d.l.accepting.overflow.remove(d.l.accepting.overflow.find(i))
		return n
	}
	for _, peer := range []string{"192.0.2.1", "127.0.0.1", "192.0.2.3", "192.0.2.4", "192.0.2.5"} {
		if n := granted(peer); n != 200 {
			t.Errorf("%s: %d, want 200", peer, n)
		}
	}
	if n := granted("192.0.2.6"); n != 0 {
		t.Errorf("%d more than half of all", n)
	}
	if d.l.mayTell(i, s) {
		t.Error("one that was pushed out has a handshake")
	}
}

// TestOverflowOf: few where descriptors are few, and never none.
func TestOverflowOf(t *testing.T) {
	for _, tt := range []struct{ loops, limit, want int }{
		{1, 64, 32}, {2, 1024, 25}, {2, 20000, 500}, {2, 1 << 30, 512}, {64, 1 << 20, 16}, {1024, 20000, 8},
	} {
		if got := overflowOf(tt.loops, tt.limit); got != tt.want {
			t.Errorf("%d loops, %d descriptors: %d, want %d", tt.loops, tt.limit, got, tt.want)
		}
	}
}
