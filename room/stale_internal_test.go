package room

import (
	"strings"
	"testing"
	"time"
)

// A closed topic gives no place in an order: a message that was refused reaches nobody. A deleted room is gone on all
// nodes.
func TestPublishOnClosedTopic(t *testing.T) {
	b := NewMemory()
	w, elsewhere := newWorld(t, 1, Config{Broker: b}), newWorld(t, 1, Config{Broker: b})
	first := w.create("a", Options{})
	second, made, err := elsewhere.Open("a", nil)
	if err != nil || made {
		t.Fatal(made, err)
	}
	at := second.Position()
	if err := w.Delete(first, ""); err != nil {
		t.Fatal(err)
	}
	_, err = w.tryPublish(first, Message{Payload: []byte("refused")})
	w.is(err, ErrNotFound, "publish to a deleted room")
	if p := second.Position(); p != at || !second.Closed() || elsewhere.Room("a") != nil {
		t.Errorf("the second is at %v, opened at %v, closed %t", p, at, second.Closed())
	}
	if n := first.Queue(); n != 0 {
		t.Errorf("%d under way", n)
	}
}

// If Encode panics on a message, only the publisher of that message is affected.
func TestPanicInEncode(t *testing.T) {
	w := newWorld(t, 1, Config{Encode: func(dst []byte, _ string, _ uint64, p []byte) []byte {
		if string(p) == "bad" {
			panic("bad")
		}
		return append(dst, p...)
	}})
	r := w.create("a", Options{})
	func() {
		defer func() { recover() }()
		r.Publish(Message{Payload: []byte("bad")}, nil)
	}()
	done := make(chan bool)
	go func() { w.publish(r, "good"); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the next publish hangs")
	}
	if n := r.Queue(); n != 0 {
		t.Errorf("%d publishes pending for ever", n)
	}
}

// One user leaves, another joins and is told the count, the first comes back. The summary comes although it names
// nobody: the count that the newcomer was told is no longer true.
func TestCancelledChangeIsHeard(t *testing.T) {
	w := newWorld(t, 1, Config{PresenceEach: 1, Announce: func(e Event) Frames {
		if e.Kind != Changed {
			return Frames{}
		}
		return text(strings.Repeat("+", len(e.Came)) + strings.Repeat("-", len(e.Went)) + string(rune('0'+e.Count)))
	}})
	r := w.create("a", Options{})
	x, y, z := w.connect(0), w.connect(0), w.connect(0)
	for id, c := range map[string]*conn{"x": x, "y": y, "z": z} {
		c.signIn(id, 0)
		c.join(r)
	}
	w.run()
	w.now = w.now.Add(time.Second)
	w.Sweep()
	w.run()
	x.leave(r)
	again := w.connect(0)
	again.signIn("y", 0)
	if j := again.join(r); j.Count != 2 {
		t.Errorf("joined as one of %d", j.Count)
	}
	x.join(r)
	w.run()
	w.now = w.now.Add(time.Second)
	w.Sweep()
	w.run()
	again.expect("3")
}
