package room

import (
	"errors"
	"strings"
	"testing"
)

// recovered returns how many messages a new connection gets that has seen offset.
func (w *world) recovered(r *Room, at Position) (n int, ok bool) {
	w.t.Helper()
	c := w.connect(0)
	j := c.joinWith(r, JoinOptions{Since: &at})
	w.run()
	c.close()
	return len(j.Missed), j.Recovered
}

// A join gets the messages that it missed if they are within the limits, else none of them.
func TestRecoveryLimits(t *testing.T) {
	w := newWorld(t, 1, Config{MaxRecovery: 3, MaxHistory: 5, MaxRecoveryBytes: 100})
	r := w.create("a", Options{})
	for range 5 {
		w.publish(r, "x")
	}
	at := func(offset uint64) Position { return Position{r.Position().Epoch, offset} }
	for _, tt := range []struct {
		at   Position
		n    int
		good bool
	}{
		{at(5), 0, true}, {at(4), 1, true}, {at(2), 3, true}, {at(1), 0, false}, {at(0), 0, false},
		{at(6), 0, false}, {at(1 << 63), 0, false}, {Position{"another", 5}, 0, false}, {Position{"", 5}, 0, false},
	} {
		if n, ok := w.recovered(r, tt.at); n != tt.n || ok != tt.good {
			t.Errorf("since %v: %d messages, %v; want %d, %v", tt.at, n, ok, tt.n, tt.good)
		}
	}
	w.publish(r, strings.Repeat("y", 60))
	if n, ok := w.recovered(r, at(5)); n != 1 || !ok {
		t.Errorf("within the bytes: %d, %v", n, ok)
	}
	w.publish(r, strings.Repeat("z", 60))
	if n, ok := w.recovered(r, at(5)); n != 0 || ok {
		t.Errorf("over the bytes: %d, %v", n, ok)
	}
}

// A history drops its oldest messages at its count and at its bytes.
func TestHistoryLimits(t *testing.T) {
	w := newWorld(t, 1, Config{MaxHistory: 4})
	r := w.create("a", Options{})
	for range 6 {
		w.publish(r, "x")
	}
	c := w.connect(0)
	if j := c.joinWith(r, JoinOptions{Recent: 10}); len(j.Recent) != 4 || string(j.Recent[0].Payload()) != "x#3" {
		t.Errorf("%d recent ones", len(j.Recent))
	}
	w = newWorld(t, 1, Config{MaxHistoryBytes: 3 * 1000})
	r = w.create("b", Options{})
	for range 20 {
		w.publish(r, strings.Repeat("x", 500))
		if n := w.Stats().HistoryBytes; n > 3000+chargeCost {
			t.Fatalf("a history of %d bytes", n)
		}
	}
	c = w.connect(0)
	if j := c.joinWith(r, JoinOptions{Recent: 10}); len(j.Recent) != 5 {
		t.Errorf("%d recent ones in 3000 bytes", len(j.Recent))
	}
	w.publish(r, strings.Repeat("x", 4000)) // it is too large even alone
	if n := w.Stats().HistoryBytes; n != 0 {
		t.Errorf("%d bytes kept of a message that does not fit", n)
	}
	if err := w.Delete(r, ""); err != nil {
		t.Error(err)
	}
}

// Publishes are refused while too many are under way, and only then.
func TestQueueLimit(t *testing.T) {
	w := newWorld(t, 2, Config{MaxQueue: 3})
	r := w.create("a", Options{})
	for i := range 2 {
		w.connect(i).join(r)
	}
	w.run()
	for range 3 {
		w.publish(r, "x")
	}
	if _, err := w.tryPublish(r, Message{Payload: []byte("x")}); !errors.Is(err, ErrQueueFull) {
		t.Errorf("the fourth: %v", err)
	}
	w.loops[0].step() // the first of two loops has walked the first message
	if _, err := w.tryPublish(r, Message{Payload: []byte("x")}); !errors.Is(err, ErrQueueFull) {
		t.Errorf("walked by one loop: %v", err)
	}
	w.loops[1].step()
	if got := w.publish(r, "y"); got.Offset != 4 {
		t.Errorf("a refused message took a place: %d", got.Offset)
	}
	w.run()
	if n := r.Queue(); n != 0 {
		t.Errorf("%d under way when all is done", n)
	}
}
