package room

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSignIn(t *testing.T) {
	var offline []string
	w := newWorld(t, 2, Config{Offline: func(u *User) { offline = append(offline, u.ID()) }})
	r := w.create("r", Options{})
	a, b, c := w.connect(0), w.connect(1), w.connect(1)
	signIn := func(c *conn, id Identity) (*User, bool, error) { return c.l.shards.SignIn(c.Slot, c.Gen, id) }
	for _, id := range []string{"", strings.Repeat("x", MaxUserID+1)} {
		_, _, err := signIn(a, Identity{ID: id})
		w.is(err, ErrUserID, fmt.Sprintf("SignIn with an id of %d bytes", len(id)))
	}
	long := strings.Repeat("x", MaxUserID)
	u, first, err := signIn(a, Identity{ID: long, Name: "Ada"})
	if err != nil || !first || u.ID() != long || u.Name() != "Ada" {
		t.Errorf("SignIn: %v, %t, %v", u, first, err)
	}
	_, _, err = signIn(a, Identity{ID: "other"})
	w.is(err, ErrSignedIn, "SignIn again")
	again, first, err := signIn(b, Identity{ID: long, Name: "another"})
	if err != nil || first || again != u || u.Name() != "Ada" {
		t.Errorf("SignIn of the second connection: %v, %t, %v", again, first, err)
	}
	c.join(r)
	_, _, err = signIn(c, Identity{ID: "c"})
	w.is(err, ErrSignedIn, "SignIn in a room")
	c.join(w.create("r2", Options{}))
	_, _, err = signIn(c, Identity{ID: "c"})
	w.is(err, ErrSignedIn, "SignIn in two rooms")
	if got := w.Connections(u); !slices.Equal(got, []Member{a.Member, b.Member}) || w.User(long) != u || w.User("c") != nil {
		t.Errorf("connections %v", got)
	}
	if got := c.l.shards.User(c.Slot); got != nil {
		t.Errorf("%v has not signed in", got)
	}
	if w.loops[0].shards.User(1000) != nil {
		t.Error("a user of a connection that never was")
	}
	w.run()
	a.join(r)
	a.close()
	if len(offline) != 0 || r.Has(u) {
		t.Errorf("offline %v, in the room: %t", offline, r.Has(u))
	}
	b.close()
	if !slices.Equal(offline, []string{long}) || w.User(long) != nil {
		t.Errorf("offline %v", offline)
	}
	d := w.connect(0)
	if v, first, err := signIn(d, Identity{ID: long, Name: "Countess"}); err != nil || !first || v == u || v.Name() != "Countess" {
		t.Errorf("SignIn after all had gone: %v, %t, %v", v, first, err)
	}
	w.run()
	w.audit()
}

// Offline is called when the user has left all rooms.
func TestOfflineAfterLeaving(t *testing.T) {
	var w *world
	var r *Room
	told := false
	w = newWorld(t, 1, Config{Offline: func(u *User) {
		told = true
		n, _ := w.SendUser(u.ID(), text("x"))
		if r.Has(u) || r.Count() != 1 || w.User(u.ID()) != nil || n != 0 {
			t.Error("the user is still in the room")
		}
	}})
	r = w.create("r", Options{})
	a, b := w.connect(0), w.connect(0)
	u := a.signIn("a", 0)
	b.signIn("b", 0)
	a.join(r)
	b.join(r)
	if !r.Has(u) {
		t.Error("the user is not in the room")
	}
	a.close()
	if !told {
		t.Error("Offline was not called")
	}
	w.run()
	w.audit()
}

// The list of a user's connections is right, in whichever order they come and go.
func TestConnections(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	w := newWorld(t, 2, Config{})
	var all []*conn
	var u *User
	for range 500 {
		if n := len(all); n > 0 && rng.IntN(5) < 2 || n == 6 {
			i := rng.IntN(n)
			if rng.IntN(2) == 0 {
				if last := all[i].l.shards.SignOut(all[i].Slot); last != (n == 1) {
					t.Errorf("the last: %t, of %d", last, n)
				}
			}
			all[i].close()
			all = slices.Delete(all, i, i+1)
		} else {
			c := w.connect(rng.IntN(2))
			u = c.signIn("u", 0)
			all = append(all, c)
		}
		got := w.Connections(u)
		for _, c := range all {
			if !slices.Contains(got, c.Member) {
				t.Errorf("%v is not among %v", c.Member, got)
			}
		}
		n, _ := w.SendUser("u", text("m"))
		if len(got) != len(all) || (w.User("u") == u) != (len(all) > 0) || n != len(all) {
			t.Errorf("%d connections, want %d", len(got), len(all))
		}
		w.run()
		w.audit()
	}
	for _, c := range all {
		if len(c.got) == 0 || strings.Trim(strings.Join(c.got, ""), "m") != "" {
			t.Errorf("%v got %q", c.Member, c.got)
		}
	}
}

// A user that has signed out stays in its rooms until it leaves them; Offline is called once.
func TestSignOut(t *testing.T) {
	offline := 0
	w := newWorld(t, 1, Config{Offline: func(*User) { offline++ }})
	a, b := w.create("a", Options{}), w.create("b", Options{})
	c, d := w.connect(0), w.connect(0)
	u := c.signIn("u", 1)
	d.signIn("u", 1)
	c.join(a)
	c.join(b)
	d.join(b)
	w.run()
	s := c.l.shards
	once, twice := s.SignOut(c.Slot), s.SignOut(c.Slot)
	if once || twice || s.SignOut(1000) || offline != 0 {
		t.Error("SignOut reports the last connection, but there is another")
	}
	if !s.SignOut(d.Slot) || s.SignOut(d.Slot) || offline != 1 || w.User("u") != nil {
		t.Error("SignOut does not report the last connection, or reports it twice")
	}
	w.publish(b, "m")
	w.run()
	c.expect("~m#1")
	d.expect("~m#1")
	if _, _, err := s.SignIn(c.Slot, c.Gen, Identity{ID: "again"}); err != ErrSignedIn {
		t.Errorf("SignIn after SignOut: %v", err)
	}
	if !c.leave(a) || c.leave(b) || !b.Has(u) {
		t.Error("Leave is wrong about the last connection of the user")
	}
	c.close()
	d.close()
	if b.Has(u) || offline != 1 {
		t.Errorf("still in the room, or Offline called %d times", offline)
	}
	next := w.connect(0)
	if next.signIn("u", 0); next.Slot != c.Slot || w.User("u") == u {
		t.Error("the slot still has its last user")
	}
	if s.SignOut(w.connect(0).Slot) {
		t.Error("a connection that has not signed in signs out")
	}
	w.run()
	w.audit()
}

func TestUsers(t *testing.T) {
	w := newWorld(t, 1, Config{})
	r := w.create("r", Options{})
	for i := range 10 {
		c := w.connect(0)
		c.signIn(fmt.Sprint("u", i/2), 0)
		c.join(r)
	}
	w.connect(0).join(r) // it counts, but is no user
	for _, most := range []int{0, 3, 5, 100} {
		seen := make(map[string]bool)
		all := w.Users(most, func(u *User) { seen[u.ID()] = w.User(u.ID()) == u })
		if all != 5 || len(seen) != min(most, 5) {
			t.Errorf("Users(%d) is called for %d of %d", most, len(seen), all)
		}
		clear(seen)
		all = r.Users(most, func(u *User, since time.Time) { seen[u.ID()] = r.Has(u) && since.Unix() == w.now.Unix() })
		if all != 5 || len(seen) != min(most, 5) || r.Count() != 6 {
			t.Errorf("Room.Users(%d) is called for %d of %d", most, len(seen), all)
		}
	}
	w.run()
	w.audit()
}
