package room

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// A history is read in pages, in both directions. Each page says whether there is more.
func TestPages(t *testing.T) {
	w := newWorld(t, 1, Config{MaxHistory: 10})
	r := w.create("a", Options{})
	if p := r.Before(math.MaxUint64, 5); len(p.Messages) != 0 || p.More || p.Epoch != r.Position().Epoch {
		t.Errorf("of an empty history: %+v", p)
	}
	for i := range 14 {
		w.publish(r, fmt.Sprint("m", i+1))
	}
	for _, tt := range []struct {
		forward     bool
		offset      uint64
		n           int
		first, last int // offsets; 0: nothing
		more        bool
	}{
		{false, math.MaxUint64, 3, 12, 14, true},
		{false, 15, 3, 12, 14, true},
		{false, 14, 3, 11, 13, true},
		{false, 8, 3, 5, 7, false}, // 1 to 4 are gone
		{false, 8, 2, 6, 7, true},
		{false, 6, 9, 5, 5, false},
		{false, 5, 9, 0, 0, false},
		{false, 0, 9, 0, 0, false},
		{false, 15, 10, 5, 14, false},
		{false, 15, 0, 0, 0, true},
		{true, 0, 3, 5, 7, true}, // from the first that is there
		{true, 4, 3, 5, 7, true},
		{true, 5, 3, 6, 8, true},
		{true, 11, 3, 12, 14, false},
		{true, 11, 2, 12, 13, true},
		{true, 13, 9, 14, 14, false},
		{true, 14, 9, 0, 0, false},
		{true, 1000, 9, 0, 0, false},
		{true, math.MaxUint64 - 1, 9, 0, 0, false},
		{true, math.MaxUint64, 9, 0, 0, false},
	} {
		p, what := r.Before(tt.offset, tt.n), "before"
		if tt.forward {
			p, what = r.After(tt.offset, tt.n), "after"
		}
		var want []string
		for o := tt.first; o > 0 && o <= tt.last; o++ {
			want = append(want, fmt.Sprintf("m%d#%d", o, o))
		}
		if got := payloads(p.Messages); fmt.Sprint(got) != fmt.Sprint(want) || p.More != tt.more || p.Offset != 14 {
			t.Errorf("%d %s %d: %q, more %v at %d; want %q, more %v", tt.n, what, tt.offset, got, p.More, p.Offset, want, tt.more)
		}
		if tt.first > 0 && p.First != uint64(tt.first) {
			t.Errorf("%s %d: first %d, want %d", what, tt.offset, p.First, tt.first)
		}
	}
}

// A page is bounded in bytes too, but has at least one message.
func TestPageBytes(t *testing.T) {
	w := newWorld(t, 1, Config{})
	r := w.create("a", Options{})
	for range 4 {
		w.publish(r, strings.Repeat("x", MaxPageBytes/2-100))
	}
	w.publish(r, strings.Repeat("y", MaxPageBytes+1))
	for _, tt := range []struct {
		page Page
		n    int
		more bool
	}{
		{r.Before(6, 9), 1, true}, {r.Before(5, 9), 2, true}, {r.Before(3, 9), 2, false},
		{r.After(0, 9), 2, true}, {r.After(3, 9), 1, true}, {r.After(4, 9), 1, false},
	} {
		if len(tt.page.Messages) != tt.n || tt.page.More != tt.more {
			t.Errorf("from %d: %d messages, more %v; want %d, %v", tt.page.First, len(tt.page.Messages), tt.page.More, tt.n, tt.more)
		}
	}
}

// A room that is deleted has no pages.
func TestPagesOfADeletedRoom(t *testing.T) {
	w := newWorld(t, 1, Config{})
	r := w.create("a", Options{})
	w.publish(r, "x")
	if err := w.Delete(r, ""); err != nil {
		t.Fatal(err)
	}
	if p := r.Before(9, 9); len(p.Messages) != 0 || p.More {
		t.Errorf("%+v", p)
	}
}

// Members of an audience get the messages that are sent to it. In everything else it is no room.
func TestAudience(t *testing.T) {
	w := newWorld(t, 2, Config{})
	a := w.Audience()
	ada, bob := w.connect(0), w.connect(1)
	ada.signIn("ada", 0)
	ada.join(a)
	bob.join(a)
	w.run()
	ada.expect() // no one is told of new members
	if err := a.Send(text("news"), ClassPresence); err != nil {
		t.Error(err)
	}
	w.run()
	ada.expect("news")
	bob.expect("news")
	if n := a.Connections(); n != 2 {
		t.Errorf("%d connections", n)
	}
	ada.l.shards.Rooms(ada.Slot, func(r *Room) { t.Error("it is among the rooms of a connection") })
	if s := w.Stats(); s.Rooms != 0 || len(w.Rooms()) != 0 || w.Room("") != nil {
		t.Errorf("it is in a list: %+v", s)
	}
	if _, err := w.tryPublish(a, Message{Payload: []byte("x")}); err != ErrNotFound {
		t.Errorf("published: %v", err)
	}
	w.is(w.Delete(a, ""), ErrNotFound, "deleted")
	ada.leave(a)
	bob.close()
	if n := a.Connections(); n != 0 {
		t.Errorf("%d connections", n)
	}
	w.run()
	ada.expect()
}
