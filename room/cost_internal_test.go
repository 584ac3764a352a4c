//go:build !race

// The race detector makes these tests slow, and its figures mean nothing.

package room

import (
	"testing"
	"time"
)

// TestBytesPerMembership: a loop keeps 16 bytes for a connection, and 4 for its only room; for several rooms 8 each,
// and 24. Tables grow by a quarter, so there may be a quarter more.
func TestBytesPerMembership(t *testing.T) {
	for _, tt := range []struct {
		conns, rooms int
		bytes        float64
	}{
		{100_000, 1, 16 + 4},
		{20_000, 2, 16 + 24 + 2*8},
		{20_000, 10, 16 + 24 + 10*8},
		{5_000, 50, 16 + 24 + 50*8},
		{5_000, 100, 16 + 24 + 100*8},
	} {
		got := loopBytes(t, tt.conns, tt.rooms)
		t.Logf("%d rooms: %.1f bytes a connection, %.1f a room", tt.rooms, got, got/float64(tt.rooms))
		if got > tt.bytes*5/4+1 {
			t.Errorf("%d rooms: %.1f bytes a connection, want %.0f and at most a quarter more", tt.rooms, got, tt.bytes)
		}
	}
}

// TestWalkAllocatesNothing: finding the receivers of a message allocates nothing.
func TestWalkAllocatesNothing(t *testing.T) {
	h, s, l := benchHub(t, Config{})
	r, _ := h.Create("a", Options{})
	for slot := range uint32(1000) {
		if _, err := s.Join(slot, 1, r, JoinOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	l.change(s)
	r.Publish(Message{Payload: []byte("x"), Except: []Member{{0, 3, 1}, {0, 4, 1}}}, nil)
	d := l.posts[0]
	walked := 0
	if n := testing.AllocsPerRun(10, func() {
		walked = 0
		for at := s.Cursor(d); at.Next(); {
			if !d.Excludes(Member{0, at.Slot, 1}) {
				walked++
			}
		}
	}); n != 0 || walked != 998 {
		t.Errorf("%v allocations for %d members", n, walked)
	}
}

// TestEvictMany: the end of a room takes its loop time in proportion to the members. (In proportion to their square,
// this many would stop the loop for many seconds.)
func TestEvictMany(t *testing.T) {
	const n, limit = 300_000, 2 * time.Second
	w := newWorld(t, 1, Config{})
	r := w.create("r", Options{})
	s := w.loops[0].shards
	for slot := range uint32(n) {
		if _, err := s.Join(slot, 1, r, JoinOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	w.run()
	w.is(w.Delete(r, ""), nil, "Delete")
	begin := time.Now()
	w.run()
	took := time.Since(begin)
	t.Logf("%v for %d members", took, n)
	if took > limit {
		t.Errorf("%v for %d members, want less than %v", took, n, limit)
	}
	w.audit()
}
