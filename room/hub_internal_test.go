package room

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestCreate(t *testing.T) {
	w := newWorld(t, 1, Config{MaxRooms: 3})
	for _, id := range []string{"", strings.Repeat("x", MaxID+1), "a\nb"} {
		_, err := w.Create(id, Options{})
		w.is(err, ErrID, fmt.Sprintf("Create(%q)", id))
	}
	a := w.create("a", Options{})
	c := w.create("c", Options{Name: "Sea", Owner: "ada", Private: true, MaxMembers: 7})
	w.create("b", Options{})
	_, err := w.Create("a", Options{})
	w.is(err, ErrExists, "Create again")
	_, err = w.Create("d", Options{})
	w.is(err, ErrTooMany, "a fourth room of three")
	if o := a.Options(); o.Name != "a" || o.Private || a.ID() != "a" || !a.Created().Equal(w.now) {
		t.Errorf("room %s: %+v", a.ID(), o)
	}
	if o := c.Options(); o.Name != "Sea" || o.Owner != "ada" || !o.Private || o.MaxMembers != 7 {
		t.Errorf("room %s: %+v", c.ID(), o)
	}
	var ids []string
	for _, r := range w.Rooms() {
		ids = append(ids, r.ID())
	}
	if !slices.Equal(ids, []string{"a", "b", "c"}) || w.Room("c") != c || w.Room("d") != nil {
		t.Errorf("rooms %v", ids)
	}
	w.is(w.Delete(a, ""), nil, "Delete")
	w.create("d", Options{})
	_, err = w.Create("a", Options{})
	w.is(err, ErrTooMany, "again a fourth")
	w.audit()
}

// Ids are compared byte by byte: looks are another rule's matter.
func TestIDsAreExact(t *testing.T) {
	w := newWorld(t, 1, Config{})
	a := w.create("general", Options{})
	if b := w.create("General", Options{}); a == b || w.Room("GENERAL") != nil {
		t.Error("case does not count")
	}
}

// −1 means no limit, for every limit.
func TestNoLimits(t *testing.T) {
	w := newWorld(t, 1, Config{
		MaxRooms: -1, MaxRoomsPerMember: -1, MaxQueue: -1, MaxHistory: -1, MaxHistoryBytes: -1, MaxHistoryTotal: -1,
		MaxRecovery: -1, MaxRecoveryBytes: -1, PresenceEach: -1, PresenceNames: -1,
	})
	r := w.create("r", Options{})
	c := w.connect(0)
	c.signIn("c", 0)
	c.join(r)
	w.run()
	for range 3000 {
		w.publish(r, "m")
	}
	if n, ok := w.recovered(r, Position{Epoch: r.Position().Epoch}); n != 3000 || !ok {
		t.Errorf("%d messages recovered, %t", n, ok)
	}
	for i := range 300 {
		c.join(w.create(fmt.Sprint(i), Options{}))
	}
	c.close()
	w.now = w.now.Add(math.MaxInt64)
	w.Sweep()
	if s := w.Stats(); s.Rooms != 301 || s.Active != 0 {
		t.Errorf("%d rooms, %d active", s.Rooms, s.Active)
	}
	w.run()
	w.audit()
}

func TestStats(t *testing.T) {
	w := newWorld(t, 2, Config{})
	a := w.create("a", Options{})
	w.create("b", Options{})
	for i := range 4 {
		c := w.connect(i % 2)
		c.signIn(fmt.Sprint(i/2), 0)
		c.join(a)
	}
	w.publish(a, "m")
	a.Send(text("s"), ClassMessage)
	w.run()
	size := int64(len("m#1")+2) + entryCost + chargeCost
	if s, want := w.Stats(), (Stats{Rooms: 2, Active: 1, Users: 2, HistoryBytes: size, Published: 1, Delivered: 8}); s != want {
		t.Errorf("%+v, want %+v", s, want)
	}
	w.is(w.Delete(a, ""), nil, "Delete")
	w.run()
	if s, want := w.Stats(), (Stats{Rooms: 1, Users: 2, Published: 1, Delivered: 8}); s != want {
		t.Errorf("%+v, want %+v", s, want)
	}
	w.audit()
}

// pass moves the clock, and sweeps.
func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	w.Sweep()
}

// Rooms that are empty for their TTL go, with their history. Rooms that were joined again stay, and so do rooms
// without a TTL.
func TestEmptyRoomsExpire(t *testing.T) {
	const ttl = 300 * time.Second
	w := newWorld(t, 1, Config{})
	never := w.create("never joined", Options{TTL: ttl})
	left, back, stay, again := w.create("left", Options{TTL: ttl}), w.create("back", Options{TTL: ttl}), w.create("stay", Options{TTL: ttl}), w.create("again", Options{TTL: ttl})
	w.create("for good", Options{})
	guest := w.connect(0)
	guest.join(stay)
	w.pass(100 * time.Second)
	for _, r := range []*Room{left, back, again} {
		guest.join(r)
	}
	at := w.publish(left, "m").Position
	w.pass(100 * time.Second)
	for _, r := range []*Room{left, back, again} {
		guest.leave(r)
	}
	w.pass(100*time.Second - 1)
	if w.Room("never joined") != never {
		t.Error("gone too early")
	}
	w.pass(1)
	if w.Room("never joined") != nil || !never.Closed() {
		t.Error("a room that nobody has joined stays")
	}
	guest.join(back)
	guest.join(again)
	guest.leave(again) // its time begins again
	w.pass(ttl - 100*time.Second - 1)
	if w.Room("left") != left {
		t.Error("gone too early")
	}
	w.pass(1)
	if w.Room("left") != nil || !left.Closed() || w.Stats().HistoryBytes != 0 {
		t.Error("a room that everybody has left, or its history, stays")
	}
	_, err := w.tryPublish(left, Message{Payload: []byte("m")})
	w.is(err, ErrNotFound, "Publish to an expired room")
	if w.Room("again") != again {
		t.Error("a room that was joined in between is gone")
	}
	w.pass(100 * time.Second)
	if w.Room("again") != nil {
		t.Error("a room that was joined in between stays")
	}
	for _, id := range []string{"back", "stay", "for good"} {
		if w.Room(id) == nil {
			t.Errorf("%q is gone", id)
		}
	}
	if r := w.create("left", Options{TTL: ttl}); r.Position().Epoch == at.Epoch {
		t.Error("the epoch of a room that had gone")
	}
	w.run()
	w.audit()
}

// A room that is left and joined again and again costs no more than one room.
func TestEmptyRoomsAreListedOnce(t *testing.T) {
	w := newWorld(t, 1, Config{})
	var rooms []*Room
	for i := range 100 {
		rooms = append(rooms, w.create(fmt.Sprint(i), Options{TTL: 300 * time.Second}))
	}
	c := w.connect(0)
	for i := range 20_000 {
		w.now = w.now.Add(time.Millisecond)
		c.join(rooms[i%3])
		c.leave(rooms[i%3])
		w.run()
	}
	if n := len(w.expiry.due); n != len(rooms) {
		t.Errorf("%d entries for %d rooms", n, len(rooms))
	}
	for i := range 1000 {
		r := w.create(fmt.Sprint("brief ", i), Options{TTL: 300 * time.Second})
		w.is(w.Delete(r, ""), nil, "Delete")
	}
	if n := len(w.expiry.due); n != len(rooms) {
		t.Errorf("%d entries for %d rooms after others were deleted", n, len(rooms))
	}
	w.pass(280 * time.Second) // the others are 300 s old
	if n := w.Stats().Rooms; n != 3 {
		t.Errorf("%d rooms, want the three that were left lately", n)
	}
	w.pass(20 * time.Second)
	if n := w.Stats().Rooms; n != 0 || len(w.expiry.due) != 0 {
		t.Errorf("%d rooms, %d entries", n, len(w.expiry.due))
	}
	w.audit()
}

// The hub sweeps by itself once a second, from the first room until it is closed.
func TestHubSweeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Config{})
		h.Attach([]Loop{new(deaf)}, nil)
		r, err := h.Create("r", Options{TTL: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if r.Closed() {
			t.Error("gone too early")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !r.Closed() {
			t.Error("the hub does not sweep")
		}
		h.Close()
		h.Close()
		if _, err := h.Create("s", Options{}); err != ErrClosed {
			t.Errorf("Create after Close: %v", err)
		}
	}) // and no goroutine is left
	New(Config{}).Close()
}

// Rooms that were made before Attach work afterwards.
func TestAttachLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Config{})
		r, err := h.Create("r", Options{TTL: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		r.Publish(Message{Payload: []byte("m")}, func(at Receipt, err error) {
			if at.Offset != 1 || err != nil {
				t.Errorf("published at %d, %v", at.Offset, err)
			}
		})
		time.Sleep(time.Minute)
		h.Attach([]Loop{new(deaf)}, nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !r.Closed() {
			t.Error("the hub does not sweep")
		}
		h.Close()
	})
}

// TestEachWhileDeleting: rooms that stay are visited while others are deleted and made.
func TestEachWhileDeleting(t *testing.T) {
	w := newWorld(t, 1, Config{})
	var stay, leave []*Room
	for i := range 2000 {
		r := w.create(fmt.Sprint("r", i), Options{})
		if i%3 == 0 {
			stay = append(stay, r)
		} else {
			leave = append(leave, r)
		}
	}
	seen := make(map[*Room]bool)
	w.Each(func(r *Room) {
		seen[r] = true
		if n := len(leave); n > 0 {
			w.is(w.Delete(leave[n/2], ""), nil, "Delete")
			leave = append(leave[:n/2], leave[n/2+1:]...)
			w.create(fmt.Sprint("new", n), Options{})
		}
	})
	for _, r := range stay {
		if !seen[r] {
			t.Fatalf("%s was left out", r.ID())
		}
	}
	w.audit()
}
