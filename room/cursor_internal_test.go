package room

import (
	"fmt"
	"slices"
	"testing"
)

// walk publishes to r and demands its receivers; it calls during for every receiver.
func (w *world) walk(r *Room, during func(c *conn), want ...*conn) {
	w.t.Helper()
	w.run()
	l := w.loops[0]
	var got []*conn
	l.walking = func(d *Delivery, c *conn) {
		got = append(got, c)
		during(c)
	}
	n := w.publish(r, "m").Offset
	l.step()
	l.walking = nil
	if !slices.Equal(got, want) {
		var names, wanted []Member
		for _, c := range got {
			names = append(names, c.Member)
		}
		for _, c := range want {
			wanted = append(wanted, c.Member)
		}
		w.t.Errorf("message %d went to %v, want %v", n, names, wanted)
	}
	if q := r.Queue(); q != 0 {
		w.t.Errorf("%d publishes pending", q)
	}
	w.run()
	w.audit()
}

// crowd makes a room with n members on loop 0. Every third of them speaks dialect 1, and is walked last.
func crowd(w *world, n int) (r *Room, all, order []*conn) {
	r = w.create(fmt.Sprint("room", len(w.Rooms())), Options{})
	var second []*conn
	for i := range n {
		c := w.connect(0)
		if i%3 == 2 {
			c.signIn(fmt.Sprint("u", c.Member), 1)
			second = append(second, c)
		} else {
			order = append(order, c)
		}
		c.join(r)
		all = append(all, c)
	}
	return r, all, append(order, second...)
}

// A member that leaves before its turn in a walk does not get the message; all others get it once.
func TestWalkWhileLeaving(t *testing.T) {
	const n = 9
	for at := range n {
		for who := range n {
			w := newWorld(t, 1, Config{})
			r, _, order := crowd(w, n)
			want := slices.Clone(order)
			if who > at { // its turn has not come
				want = slices.Delete(want, who, who+1)
			}
			w.walk(r, func(c *conn) {
				if c == order[at] {
					order[who].leave(r)
				}
			}, want...)
		}
	}
}

// The same when members close their connections.
func TestWalkWhileClosing(t *testing.T) {
	w := newWorld(t, 1, Config{})
	r, _, order := crowd(w, 9)
	w.walk(r, func(c *conn) { c.close() }, order...)

	r, all, order := crowd(w, 9)
	w.walk(r, func(c *conn) {
		if c == order[2] {
			for _, c := range all {
				c.close()
			}
		}
	}, order[:3]...)
	if r.Count() != 0 {
		t.Errorf("%d members", r.Count())
	}
}

// A connection that joins during a walk does not get the message, whatever its slot. One that leaves and comes back
// does not get it twice, and not at all if its turn had not come.
func TestWalkWhileJoining(t *testing.T) {
	for at := range 9 {
		w := newWorld(t, 1, Config{})
		early := w.connect(0)
		r, _, order := crowd(w, 9)
		late := w.connect(0)
		w.walk(r, func(c *conn) {
			if c == order[at] {
				early.join(r)
				late.join(r)
			}
		}, order...)

		w = newWorld(t, 1, Config{})
		r, all, order := crowd(w, 9)
		w.walk(r, func(c *conn) {
			if c == order[at] {
				for _, c := range all {
					c.leave(r)
					c.join(r)
				}
			}
		}, order[:at+1]...)
	}
}

// A shard that becomes free during a walk may become another room's. The members of that room do not get the message.
func TestWalkWhileShardChangesHands(t *testing.T) {
	w := newWorld(t, 1, Config{})
	other := w.create("other", Options{})
	r, all, order := crowd(w, 6)
	w.walk(r, func(c *conn) {
		if c == order[1] {
			for _, c := range all {
				c.leave(r)
			}
			for _, c := range all {
				c.join(other)
			}
		}
	}, order[:2]...)
	if n := other.Count(); n != 6 {
		t.Errorf("%d members of the other room", n)
	}
	s := w.loops[0].shards
	if len(s.shards) != 1 {
		t.Errorf("%d shards, want the one again", len(s.shards))
	}
}

// When a room is deleted during a walk, its members get the message, and then they are out.
func TestWalkWhileDeleting(t *testing.T) {
	w := newWorld(t, 1, Config{})
	r, all, order := crowd(w, 6)
	w.walk(r, func(c *conn) {
		if c == order[1] {
			if err := w.Delete(r, ""); err != nil {
				t.Fatal(err)
			}
		}
	}, order...)
	for _, c := range all {
		if c.in(r) {
			t.Errorf("%v is still in it", c.Member)
		}
	}
}

// The same holds for a walk over all connections that have signed in.
func TestWalkAllWhileChanging(t *testing.T) {
	w := newWorld(t, 1, Config{})
	_, all, _ := crowd(w, 9) // every third has signed in
	l := w.loops[0]
	l.walking = func(_ *Delivery, c *conn) {
		if c == all[2] {
			all[5].close()
			w.connect(0).signIn("takes the slot", 0)
			w.connect(0).signIn("at the end", 0)
		}
	}
	w.SendAll(text("m"))
	w.run()
	var got []Member
	for _, c := range l.conns {
		if len(c.got) > 0 {
			got = append(got, c.Member)
		}
	}
	want := []Member{all[2].Member, {0, 5, 2}, all[8].Member, {0, 9, 1}}
	if !slices.Equal(got, want) {
		t.Errorf("it went to %v, want %v", got, want)
	}
	w.audit()
}
