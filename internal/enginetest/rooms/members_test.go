//go:build linux

package rooms_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// startMembers serves /ws and returns how to connect: a client, and the server's
// end of it.
func startMembers(t *testing.T, cfg perch.Config, h perch.Handler) (*perch.Server, func() (*wstest.Conn, perch.Ref)) {
	t.Helper()
	refs := make(chan perch.Ref, 1)
	h.OnOpen = func(c perch.Conn, _ *perch.Request) { refs <- c.Ref() }
	srv := enginetest.StartRoute(t, cfg, h)
	return srv, func() (*wstest.Conn, perch.Ref) {
		t.Helper()
		c := enginetest.Dial(t, srv)
		return c, wstest.Receive(t, "OnOpen", refs)
	}
}

// within runs f as a callback of the connection and waits for its end.
func within(t testing.TB, ref perch.Ref, f func(c perch.Conn)) {
	t.Helper()
	done := make(chan bool, 1)
	if err := ref.Do(func(c perch.Conn) { f(c); done <- true }); err != nil {
		t.Fatalf("Do: %v", err)
	}
	wstest.Receive(t, "the callback", done)
}

// makeRoom creates a room.
func makeRoom(t testing.TB, srv *perch.Server, id string, o room.Options) *room.Room {
	t.Helper()
	r, err := srv.Rooms().Create(id, o)
	if err != nil {
		t.Fatalf("create %s: %v", id, err)
	}
	return r
}

// join makes the connection a member.
func join(t testing.TB, ref perch.Ref, r *room.Room) {
	t.Helper()
	within(t, ref, func(c perch.Conn) {
		if _, err := c.Join(r, room.JoinOptions{}); err != nil {
			t.Errorf("join %s: %v", r.ID(), err)
		}
	})
}

// joined are n connections that have joined the room.
func joined(t *testing.T, r *room.Room, n int, connect func() (*wstest.Conn, perch.Ref)) (clients []*wstest.Conn, refs []perch.Ref) {
	t.Helper()
	for range n {
		c, ref := connect()
		join(t, ref, r)
		clients, refs = append(clients, c), append(refs, ref)
	}
	return clients, refs
}

// publish publishes texts.
func publish(t testing.TB, r *room.Room, texts ...string) {
	t.Helper()
	for _, s := range texts {
		r.Publish(room.Message{Payload: []byte(s)}, func(_ room.Receipt, err error) {
			if err != nil {
				t.Errorf("publish %q: %v", s, err)
			}
		})
	}
}

// A member gets what is published behind what it sends in the callback that joins,
// nothing that came before, and from other rooms nothing.
func TestJoin(t *testing.T) {
	srv, connect := startMembers(t, perch.Config{}, perch.Handler{})
	here, there := makeRoom(t, srv, "here", room.Options{}), makeRoom(t, srv, "there", room.Options{})
	c, ref := connect()
	publish(t, here, "too early")
	within(t, ref, func(c perch.Conn) {
		if c.In(here) {
			t.Error("in before it has joined")
		}
		j, err := c.Join(here, room.JoinOptions{})
		if err != nil || j.Position != here.Position() || j.Offset != 1 || j.Count != 1 || j.Recovered || j.Missed != nil || j.Recent != nil {
			t.Errorf("joined %+v, %v", j, err)
		}
		publish(t, here, "published at once")
		publish(t, there, "elsewhere")
		c.SendText("joined")
		if !c.In(here) || c.In(there) {
			t.Errorf("in the one: %v, in the other: %v", c.In(here), c.In(there))
		}
	})
	publish(t, here, "later")
	c.ExpectText("joined")
	c.ExpectText("published at once")
	c.ExpectText("later")
}

// A message published together with others keeps its place in front of what the
// publisher sends next, on all loops.
func TestPublishReceipt(t *testing.T) {
	srv, connect := startMembers(t, perch.Config{Loops: 3}, perch.Handler{})
	r := makeRoom(t, srv, "a", room.Options{})
	const members = 9
	clients, refs := joined(t, r, members, connect)
	taken := make(chan int, 1)
	told := 0
	r.Publish(room.Message{
		Op: perch.Binary, Payload: []byte{0xff}, Except: []room.Member{refs[0].Member(), refs[1].Member()},
		Taken: func(n int) { taken <- n },
	}, func(rec room.Receipt, err error) {
		if told++; err != nil || rec.Position != r.Position() || rec.Offset != 1 || rec.Members != members {
			t.Errorf("receipt %+v, %v", rec, err)
		}
	})
	if told != 1 {
		t.Errorf("the receipt came %d times before Publish returned, want once", told)
	}
	if n := wstest.Receive(t, "the count", taken); n != members-2 {
		t.Errorf("%d have taken it, want %d", n, members-2)
	}
	publish(t, r, "to all")
	for i, c := range clients {
		if i > 1 {
			c.Expect(perch.Binary, []byte{0xff})
		}
		c.ExpectText("to all")
	}
}

// What was missed comes back once and in order, with what is published meanwhile
// behind it.
func TestJoinSince(t *testing.T) {
	srv, connect := startMembers(t, perch.Config{}, perch.Handler{})
	r := makeRoom(t, srv, "a", room.Options{})
	publish(t, r, "1", "2", "3", "4")
	epoch := r.Position().Epoch
	for _, tc := range []struct {
		name   string
		since  *room.Position
		recent int
		want   string
	}{
		{"all seen", &room.Position{Epoch: epoch, Offset: 4}, 9, "true"},
		{"two missed", &room.Position{Epoch: epoch, Offset: 2}, 9, "true 3 4"},
		{"all missed", &room.Position{Epoch: epoch}, 9, "true 1 2 3 4"},
		{"from the future", &room.Position{Epoch: epoch, Offset: 5}, 2, "false 3 4"},
		{"another epoch", &room.Position{Epoch: "0", Offset: 3}, 9, "false 1 2 3 4"},
		{"new", nil, 1, "false 4"},
	} {
		c, ref := connect()
		within(t, ref, func(c perch.Conn) {
			j, err := c.Join(r, room.JoinOptions{Since: tc.since, Recent: tc.recent})
			if err != nil {
				t.Errorf("%s: %v", tc.name, err)
			}
			got := fmt.Sprint(j.Recovered)
			for _, f := range append(j.Missed, j.Recent...) {
				got += " " + string(f.Payload())
				c.SendPrepared(f)
			}
			if got != tc.want {
				t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
			}
		})
		for _, s := range strings.Fields(tc.want)[1:] {
			c.ExpectText(s)
		}
		c.Close()
		wstest.Eventually(t, "it has left", func() bool { return r.Connections() == 0 })
	}
}

// Every way for a join to be refused leaves the connection outside.
func TestJoinRefused(t *testing.T) {
	var deleted, locked, full, open *room.Room
	srv, connect := startMembers(t, perch.Config{Rooms: room.Config{MaxRoomsPerMember: 3}}, perch.Handler{})
	password, err := srv.Rooms().Hash(t.Context(), "secret")
	if err != nil {
		t.Fatal(err)
	}
	deleted, open = makeRoom(t, srv, "deleted", room.Options{}), makeRoom(t, srv, "open", room.Options{})
	locked = makeRoom(t, srv, "locked", room.Options{Password: password})
	full = makeRoom(t, srv, "full", room.Options{MaxMembers: 1})
	if err := srv.Rooms().Delete(deleted, "no reason"); err != nil {
		t.Fatal(err)
	}
	_, other := connect()
	join(t, other, full)
	c, ref := connect()
	refused := func(r *room.Room, want error) {
		t.Helper()
		within(t, ref, func(c perch.Conn) {
			was := c.In(r)
			if _, err := c.Join(r, room.JoinOptions{}); !errors.Is(err, want) {
				t.Errorf("join %s: %v, want %v", r.ID(), err, want)
			}
			if c.In(r) != was {
				t.Errorf("a refused join has changed membership in %s", r.ID())
			}
		})
	}
	refused(deleted, room.ErrNotFound)
	refused(locked, room.ErrPassword)
	refused(full, room.ErrFull)
	join(t, ref, open)
	refused(open, room.ErrJoined)
	for i := range 2 {
		join(t, ref, makeRoom(t, srv, fmt.Sprint("more ", i), room.Options{}))
	}
	refused(makeRoom(t, srv, "one too many", room.Options{}), room.ErrTooManyRooms)
	publish(t, full, "for the other")
	publish(t, open, "for it")
	c.ExpectText("for it")
}

// Nothing of the room comes behind the reply to leaving: not even what was
// published before and had not been delivered.
func TestLeave(t *testing.T) {
	srv, connect := startMembers(t, perch.Config{}, perch.Handler{})
	r := makeRoom(t, srv, "a", room.Options{})
	c, ref := connect()
	stays, staying := connect()
	within(t, ref, func(c perch.Conn) {
		if _, err := c.Leave(r); !errors.Is(err, room.ErrNotIn) {
			t.Errorf("left what it was not in: %v", err)
		}
	})
	join(t, ref, r)
	join(t, staying, r)
	publish(t, r, "before")
	c.ExpectText("before")
	within(t, ref, func(c perch.Conn) {
		publish(t, r, "not delivered yet")
		if _, err := c.Leave(r); err != nil {
			t.Errorf("leave: %v", err)
		}
		c.SendText("left")
		publish(t, r, "after")
		if c.In(r) {
			t.Error("still in")
		}
	})
	for _, s := range []string{"before", "not delivered yet", "after"} {
		stays.ExpectText(s)
	}
	c.ExpectText("left")
	within(t, ref, func(c perch.Conn) {
		// Leaving before a join has taken effect undoes it; joining again counts anew.
		c.Join(r, room.JoinOptions{})
		publish(t, r, "between")
		c.Leave(r)
		if j, err := c.Join(r, room.JoinOptions{}); err != nil || j.Offset != 4 || j.Count != 2 {
			t.Errorf("joined again: %+v, %v", j, err)
		}
	})
	publish(t, r, "again")
	c.ExpectText("again")
	stays.ExpectText("between")
	stays.ExpectText("again")
}

// Rooms lists what the connection is in, and lets it leave all on the way.
func TestRoomsOfConnection(t *testing.T) {
	srv, connect := startMembers(t, perch.Config{}, perch.Handler{})
	var all []*room.Room
	for i := range 100 {
		all = append(all, makeRoom(t, srv, fmt.Sprintf("%03d", i), room.Options{}))
	}
	c, ref := connect()
	list := func(c perch.Conn) (ids []string) {
		c.Rooms(func(r *room.Room) { ids = append(ids, r.ID()) })
		slices.Sort(ids)
		return ids
	}
	within(t, ref, func(c perch.Conn) {
		for i, r := range all {
			if ids := list(c); len(ids) != i || slices.Contains(ids, r.ID()) {
				t.Errorf("in %q before the join to %s", ids, r.ID())
			}
			if _, err := c.Join(r, room.JoinOptions{}); err != nil {
				t.Errorf("room %d: %v", i, err)
			}
		}
		extra, err := srv.Rooms().Create("extra", room.Options{})
		if err != nil {
			t.Error(err)
		}
		if _, err := c.Join(extra, room.JoinOptions{}); !errors.Is(err, room.ErrTooManyRooms) {
			t.Errorf("room 101: %v", err)
		}
	})
	for i := range all {
		publish(t, all[i], all[i].ID())
		c.ExpectText(all[i].ID())
	}
	within(t, ref, func(c perch.Conn) {
		c.Rooms(func(r *room.Room) { c.Leave(r) })
		if ids := list(c); ids != nil {
			t.Errorf("left all, still in %q", ids)
		}
	})
	for _, r := range all {
		if n := r.Connections(); n != 0 {
			t.Errorf("%s has %d connections", r.ID(), n)
		}
	}
}

// A room that is deleted is left by all; one that is made under its id has
// another epoch and nobody in it.
func TestDeletedRoom(t *testing.T) {
	const members = 6
	srv, connect := startMembers(t, perch.Config{Loops: 3, Rooms: room.Config{
		Announce: func(e room.Event) room.Frames {
			if e.Kind != room.Closed {
				return room.Frames{}
			}
			return room.Text([]byte(e.Room.ID() + " closed: " + e.Reason))
		},
	}}, perch.Handler{})
	r := makeRoom(t, srv, "a", room.Options{})
	clients, refs := joined(t, r, members, connect)
	publish(t, r, "the last message")
	if err := srv.Rooms().Delete(r, "no reason"); err != nil {
		t.Fatal(err)
	}
	r.Publish(room.Message{Payload: []byte("too late")}, func(_ room.Receipt, err error) {
		if !errors.Is(err, room.ErrNotFound) {
			t.Errorf("publish to a deleted room: %v", err)
		}
	})
	again := makeRoom(t, srv, "a", room.Options{})
	if a, b := again.Position(), r.Position(); a.Offset != 0 || a.Epoch == b.Epoch {
		t.Errorf("made again at %v, it was %v", a, b)
	}
	publish(t, again, "for nobody")
	for i, c := range clients {
		c.ExpectText("the last message")
		c.ExpectText("a closed: no reason")
		within(t, refs[i], func(c perch.Conn) {
			if c.In(r) || c.In(again) {
				t.Errorf("in the old: %v, in the new: %v", c.In(r), c.In(again))
			}
			c.Join(again, room.JoinOptions{})
		})
	}
	if n := again.Count(); n != members {
		t.Errorf("%d members", n)
	}
	publish(t, again, "news")
	for _, c := range clients {
		c.ExpectText("news")
		c.CloseHandshake(frame.CloseNormal)
	}
}
