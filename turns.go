//go:build linux

package perch

import "sync"

// turns bounds the TLS handshakes that run at a time. Who finds all turns taken
// waits, without a goroutine, and first come is first served. Any goroutine.
type turns struct {
	// Immutable after New.
	most int
	kind postKind // tells that it is somebody's turn

	mu      sync.Mutex
	running int
	peak    int
	waiting []Ref // those before next have had their turn
	next    int
}

// take asks for a turn for r: now, or by a post to its loop later. Who has
// had it calls pass.
func (t *turns) take(r Ref) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running < t.most {
		t.begin()
		return true
	}
	t.waiting = append(t.waiting, r)
	return false
}

func (t *turns) begin() {
	t.running++
	t.peak = max(t.peak, t.running)
}

// pass gives a turn that is over to who has waited longest.
func (t *turns) pass() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running--
	for t.next < len(t.waiting) {
		r := t.waiting[t.next]
		t.next++
		if !r.Closed() && r.l.post(post{kind: t.kind, slot: r.slot, gen: r.gen}, nil) == nil {
			t.begin()
			break
		}
	}
	if t.next >= len(t.waiting)/2 { // the rest is the shorter half
		t.waiting = append(t.waiting[:0], t.waiting[t.next:]...)
		t.next = 0
	}
}

// count adds to the gauges of s.
func (t *turns) count(s *Stats) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.TLSRunning += t.running
	s.TLSPeak += t.peak
	s.TLSWaiting += len(t.waiting) - t.next
}
