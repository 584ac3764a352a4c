//go:build linux

package perch

import "sync"

// turns bounds the TLS handshakes that run at a time. A handshake that finds all
// turns taken waits, without a goroutine. Addresses take turns, each with its oldest,
// so that one that opens many connections delays its own. An address of which no
// handshake runs has some turns more. Any goroutine.
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
}

func newTurns(most int) *turns {
	return &turns{most: most, running: make(map[addrKey]int), waiting: make(map[addrKey][]Ref)}
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

// count adds to the gauges of s.
func (t *turns) count(s *Stats) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.TLSRunning += t.all
	s.TLSPeak += t.peak
	s.TLSWaiting += t.waits
}
