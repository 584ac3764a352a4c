package room

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// A join takes effect between the messages published before and after it, however many of them wait in the mailbox.
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

// After a leave nothing is delivered, not even messages, or the join itself, that wait in the mailbox.
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

// A connection that leaves and joins again gets the messages after its second join, once, with either join still in
// the mailbox.
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
		if steps >= 3 { // both joins, and the message
			want = []string{"first#1", "second#3"}
		}
		c.expect(want...)
		stay.expect("first#1", "between#2", "second#3")
		w.audit()
	}
}

// A join that waits in the mailbox does not count for the next connection in the slot.
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

// Messages for a room do not reach members of another room that has got its shard.
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

// A deleted room tells its members, and then they are out. Messages in the mailbox still arrive, and nothing comes
// after the last message.
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
		t.Error("wrong members after the end of the room")
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

// A member that leaves a deleted room before the loop knows of its end is out, and is told nothing.
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
		t.Error("Leave of a deleted room says that it was the last of the user")
	}
	b.close()
	w.run()
	if a.in(r) {
		t.Error("the connection is still in the room")
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
	c.l.shards.LeaveAll(1000) // there was no such connection
	w.run()
	w.audit()
}

// A connection may be in a limited number of rooms. When it leaves one it may join another.
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

// Rooms and In agree after joins and leaves in any order, whether a connection is in no room, one or several.
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

// The function given to Rooms may leave any room, and join others.
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
	c.l.shards.Rooms(1000, func(*Room) { t.Error("rooms of a connection that never was") })
	w.run()
	w.audit()
}

// A full room refuses new members; the second connection of a user is no new member.
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
		t.Error("Leave says that it was the last of ada, but there is another")
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
