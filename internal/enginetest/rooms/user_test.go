//go:build linux

package rooms_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// signIn says whose connection it is.
func signIn(t testing.TB, ref perch.Ref, id string) (u *room.User, first bool) {
	t.Helper()
	within(t, ref, func(c perch.Conn) {
		var err error
		if u, first, err = c.SignIn(room.Identity{ID: id, Name: strings.ToUpper(id)}); err != nil {
			t.Errorf("sign in as %s: %v", id, err)
		}
	})
	return u, first
}

// A connection is signed in once, before it is in a room.
func TestSignIn(t *testing.T) {
	srv, connect := startMembers(t, perch.Config{}, perch.Handler{})
	r := makeRoom(t, srv, "a", room.Options{})
	_, ref := connect()
	within(t, ref, func(c perch.Conn) {
		if u := c.User(); u != nil {
			t.Errorf("user %q before signing in", u.ID())
		}
		for _, id := range []string{"", strings.Repeat("x", room.MaxUserID+1)} {
			if u, first, err := c.SignIn(room.Identity{ID: id}); u != nil || first || !errors.Is(err, room.ErrUserID) {
				t.Errorf("sign in with an id of %d bytes: %v, %v, %v", len(id), u, first, err)
			}
		}
		u, first, err := c.SignIn(room.Identity{ID: strings.Repeat("x", room.MaxUserID), Name: "X"})
		if err != nil || !first || u.Name() != "X" || c.User() != u || srv.Rooms().User(u.ID()) != u {
			t.Errorf("signed in: %v, first %v, %v", u, first, err)
		}
		if _, _, err := c.SignIn(room.Identity{ID: "another"}); !errors.Is(err, room.ErrSignedIn) || c.User() != u {
			t.Errorf("signed in again: %v", err)
		}
	})
	_, ref = connect()
	join(t, ref, r)
	within(t, ref, func(c perch.Conn) {
		if _, _, err := c.SignIn(room.Identity{ID: "ada"}); !errors.Is(err, room.ErrSignedIn) || c.User() != nil {
			t.Errorf("signed in within a room: %v", err)
		}
	})
	if n := srv.Rooms().Stats().Users; n != 1 {
		t.Errorf("%d users", n)
	}
}

// Rooms count users: the first connection in is their coming, the last one out
// their going. Offline is told once, when the last connection has gone.
func TestUserWithSeveralConnections(t *testing.T) {
	offline := make(chan *room.User, 4)
	srv, connect := startMembers(t, perch.Config{Loops: 3, Rooms: room.Config{Offline: func(u *room.User) { offline <- u }}}, perch.Handler{})
	r := makeRoom(t, srv, "a", room.Options{})
	_, other := connect()
	join(t, other, r)
	var clients []*wstest.Conn
	var refs []perch.Ref
	var ada *room.User
	for i := range 3 {
		c, ref := connect()
		u, first := signIn(t, ref, "ada")
		if i == 0 {
			ada = u
		}
		if u != ada || first != (i == 0) || u.Name() != "ADA" {
			t.Errorf("connection %d: %q, first %v", i, u.ID(), first)
		}
		within(t, ref, func(c perch.Conn) {
			if j, err := c.Join(r, room.JoinOptions{}); err != nil || j.First != (i == 0) || j.Count != 2 {
				t.Errorf("connection %d joined: %+v, %v", i, j, err)
			}
		})
		clients, refs = append(clients, c), append(refs, ref)
	}
	if n, _ := srv.Rooms().SendUser("ada", room.Text([]byte("for ada")), refs[1].Member()); n != 2 {
		t.Errorf("sent to %d of her connections, want 2", n)
	}
	publish(t, r, "for all")
	for i, c := range clients {
		if i != 1 {
			c.ExpectText("for ada")
		}
		c.ExpectText("for all")
	}
	within(t, refs[0], func(c perch.Conn) {
		if last, err := c.Leave(r); last || err != nil {
			t.Errorf("one of three left: last %v, %v", last, err)
		}
	})
	clients[1].Reset()
	wstest.Eventually(t, "the second is gone", func() bool { return r.Connections() == 2 })
	if !r.Has(ada) || r.Count() != 2 {
		t.Errorf("in the room: %v, %d members", r.Has(ada), r.Count())
	}
	within(t, refs[2], func(c perch.Conn) {
		if last, err := c.Leave(r); !last || err != nil || r.Has(ada) {
			t.Errorf("the last one left: last %v, %v", last, err)
		}
	})
	clients[0].CloseHandshake(frame.CloseNormal)
	wstest.Eventually(t, "the first is gone", refs[0].Closed)
	select {
	case <-offline:
		t.Error("offline with a connection left")
	default:
	}
	clients[2].CloseHandshake(frame.CloseNormal)
	if u := wstest.Receive(t, "Offline", offline); u != ada || srv.Rooms().User("ada") != nil {
		t.Errorf("offline: %q", u.ID())
	}
	_, ref := connect()
	if u, first := signIn(t, ref, "ada"); u == ada || !first {
		t.Errorf("signed in anew: the same user %v, first %v", u == ada, first)
	}
	if len(offline) != 0 {
		t.Errorf("offline %d times more", len(offline))
	}
}

// In OnClose a connection is still in its rooms; SignOut there tells whether its
// user is gone, once, and Offline is told no second time.
func TestSignOut(t *testing.T) {
	var r *room.Room
	type end struct{ in, user, last, again bool }
	ends, offline := make(chan end, 2), make(chan bool, 2)
	srv, connect := startMembers(t, perch.Config{Rooms: room.Config{Offline: func(*room.User) { offline <- true }}}, perch.Handler{
		OnClose: func(c perch.Conn, _ *perch.CloseError) {
			ends <- end{c.In(r), c.User() != nil, c.SignOut(), c.SignOut()}
		},
	})
	r = makeRoom(t, srv, "a", room.Options{})
	var clients []*wstest.Conn
	for range 2 {
		c, ref := connect()
		signIn(t, ref, "ada")
		join(t, ref, r)
		clients = append(clients, c)
	}
	for i, c := range clients {
		c.CloseHandshake(frame.CloseNormal)
		want := end{in: true, user: true, last: i == 1}
		if got := wstest.Receive(t, "OnClose", ends); got != want || len(offline) != i {
			t.Errorf("end of connection %d: %+v, want %+v; offline %d times", i, got, want, len(offline))
		}
	}
	wstest.Eventually(t, "all are gone", func() bool { return r.Connections() == 0 })
	if len(offline) != 1 || srv.Rooms().Stats().Users != 0 {
		t.Errorf("offline %d times, %d users", len(offline), srv.Rooms().Stats().Users)
	}
}

// A Member names one connection for ever, and turns into its Ref and back.
func TestMember(t *testing.T) {
	srv, connect := startMembers(t, perch.Config{Loops: 3}, perch.Handler{})
	hub := srv.Rooms()
	seen := make(map[room.Member]bool)
	for range 12 {
		c, ref := connect()
		m := ref.Member()
		within(t, ref, func(c perch.Conn) {
			if c.Member() != m {
				t.Errorf("%v in a callback, %v outside", c.Member(), m)
			}
		})
		if seen[m] || m == (room.Member{}) || srv.Ref(m) != ref {
			t.Errorf("%v: seen before %v, its Ref has id %v, want %v", m, seen[m], srv.Ref(m).ID(), ref.ID())
		}
		seen[m] = true
		next := m // on its slot
		next.Gen++
		if r := srv.Ref(next); !r.Closed() || r == ref {
			t.Errorf("%v is open", next)
		}
		hub.SendMember(next, room.Text([]byte("for the next one")))
		hub.SendMember(m, room.Text([]byte("for it")))
		c.ExpectText("for it")
	}
	for _, m := range []room.Member{{}, {Loop: 3, Gen: 1}, {Slot: 1 << 30, Gen: 1}, {Slot: 1}} {
		if !srv.Ref(m).Closed() {
			t.Errorf("%v is open", m)
		}
	}
	hub.SendMember(room.Member{}, room.Text([]byte("for nobody")))
	srv.Stats() // no loop has come to harm
	if m := (perch.Ref{}).Member(); m != (room.Member{}) {
		t.Errorf("the zero Ref is %v", m)
	}
}

// What a connection that is closing, closed or gone may still be asked.
func TestRoomsOfClosedConnection(t *testing.T) {
	var r, other *room.Room
	var ref perch.Ref
	ended := make(chan bool, 1)
	check := func(c perch.Conn, when string, present bool) {
		if _, err := c.Join(other, room.JoinOptions{}); !errors.Is(err, perch.ErrClosed) {
			t.Errorf("%s: join: %v", when, err)
		}
		if _, _, err := c.SignIn(room.Identity{ID: "eve"}); !errors.Is(err, perch.ErrClosed) {
			t.Errorf("%s: sign in: %v", when, err)
		}
		n := 0
		c.Rooms(func(*room.Room) { n++ })
		if c.In(r) != present || (c.User() != nil) != present || (n == 1) != present || c.In(other) {
			t.Errorf("%s: in %v, user %v, %d rooms", when, c.In(r), c.User() != nil, n)
		}
		if d := c.Silence(); d != 0 {
			t.Errorf("%s: silence of %v", when, d)
		}
	}
	srv, connect := startMembers(t, perch.Config{Loops: 1}, perch.Handler{
		OnClose: func(c perch.Conn, _ *perch.CloseError) {
			if c.Ref() != ref {
				return
			}
			check(c, "in OnClose", true)
			if last, err := c.Leave(r); !last || err != nil {
				t.Errorf("leave in OnClose: last %v, %v", last, err)
			}
			ended <- true
		},
	})
	r, other = makeRoom(t, srv, "a", room.Options{}), makeRoom(t, srv, "b", room.Options{})
	var c *wstest.Conn
	c, ref = connect()
	signIn(t, ref, "ada")
	join(t, ref, r)
	m := ref.Member()
	var closed perch.Conn
	within(t, ref, func(c perch.Conn) {
		closed = c
		c.Close(perch.CloseNormal, "")
		check(c, "closing", true)
	})
	publish(t, r, "not any more")
	c.AnswerClose(perch.CloseNormal)
	wstest.Receive(t, "OnClose", ended)
	wstest.Eventually(t, "it is gone", ref.Closed)
	client, beside := connect() // on the same loop
	within(t, beside, func(perch.Conn) {
		check(closed, "gone", false)
		if _, err := closed.Leave(r); !errors.Is(err, perch.ErrClosed) || closed.SignOut() {
			t.Errorf("gone: leave: %v", err)
		}
	})
	if closed.Member() != m || ref.Member() != m {
		t.Error("it has another Member now")
	}
	srv.Rooms().SendMember(m, room.Text([]byte("too late")))
	srv.Rooms().SendMember(beside.Member(), room.Text([]byte("the next")))
	client.ExpectText("the next")
	if s := srv.Rooms().Stats(); s.Users != 0 || s.Active != 0 {
		t.Errorf("%d users, %d active rooms", s.Users, s.Active)
	}
}

// A connection that is gone does not come to mean the one that has its slot now.
func TestRoomsOfStaleConnection(t *testing.T) {
	srv, connect := startMembers(t, perch.Config{Loops: 1, NewConnectionsPerSecond: -1}, perch.Handler{})
	r := makeRoom(t, srv, "a", room.Options{})
	c, ref := connect()
	old := ref.Member()
	var stale perch.Conn
	within(t, ref, func(c perch.Conn) { stale = c })
	for slot := old.Slot + 1; slot != old.Slot; slot = ref.Member().Slot {
		c.Close()
		wstest.Eventually(t, "the one before is gone", ref.Closed)
		c, ref = connect()
	}
	signIn(t, ref, "ada")
	join(t, ref, r)
	within(t, ref, func(perch.Conn) {
		n := 0
		stale.Rooms(func(*room.Room) { n++ })
		if stale.User() != nil || stale.In(r) || n != 0 || stale.SignOut() {
			t.Errorf("user %v, in %v, %d rooms", stale.User(), stale.In(r), n)
		}
		if _, err := stale.Leave(r); !errors.Is(err, perch.ErrClosed) {
			t.Errorf("leave: %v", err)
		}
		if _, err := stale.Join(r, room.JoinOptions{}); !errors.Is(err, perch.ErrClosed) {
			t.Errorf("join: %v", err)
		}
	})
	srv.Rooms().SendMember(old, room.Text([]byte("for the one before")))
	srv.Rooms().SendUser("ada", room.Text([]byte("for it")))
	c.ExpectText("for it")
}

// Rooms can be made and published to before Start; messages are there for who
// joins later.
func TestRoomsBeforeStart(t *testing.T) {
	var r *room.Room
	joined := make(chan room.Joined, 1)
	srv := enginetest.Start(t, perch.Config{}, func(srv *perch.Server) {
		hub := srv.Rooms()
		makeRoom(t, srv, "of nobody", room.Options{TTL: time.Millisecond})
		r = makeRoom(t, srv, "early", room.Options{})
		taken := -1
		r.Publish(room.Message{Payload: []byte("news"), Taken: func(n int) { taken = n }}, func(rec room.Receipt, err error) {
			if rec.Offset != 1 || rec.Members != 0 || err != nil {
				t.Errorf("receipt %+v, %v", rec, err)
			}
		})
		r.Send(room.Text([]byte("nobody hears it")), room.ClassMessage)
		hub.SendAll(room.Text([]byte("nobody hears it")))
		if n, _ := hub.SendUser("ada", room.Text([]byte("nobody hears it"))); n != 0 || taken != 0 || r.Queue() != 0 {
			t.Errorf("sent to %d, taken by %d, %d under way", n, taken, r.Queue())
		}
		if srv.Ref(room.Member{Gen: 1}) != (perch.Ref{}) {
			t.Error("a connection before Start")
		}
		srv.Handle("/ws", perch.Handler{OnOpen: func(c perch.Conn, _ *perch.Request) {
			j, err := c.Join(r, room.JoinOptions{Recent: 10})
			if err != nil {
				t.Error(err)
			}
			joined <- j
			for _, f := range j.Recent {
				c.SendPrepared(f)
			}
		}})
	})
	c := enginetest.Dial(t, srv)
	if j := wstest.Receive(t, "the join", joined); j.Offset != 1 || len(j.Recent) != 1 {
		t.Errorf("joined %+v", j)
	}
	c.ExpectText("news")
	publish(t, r, "more")
	c.ExpectText("more")
	wstest.Eventually(t, "the empty room is gone", func() bool { return srv.Rooms().Room("of nobody") == nil })
}

// Connections of blocking handlers, and those that we have dialled, are members
// like all others: what they get is masked as it must be.
func TestOtherMembers(t *testing.T) {
	far := enginetest.StartRoute(t, perch.Config{}, enginetest.Echo())
	refs := make(chan perch.Ref, 1)
	srv := enginetest.Start(t, perch.Config{}, func(srv *perch.Server) {
		srv.HandleBlocking("/ws", perch.BlockingHandler{OnOpen: func(c perch.Ref, _ *perch.Request) { refs <- c }})
	})
	echoed := make(chan string, 4)
	dialled := make(chan perch.Ref, 1)
	err := srv.Dial(t.Context(), enginetest.URL(far.Addr()), perch.Handler{
		OnOpen:    func(c perch.Conn, _ *perch.Request) { dialled <- c.Ref() },
		OnMessage: func(_ perch.Conn, _ perch.Opcode, p []byte) { echoed <- string(p) },
	})
	if err != nil {
		t.Fatal(err)
	}
	r := makeRoom(t, srv, "a", room.Options{})
	c := enginetest.Dial(t, srv)
	join(t, wstest.Receive(t, "OnOpen", refs), r)
	join(t, wstest.Receive(t, "OnOpen", dialled), r)
	publish(t, r, "news")
	c.ExpectText("news")
	if s := wstest.Receive(t, "the echo", echoed); s != "news" {
		t.Errorf("echoed %q", s)
	}
}
