package room

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// A join takes effect between what was published before it and after it, however
// much of that waits in the mailbox.
func TestJoinAmongDeliveries(t *testing.T) {
	w := newWorld(t, 2, Config{})
	r := w.create("r", Options{})
	a, b := w.connect(0), w.connect(0)
	a.join(r)
	w.publish(r, "before")
	if j := b.join(r); j.Offset != 1 || j.Epoch != r.Position().Epoch || j.Count != 2 || j.First {
		t.Errorf("joined: %+v", j)
	}
	w.publish(r, "after")
	c := w.connect(1)
	c.join(r)
	w.publish(r, "last")
	w.run()
	a.expect("before#1", "after#2", "last#3")
	b.expect("after#2", "last#3")
	c.expect("last#3")
	w.audit()
}

// After a leave nothing is delivered, although it waits in the mailbox already;
// nor when the join itself waits there.
func TestLeaveAmongDeliveries(t *testing.T) {
	w := newWorld(t, 1, Config{})
	r := w.create("r", Options{})
	a, b := w.connect(0), w.connect(0)
	a.join(r)
	w.run()
	w.publish(r, "for a no more")
	a.leave(r)
	b.join(r)
	w.publish(r, "for nobody")
	b.leave(r)
	w.run()
	a.expect()
	b.expect()
	if n := r.Connections(); n != 0 {
		t.Errorf("%d connections", n)
	}
	w.audit()
}

// Who leaves and joins again gets what comes after the second join, once, with
// any of the two joins still in the mailbox.
func TestRejoinAmongDeliveries(t *testing.T) {
	for steps := range 6 {
		w := newWorld(t, 1, Config{})
		r := w.create("r", Options{})
		stay, c := w.connect(0), w.connect(0)
		stay.join(r)
		c.join(r)
		w.publish(r, "first")
		for range steps {
			w.loops[0].step()
		}
		c.leave(r)
		w.publish(r, "between")
		c.join(r)
		w.publish(r, "second")
		w.run()
		want := []string{"second#3"}
		if steps >= 3 { // both joins and the message
			want = []string{"first#1", "second#3"}
		}
		c.expect(want...)
		stay.expect("first#1", "between#2", "second#3")
		w.audit()
	}
}

// A slot that has changed hands: the old connection's join, still in the mailbox,
// is not the new one's.
func TestSlotReusedWhileJoinWaits(t *testing.T) {
	w := newWorld(t, 1, Config{})
	r := w.create("r", Options{})
	old := w.connect(0)
	old.join(r)
	w.publish(r, "for the old one")
	old.close()
	next := w.connect(0)
	if next.Slot != old.Slot {
		t.Fatal("another slot")
	}
	w.publish(r, "for nobody")
	w.run()
	next.expect()
	next.join(r)
	w.publish(r, "for the new one")
	w.run()
	next.expect("for the new one#3")
	w.audit()
}

// A shard that has changed hands: what was for the room that had it first does
// not reach members of the room that has it now.
func TestShardReusedWhileDeliveriesWait(t *testing.T) {
	w := newWorld(t, 1, Config{})
	first, second := w.create("first", Options{}), w.create("second", Options{})
	c := w.connect(0)
	c.join(first)
	w.publish(first, "lost")
	c.leave(first)
	c.join(second)
	if n := len(w.loops[0].shards.shards); n != 1 {
		t.Fatalf("%d shards, want the one again", n)
	}
	w.publish(second, "mine")
	w.run()
	c.expect("mine#1")
	w.audit()
}

// A deleted room tells its members, then they are out; its messages in the
// mailbox arrive, nothing comes after the goodbye.
func TestDeleteAmongDeliveries(t *testing.T) {
	w := newWorld(t, 2, Config{Announce: func(e Event) Frames {
		if e.Kind != Closed {
			return Frames{}
		}
		return text(fmt.Sprintf("%s closed: %s (%d)", e.Room.ID(), e.Reason, e.Count))
	}})
	r, other := w.create("r", Options{}), w.create("other", Options{})
	a, b, c := w.connect(0), w.connect(0), w.connect(1)
	b.signIn("b", 1)
	a.join(r)
	b.join(r)
	b.join(other)
	w.publish(r, "news")
	c.join(r)
	if err := w.Delete(r, "tidying"); err != nil {
		t.Fatal(err)
	}
	if w.Room("r") != nil || !r.Closed() || r.Count() != 0 {
		t.Error("the room is still there")
	}
	again := w.create("r", Options{})
	a.join(again)
	w.publish(again, "anew")
	w.run()
	a.expect("news#1", "r closed: tidying (3)", "anew#1")
	b.expect("~news#1", "~r closed: tidying (3)")
	c.expect("r closed: tidying (3)")
	if a.in(r) || b.in(r) || c.in(r) || !a.in(again) || !b.in(other) {
		t.Error("who is where")
	}
	w.is(w.Delete(r, ""), ErrNotFound, "Delete again")
	_, err := c.tryJoin(r, JoinOptions{})
	w.is(err, ErrNotFound, "Join of a deleted room")
	_, err = w.tryPublish(r, Message{Payload: []byte("x")})
	w.is(err, ErrNotFound, "Publish to a deleted room")
	r.Send(text("x"), ClassMessage)
	w.run()
	c.expect()
	w.audit()
}

// Who leaves a deleted room before its end has reached the loop is out, and is
// told nothing more.
func TestLeaveDeletedRoom(t *testing.T) {
	w := newWorld(t, 1, Config{})
	r := w.create("r", Options{})
	a, b := w.connect(0), w.connect(0)
	a.join(r)
	b.join(r)
	w.run()
	if err := w.Delete(r, ""); err != nil {
		t.Fatal(err)
	}
	if a.leave(r) {
		t.Error("the last one of its user in a room that is gone")
	}
	b.close()
	w.run()
	if a.in(r) {
		t.Error("still in it")
	}
	w.audit()
}

func TestJoinErrors(t *testing.T) {
	w := newWorld(t, 1, Config{})
	r := w.create("r", Options{})
	c := w.connect(0)
	_, err := c.l.shards.Leave(c.Slot, r)
	w.is(err, ErrNotIn, "Leave before")
	c.join(r)
	_, err = c.tryJoin(r, JoinOptions{})
	w.is(err, ErrJoined, "Join while the first waits")
	w.run()
	_, err = c.tryJoin(r, JoinOptions{})
	w.is(err, ErrJoined, "Join again")
	c.leave(r)
	_, err = c.l.shards.Leave(c.Slot, r)
	w.is(err, ErrNotIn, "Leave again")
	c.l.shards.LeaveAll(1000) // never seen
	w.run()
	w.audit()
}

// A connection may be in so many rooms and no more; those it leaves make space.
func TestMaxRoomsPerMember(t *testing.T) {
	const most = 100
	w := newWorld(t, 1, Config{})
	var rooms []*Room
	for i := range most + 1 {
		rooms = append(rooms, w.create(fmt.Sprint(i), Options{}))
	}
	c := w.connect(0)
	for _, r := range rooms[:most] {
		c.join(r)
	}
	_, err := c.tryJoin(rooms[most], JoinOptions{})
	w.is(err, ErrTooManyRooms, "one room more")
	w.run()
	c.leave(rooms[17])
	c.join(rooms[most])
	_, err = c.tryJoin(rooms[17], JoinOptions{})
	w.is(err, ErrTooManyRooms, "one room more, later")
	w.run()
	for i, r := range rooms {
		w.publish(r, fmt.Sprint(i))
		w.run()
		if i == 17 {
			c.expect()
		} else {
			c.expect(fmt.Sprintf("%d#1", i))
		}
	}
	w.audit()
	c.close()
	w.run()
	w.audit()
	if s := w.Stats(); s.Active != 0 || s.Rooms != most+1 {
		t.Errorf("%d of %d rooms active", s.Active, s.Rooms)
	}
}

// Rooms and In agree with joins and leaves in any order, whether a connection has
// a link of its own, a list, or had one.
func TestRoomsOfConnection(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	w := newWorld(t, 1, Config{})
	var rooms []*Room
	for i := range 6 {
		rooms = append(rooms, w.create(fmt.Sprint(i), Options{}))
	}
	conns := []*conn{w.connect(0), w.connect(0), w.connect(0)}
	conns[1].signIn("b", 1)
	for range 2000 {
		c := conns[rng.IntN(len(conns))]
		r := rooms[rng.IntN(len(rooms))]
		if c.in(r) {
			c.leave(r)
		} else {
			c.join(r)
		}
		var in, want []string
		c.l.shards.Rooms(c.Slot, func(r *Room) { in = append(in, r.ID()) })
		for _, r := range rooms {
			if c.in(r) {
				want = append(want, r.ID())
			}
		}
		slices.Sort(in)
		if !slices.Equal(in, want) {
			t.Fatalf("Rooms %v, In %v", in, want)
		}
		if rng.IntN(8) == 0 {
			w.run()
			w.audit()
		}
	}
	if u := conns[1].l.shards.User(conns[1].Slot); u == nil || u.ID() != "b" {
		t.Errorf("the user became %v", u)
	}
}

// While Rooms goes through them f may leave any, and join others.
func TestRoomsWhileLeaving(t *testing.T) {
	w := newWorld(t, 1, Config{})
	var rooms []*Room
	for i := range 4 {
		rooms = append(rooms, w.create(fmt.Sprint(i), Options{}))
	}
	c := w.connect(0)
	for _, r := range rooms[:3] {
		c.join(r)
	}
	var seen []string
	c.l.shards.Rooms(c.Slot, func(r *Room) {
		seen = append(seen, r.ID())
		if len(seen) == 1 {
			for _, r := range rooms[:3] {
				c.leave(r)
			}
			c.join(rooms[3]) // in place of one of them
		}
	})
	if !slices.Equal(seen, []string{"0"}) {
		t.Errorf("called for %v, want the first alone: it had left the others", seen)
	}
	c.l.shards.Rooms(1000, func(*Room) { t.Error("rooms of a connection never seen") })
	w.run()
	w.audit()
}

// A member that is full up refuses; a user's second connection is not a second
// member.
func TestMaxMembers(t *testing.T) {
	w := newWorld(t, 2, Config{})
	r := w.create("r", Options{MaxMembers: 2})
	ada, ada2, nobody, late := w.connect(0), w.connect(1), w.connect(0), w.connect(1)
	ada.signIn("ada", 0)
	ada2.signIn("ada", 0)
	if j := ada.join(r); !j.First || j.Count != 1 {
		t.Errorf("first of ada: %+v", j)
	}
	nobody.join(r)
	_, err := late.tryJoin(r, JoinOptions{})
	w.is(err, ErrFull, "a third")
	if j := ada2.join(r); j.First || j.Count != 2 {
		t.Errorf("second of ada: %+v", j)
	}
	if r.Connections() != 3 {
		t.Errorf("%d connections", r.Connections())
	}
	if ada.leave(r) {
		t.Error("ada is still there with her second connection")
	}
	_, err = late.tryJoin(r, JoinOptions{})
	w.is(err, ErrFull, "a third, while ada is there once")
	if !ada2.leave(r) {
		t.Error("ada has gone")
	}
	late.join(r)
	w.run()
	w.audit()
}

func TestCheckID(t *testing.T) {
	for id, ok := range map[string]bool{
		"general": true, "a": true, "Zimmer 12": true, "комната": true, "房间": true, "a/b?c=d": true, strings.Repeat("x", MaxID): true,
		"": false, strings.Repeat("x", MaxID+1): false, " a": false, "a ": false, "a\t": false, "a  b": false, "a\nb": false,
		"a\x00": false, "\xff": false, "a\xc3": false, "a\u200bb": false, "\u202egeneral": false, "a\u00a0b": false, "\ufffd": false,
		strings.Repeat("é", MaxID/2): true, strings.Repeat("é", MaxID/2) + "e": false,
	} {
		if err := CheckID(id); (err == nil) != ok {
			t.Errorf("CheckID(%q): %v", id, err)
		}
	}
}
