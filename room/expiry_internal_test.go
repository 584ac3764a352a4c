package room

import (
	"math"
	"testing"
	"time"
)

// A room that the program has made stays until the program deletes it, even if nobody is there; then each method
// returns ErrNotFound.
func TestCreatedStays(t *testing.T) {
	w := newWorld(t, 1, Config{})
	r := w.create("r", Options{})
	c := w.connect(0)
	at := w.publish(r, "m").Position
	for range 3 {
		c.join(r)
		c.leave(r)
		w.pass(365 * 24 * time.Hour)
	}
	if w.Room("r") != r || r.Closed() || r.Position() != at || len(w.expiry.due) != 0 {
		t.Fatalf("at %v, want %v; closed: %v", r.Position(), at, r.Closed())
	}
	w.is(w.Delete(r, ""), nil, "Delete")
	for range 2 {
		_, err := w.tryPublish(r, Message{Payload: []byte("m")})
		w.is(err, ErrNotFound, "Publish")
		w.is(r.Send(Text([]byte("m")), ClassMessage), ErrNotFound, "Send")
		w.is(w.Delete(r, ""), ErrNotFound, "Delete")
		_, err = r.Unlock(t.Context(), "x")
		w.is(err, ErrNotFound, "Unlock")
		_, err = c.tryJoin(r, JoinOptions{})
		w.is(err, ErrNotFound, "join")
		if !r.Closed() || r.Count() != 0 || r.Connections() != 0 || r.Queue() != 0 {
			t.Error("a deleted room has members, or messages under way")
		}
		w.create("r", Options{}) // this is another room
		if w.Room("r") == r {
			t.Fatal("the room that was deleted is back")
		}
		w.is(w.Delete(w.Room("r"), ""), nil, "Delete of the other")
	}
	w.run()
	w.audit()
}

// Each room has a TTL of its own, and rooms go in the order of their times.
func TestTTLs(t *testing.T) {
	w := newWorld(t, 1, Config{})
	ttls := []time.Duration{time.Hour, time.Nanosecond, math.MaxInt64, time.Minute, 3 * time.Second, time.Minute + 1, -time.Second}
	var rooms []*Room
	for i, ttl := range ttls {
		rooms = append(rooms, w.create(string(rune('a'+i)), Options{TTL: ttl}))
	}
	made := w.now
	for _, d := range []time.Duration{0, 1, time.Second, 3*time.Second - 1, 3 * time.Second, time.Minute, time.Minute + 1, time.Hour - 1, time.Hour, 24 * time.Hour} {
		w.pass(made.Add(d).Sub(w.now))
		for i, r := range rooms {
			if gone := ttls[i] > 0 && d >= ttls[i]; r.Closed() != gone {
				t.Errorf("after %v, with a TTL of %v: gone is %v", d, ttls[i], r.Closed())
			}
		}
	}
	if len(w.expiry.due) != 1 { // the one with a TTL of MaxInt64
		t.Errorf("%d rooms wait for their end", len(w.expiry.due))
	}
	w.audit()
}
