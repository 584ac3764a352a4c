package storetest

import (
	"strings"

	"github.com/perchws/perch/session"
)

func attach(c *check) {
	s := c.create(session.New{UserID: "ada", Authenticated: true, Data: []byte(`{"a":1}`), State: []byte("rooms")})
	c.Pass(c.AnonymousTTL / 4)
	got := c.attach(s.ID, "c1", "")
	if !got.LastAccessed.After(s.LastAccessed) {
		c.Errorf("Attach does not touch: %v, was %v", got.LastAccessed, s.LastAccessed)
	}
	if got.ID != s.ID || got.UserID != "ada" || !got.Authenticated || got.State != "rooms" || got.Data.String() != `{"a":1}` {
		c.Errorf("attached %+v", got)
	}
	c.attach(s.ID, "c1", "") // its own connection is not replaced
	c.attachFails(session.Claim{Key: s.ID}, session.ErrNameInvalid)
	c.attachFails(session.Claim{Key: s.ID, ConnectionID: strings.Repeat("c", session.MaxConnectionID+1)}, session.ErrNameInvalid)
	c.attachFails(session.Claim{Key: s.ID, ConnectionID: "\xff"}, session.ErrNameInvalid)
	if got := c.get(s.ID); got.ConnectionID != "c1" || !got.Active {
		c.Errorf("a refused claim changed the holder: %+v", got)
	}
}

func attachOfOtherUser(c *check) {
	s := c.member("ada", "c1")
	for _, user := range []string{"eve", "Ada", "ad", "ada "} {
		c.attachFails(session.Claim{Key: s.ID, ConnectionID: "c2", UserID: user}, session.ErrNotFound)
	}
	proven := c.create(session.New{ConnectionID: "c5", UserID: "bob", Authenticated: true})
	token, err := c.Store.Token(c.ctx, proven.ID)
	c.is(err, nil, "Token")
	for _, key := range []session.Key{proven.ID, token} {
		c.attachFails(session.Claim{Key: key, ConnectionID: "c6", Anonymous: true}, session.ErrNotFound)
	}
	c.attach(token, "c7", "c5") // the failed attempt has not used it up
	nobody := c.create(session.New{ConnectionID: "c3"})
	c.attachFails(session.Claim{Key: nobody.ID, ConnectionID: "c4", UserID: "eve"}, session.ErrNotFound)
	if got := c.get(s.ID); got.ConnectionID != "c1" {
		c.Errorf("a refused claim took over: %+v", got)
	}
	_, replaced, err := c.Store.Attach(c.ctx, session.Claim{Key: s.ID, ConnectionID: "c2", UserID: "ada"})
	if err != nil || replaced != "c1" {
		c.Errorf("its own user: replaced %q, %v", replaced, err)
	}
}

// replaced: calls of a connection that was replaced change nothing.
func replaced(c *check) {
	s := c.member("ada", "c1")
	c.attach(s.ID, "c2", "c1")
	want := c.attach(s.ID, "c3", "c2")
	for _, old := range []string{"c1", "c2", "", "c"} {
		c.is(c.Store.Detach(c.ctx, s.ID, old), session.ErrReplaced, "Detach of %q", old)
		c.is(c.Store.End(c.ctx, s.ID, old), session.ErrReplaced, "End of %q", old)
		c.is(c.Store.Keep(c.ctx, s.ID, old, []byte("x")), session.ErrReplaced, "Keep of %q", old)
	}
	got := c.get(s.ID)
	got.LastAccessed = want.LastAccessed
	if got != want {
		c.Errorf("the replaced ones left %+v, want %+v", got, want)
	}
	if err := c.Store.End(c.ctx, s.ID, "c3"); err != nil {
		c.Errorf("End of the holder: %v", err)
	}
	c.gone(s.ID)
}

func detach(c *check) {
	s := c.member("ada", "c1")
	c.Pass(c.TTL / 4)
	c.detach(s.ID, "c1")
	got := c.get(s.ID)
	if got.Active || got.ConnectionID != "c1" || !got.LastAccessed.After(s.LastAccessed) {
		c.Errorf("detached %+v, want inactive, touched, with the connection it had", got)
	}
	c.is(c.Store.Detach(c.ctx, s.ID, "c1"), session.ErrReplaced, "second Detach")
	c.is(c.Store.End(c.ctx, s.ID, "c1"), session.ErrReplaced, "End of what is detached")
	c.is(c.Store.Keep(c.ctx, s.ID, "c1", nil), session.ErrReplaced, "Keep of what is detached")
	c.attach(s.ID, "c2", "") // no connection held it
}

func keep(c *check) {
	s := c.member("ada", "c1")
	put := func(state []byte) {
		c.Helper()
		if err := c.Store.Keep(c.ctx, s.ID, "c1", state); err != nil {
			c.Fatalf("Keep of %d bytes: %v", len(state), err)
		}
		if got := c.get(s.ID).State; got != string(state) {
			c.Fatalf("Keep of %d bytes: %d are there", len(state), len(got))
		}
	}
	put([]byte("\x00any bytes\xff"))
	put(make([]byte, session.MaxState))
	c.is(c.Store.Keep(c.ctx, s.ID, "c1", make([]byte, session.MaxState+1)), session.ErrDataTooLarge, "Keep")
	if got := c.get(s.ID).State; len(got) != session.MaxState {
		c.Errorf("a refused Keep left %d bytes", len(got))
	}
	c.update(s.ID, `{"a":1}`, `{"a":1}`)
	put([]byte("small"))
	c.sameJSON(c.get(s.ID).Data.String(), `{"a":1}`)
	c.detach(s.ID, "c1")
	if got := c.attach(s.ID, "c2", ""); got.State != "small" || got.Data.String() != `{"a":1}` {
		c.Errorf("resumed with %+v", got)
	}
}

func token(c *check) {
	s := c.member("ada", "c1")
	c.update(s.ID, `{"a":1}`, `{"a":1}`)
	first := c.token(s.ID)
	second := c.token(s.ID)
	if first == s.ID || first == second {
		c.Fatal("a token is not new")
	}
	// A token attaches, and does nothing else.
	c.gone(second)
	_, err := c.Store.Update(c.ctx, second, []byte(`{}`))
	c.is(err, session.ErrNotFound, "Update by token")
	_, err = c.Store.Token(c.ctx, second)
	c.is(err, session.ErrNotFound, "Token by token")
	_, err = c.Store.Delete(c.ctx, second)
	c.is(err, session.ErrNotFound, "Delete by token")
	c.is(c.Store.Detach(c.ctx, second, "c1"), session.ErrNotFound, "Detach by token")

	c.attachFails(session.Claim{Key: first, ConnectionID: "c2"}, session.ErrNotFound) // the second has replaced it
	c.attachFails(session.Claim{Key: second}, session.ErrNameInvalid)
	if got := c.attach(second, "c2", "c1"); got.ID != s.ID || got.Data.String() != `{"a":1}` {
		c.Errorf("by token: %+v", got)
	}
	c.attachFails(session.Claim{Key: second, ConnectionID: "c3"}, session.ErrNotFound) // used up
	c.attach(s.ID, "c3", "c2")

	// An Attach by the ID does not use up a token; the end of the session ends its token.
	third := c.token(s.ID)
	c.attach(s.ID, "c4", "c3")
	c.attach(third, "c4", "") // the same connection, but the token is used up
	c.attachFails(session.Claim{Key: third, ConnectionID: "c4"}, session.ErrNotFound)
	fourth := c.token(s.ID)
	if err := c.Store.End(c.ctx, s.ID, "c4"); err != nil {
		c.Fatal(err)
	}
	c.attachFails(session.Claim{Key: fourth, ConnectionID: "c5"}, session.ErrNotFound)
}

func tokenOfOtherUser(c *check) {
	s := c.member("ada", "c1")
	k := c.token(s.ID)
	c.attachFails(session.Claim{Key: k, ConnectionID: "c2", UserID: "eve"}, session.ErrNotFound)
	_, replaced, err := c.Store.Attach(c.ctx, session.Claim{Key: k, ConnectionID: "c2", UserID: "ada"})
	if err != nil || replaced != "c1" {
		c.Errorf("after a thief tried it: replaced %q, %v", replaced, err)
	}
}

// Tests of lifetimes. No check is closer to the end of one than a quarter, so that stores with a real clock have
// time.

func expiresDetached(c *check) {
	known := c.member("ada", "c1")
	unknown := c.create(session.New{ConnectionID: "c2", UserID: "guest"})
	lost := c.token(unknown.ID)
	c.detach(known.ID, "c1")
	c.detach(unknown.ID, "c2")
	c.Pass(c.AnonymousTTL * 5 / 4)
	c.gone(unknown.ID)
	c.attachFails(session.Claim{Key: unknown.ID, ConnectionID: "c3"}, session.ErrNotFound)
	c.attachFails(session.Claim{Key: lost, ConnectionID: "c3"}, session.ErrNotFound)
	c.get(known.ID)
	c.Pass(c.TTL * 5 / 4)
	c.attachFails(session.Claim{Key: known.ID, ConnectionID: "c3"}, session.ErrNotFound)
	c.gone(known.ID)
}

func expiresNeverAttached(c *check) {
	known := c.create(session.New{UserID: "ada", Authenticated: true})
	unknown := c.create(session.New{})
	c.Pass(c.AnonymousTTL * 5 / 4)
	c.gone(unknown.ID)
	c.get(known.ID)
	c.Pass(c.TTL * 5 / 4)
	c.gone(known.ID)
}

func sparesAttached(c *check) {
	known := c.member("ada", "c1")
	unknown := c.create(session.New{ConnectionID: "c2"})
	c.Pass(c.TTL * 5 / 4)
	c.detach(unknown.ID, "c2") // its lifetime begins now
	c.Pass(c.AnonymousTTL / 2)
	c.attach(unknown.ID, "c3", "")
	c.get(known.ID)
}

// slides: each touch gives a session its full lifetime again.
func slides(c *check) {
	s := c.create(session.New{})
	for range 3 {
		c.Pass(c.AnonymousTTL / 2)
		c.get(s.ID)
		c.Pass(c.AnonymousTTL / 2)
		c.update(s.ID, `{}`, `{}`)
	}
	c.Pass(c.AnonymousTTL * 5 / 4)
	c.gone(s.ID)
}

func expiredIsNotEnded(c *check) {
	s := c.member("ada", "c1")
	c.detach(s.ID, "c1")
	c.Pass(c.TTL * 5 / 4)
	fresh := c.member("ada", "c2")
	if ended, err := c.Store.EndOthers(c.ctx, "ada", fresh.ID); err != nil || len(ended) != 0 {
		c.Errorf("EndOthers returned what had expired: %+v, %v", ended, err)
	}
	c.is(c.Store.Detach(c.ctx, s.ID, "c1"), session.ErrNotFound, "Detach")
	_, err := c.Store.Delete(c.ctx, s.ID)
	c.is(err, session.ErrNotFound, "Delete")
	_, err = c.Store.Update(c.ctx, s.ID, []byte(`{}`))
	c.is(err, session.ErrNotFound, "Update")
	_, err = c.Store.Token(c.ctx, s.ID)
	c.is(err, session.ErrNotFound, "Token")
}
