//go:build linux

package perch

import (
	"math"
	"sync"
	"time"

	"github.com/perchws/perch/internal/limit"
)

// tlsTurns bounds the TLS handshakes that run at a time: each needs a turn. Without a free turn it waits, without a
// goroutine. A turn that is free again goes to the next address in a ring, and there to the connection that has waited
// longest: so an address that opens many connections delays its own. For addresses of which no handshake runs there are
// some turns more. While some wait, a handshake whose peer stalls loses its turn, and with it the connection. Any
// goroutine.
type tlsTurns struct {
	// Immutable after New.
	most int

	mu      sync.Mutex
	running limit.Shares[limit.Address] // handshakes of each address
	all     int                         // handshakes that run
	peak    int                         // the most that have
	waiting map[limit.Address][]Ref
	ring    []limit.Address         // addresses of which some wait; the next first
	waits   int                     // connections that wait
	stalled map[*tlsHandshake]int64 // handshakes that wait for their peers, and since when
}

// stallTime is how long a peer may keep a handshake waiting while others wait for a turn, stallBudget how many lose
// their turn in one sweep.
const (
	stallTime   = 500 * time.Millisecond
	stallBudget = 64
)

func newTLSTurns(most int) *tlsTurns {
	return &tlsTurns{
		most:    most,
		waiting: make(map[limit.Address][]Ref),
		stalled: make(map[*tlsHandshake]int64),
	}
}

// free reports whether a handshake of an address may begin.
func (t *tlsTurns) free(share limit.Address) bool {
	return t.all < t.most || t.running.Of(share) == 0 && t.all-t.most < t.most/8+1
}

// acquire asks for a turn for r: it has one now, or is told by a post to its loop later. A handshake that is over calls
// release. share is whose turn it is: see limit.ShareOf.
func (t *tlsTurns) acquire(r Ref, share limit.Address) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.free(share) {
		t.grant(share)
		return true
	}
	if len(t.waiting[share]) == 0 {
		t.ring = append(t.ring, share)
	}
	t.waiting[share] = append(t.waiting[share], r)
	t.waits++
	return false
}

func (t *tlsTurns) grant(share limit.Address) {
	t.running.Add(share, 1, math.MaxInt64)
	t.all++
	t.peak = max(t.peak, t.all)
}

// release ends a turn, and gives it to the address that is next.
func (t *tlsTurns) release(share limit.Address) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all--
	t.running.Remove(share, 1)
	for len(t.ring) > 0 && t.all < t.most {
		next := t.ring[0]
		t.ring = t.ring[1:]
		r := t.dequeue(next)
		if len(t.waiting[next]) > 0 {
			t.ring = append(t.ring, next)
		}
		if r.Closed() {
			continue
		}
		begin := func(c Conn) {
			if c.l == nil { // it has ended meanwhile
				t.release(next)
				return
			}
			c.l.startTLSHandshake(c.slot, c.l.slab.at(c.slot), t, next)
		}
		if r.l.put(post{kind: postTLSTurn, slot: r.slot, gen: r.gen, do: begin}, nil) == nil {
			t.grant(next)
		}
	}
}

// dequeue removes the connection of an address that has waited longest.
func (t *tlsTurns) dequeue(share limit.Address) Ref {
	all := t.waiting[share]
	r := all[0]
	if all = all[1:]; len(all) == 0 {
		delete(t.waiting, share)
	} else {
		t.waiting[share] = all
	}
	t.waits--
	return r
}

// awaitsPeer takes note that a handshake waits for its peer.
func (t *tlsTurns) awaitsPeer(h *tlsHandshake) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stalled[h] = h.ref.l.srv.clock.Now()
}

// continues takes note that it goes on.
func (t *tlsTurns) continues(h *tlsHandshake) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.stalled, h)
}

// dropStalled ends handshakes whose peers stall, as many as wait for a turn: first of the address with the most.
func (t *tlsTurns) dropStalled(now int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for range min(t.waits, stallBudget) {
		var worst *tlsHandshake
		for h, since := range t.stalled {
			if now-since < int64(stallTime) {
				continue
			}
			if worst == nil || t.running.Of(h.share) > t.running.Of(worst.share) ||
				t.running.Of(h.share) == t.running.Of(worst.share) && since < t.stalled[worst] {
				worst = h
			}
		}
		if worst == nil {
			return
		}
		delete(t.stalled, worst)
		r := worst.ref
		_ = r.l.put(post{kind: postTLSStalled, slot: r.slot, gen: r.gen}, nil) // an error: the loop has ended
	}
}

// gauges adds to those of s.
func (t *tlsTurns) gauges(s *Stats) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.TLSRunning += t.all
	s.TLSPeak += t.peak
	s.TLSWaiting += t.waits
}
