//go:build linux

package perch

import (
	"sync"
	"time"
)

// turns bounds the TLS handshakes that run at a time. A handshake that finds all
// turns taken waits, without a goroutine. Addresses take turns, each with its oldest,
// so that one that opens many connections delays its own. An address of which no
// handshake runs has some turns more. While some wait, a handshake whose peer stalls
// loses its turn, and with it the connection. Any goroutine.
type turns struct {
	// Immutable after New.
	most int

	mu      sync.Mutex
	running map[addrKey]int // handshakes of each address
	all     int             // of them
	peak    int
	waiting map[addrKey][]Ref
	ring    []addrKey // of those who wait; the next first
	waits   int
	stalled map[*feed]int64 // handshakes that wait for their peers, since when
}

// stallTime is how long a peer may keep a handshake waiting while others wait for a
// turn, stallBudget how many lose theirs at a time.
const (
	stallTime   = 500 * time.Millisecond
	stallBudget = 64
)

func newTurns(most int) *turns {
	return &turns{most: most, running: make(map[addrKey]int), waiting: make(map[addrKey][]Ref), stalled: make(map[*feed]int64)}
}

// free reports whether a handshake of an address may begin.
func (t *turns) free(share addrKey) bool {
	return t.all < t.most || t.running[share] == 0 && t.all-t.most < t.most/8+1
}

// take asks for a turn for r: now, or by a post to its loop later. What has had its
// turn calls pass. share is whose turn it is: see shareOf.
func (t *turns) take(r Ref, share addrKey) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.free(share) {
		t.begin(share)
		return true
	}
	if len(t.waiting[share]) == 0 {
		t.ring = append(t.ring, share)
	}
	t.waiting[share] = append(t.waiting[share], r)
	t.waits++
	return false
}

func (t *turns) begin(share addrKey) {
	t.running[share]++
	t.all++
	t.peak = max(t.peak, t.all)
}

// pass gives a turn that is over to the address whose turn it is.
func (t *turns) pass(share addrKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all--
	if t.running[share]--; t.running[share] == 0 {
		delete(t.running, share)
	}
	for len(t.ring) > 0 && t.all < t.most {
		next := t.ring[0]
		t.ring = t.ring[1:]
		r := t.first(next)
		if len(t.waiting[next]) > 0 {
			t.ring = append(t.ring, next)
		}
		if r.Closed() {
			continue
		}
		take := func(c Conn) {
			if c.l == nil { // it has ended meanwhile
				t.pass(next)
				return
			}
			c.l.shake(c.slot, c.l.slab.at(c.slot), t, next)
		}
		if r.l.post(post{kind: postTurn, slot: r.slot, gen: r.gen, do: take}, nil) == nil {
			t.begin(next)
		}
	}
}

// first takes the oldest of an address that waits.
func (t *turns) first(share addrKey) Ref {
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

// rest takes note that a handshake waits for its peer; work, that it goes on.
func (t *turns) rest(f *feed) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stalled[f] = f.ref.l.srv.clock.Now()
}

func (t *turns) work(f *feed) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.stalled, f)
}

// hurry ends handshakes whose peers stall, as many as wait for a turn: first of the
// address with the most.
func (t *turns) hurry(now int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for range min(t.waits, stallBudget) {
		var worst *feed
		for f, since := range t.stalled {
			if now-since < int64(stallTime) {
				continue
			}
			if worst == nil || t.running[f.share] > t.running[worst.share] ||
				t.running[f.share] == t.running[worst.share] && since < t.stalled[worst] {
				worst = f
			}
		}
		if worst == nil {
			return
		}
		delete(t.stalled, worst)
		r := worst.ref
		_ = r.l.post(post{kind: postStalled, slot: r.slot, gen: r.gen}, nil) // an error: the loop has ended
	}
}

// count adds to the gauges of s.
func (t *turns) count(s *Stats) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.TLSRunning += t.all
	s.TLSPeak += t.peak
	s.TLSWaiting += t.waits
}
