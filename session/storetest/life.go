package storetest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/perchws/perch/session"
)

func create(c *check) {
	s := c.create(session.New{
		ConnectionID: "c1", UserID: "ada", Authenticated: true,
		Data: []byte(`{"user_agent":"test","none":null}`), State: []byte("s"),
	})
	if s.ID == (session.Key{}) || s.ConnectionID != "c1" || s.UserID != "ada" || !s.Active || !s.Authenticated || s.State != "s" {
		c.Errorf("created %+v", s)
	}
	if s.CreatedAt.IsZero() || !s.LastAccessed.Equal(s.CreatedAt) {
		c.Errorf("created at %v, accessed at %v, want the same", s.CreatedAt, s.LastAccessed)
	}
	c.sameJSON(s.Data.String(), `{"user_agent":"test"}`)
	again := c.get(s.ID)
	again.LastAccessed = s.LastAccessed
	if again != s {
		c.Errorf("Get: %+v, want %+v", again, s)
	}

	bare := c.create(session.New{})
	if bare.ConnectionID != "" || bare.UserID != "" || bare.Active || bare.Authenticated || bare.Data.String() != "{}" {
		c.Errorf("created of nothing: %+v", bare)
	}
	if bare.ID == s.ID {
		c.Error("two sessions have one ID")
	}
}

func createRefuses(c *check) {
	for _, tt := range []struct {
		name string
		n    session.New
		want error // nil: accepted, the other side of the limit
	}{
		{"connection of the limit", session.New{ConnectionID: strings.Repeat("c", session.MaxConnectionID)}, nil},
		{"connection over it", session.New{ConnectionID: strings.Repeat("c", session.MaxConnectionID+1)}, session.ErrNameInvalid},
		{"user of the limit", session.New{UserID: strings.Repeat("u", session.MaxUserID)}, nil},
		{"user over it", session.New{UserID: strings.Repeat("u", session.MaxUserID+1)}, session.ErrNameInvalid},
		{"user not UTF-8", session.New{UserID: "\xff"}, session.ErrNameInvalid},
		{"state of the limit", session.New{State: make([]byte, session.MaxState)}, nil},
		{"state over it", session.New{State: make([]byte, session.MaxState+1)}, session.ErrDataTooLarge},
		{"data of the limit", session.New{Data: sized(session.MaxData)}, nil},
		{"data over it", session.New{Data: sized(session.MaxData + 1)}, session.ErrDataTooLarge},
		{"data no object", session.New{Data: []byte(`[]`)}, session.ErrDataInvalid},
		{"data empty", session.New{Data: []byte{}}, session.ErrDataInvalid},
	} {
		if _, err := c.Store.Create(c.ctx, tt.n); !errors.Is(err, tt.want) {
			c.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
		}
	}
}

// sized is a JSON object of n bytes.
func sized(n int) []byte {
	const frame = `{"k":""}`
	return []byte(`{"k":"` + strings.Repeat("x", n-len(frame)) + `"}`)
}

// unknownKeys tries each method with a key that never existed, one that is wrong only in its first bits, and one that
// is wrong only in its last.
func unknownKeys(c *check) {
	s := c.member("ada", "c1")
	first, last := s.ID, s.ID
	first[0] ^= 1
	last[len(last)-1] ^= 1
	for _, k := range []session.Key{{}, session.NewKey(), first, last} {
		_, err := c.Store.Get(c.ctx, k)
		c.is(err, session.ErrNotFound, "Get")
		_, err = c.Store.Update(c.ctx, k, []byte(`{"a":1}`))
		c.is(err, session.ErrNotFound, "Update")
		_, err = c.Store.Delete(c.ctx, k)
		c.is(err, session.ErrNotFound, "Delete")
		_, err = c.Store.Token(c.ctx, k)
		c.is(err, session.ErrNotFound, "Token")
		c.is(c.Store.Detach(c.ctx, k, "c1"), session.ErrNotFound, "Detach")
		c.is(c.Store.End(c.ctx, k, "c1"), session.ErrNotFound, "End")
		c.is(c.Store.Keep(c.ctx, k, "c1", nil), session.ErrNotFound, "Keep")
		c.attachFails(session.Claim{Key: k, ConnectionID: "c2"}, session.ErrNotFound)
	}
	if got := c.get(s.ID); got.ConnectionID != "c1" || got.Data != "" {
		c.Errorf("wrong keys changed the session: %+v", got)
	}
}

func getTouches(c *check) {
	s := c.member("ada", "c1")
	c.Pass(c.TTL / 4)
	got := c.get(s.ID)
	if !got.LastAccessed.After(s.LastAccessed) || !got.CreatedAt.Equal(s.CreatedAt) {
		c.Errorf("accessed %v, created %v; was %v, %v", got.LastAccessed, got.CreatedAt, s.LastAccessed, s.CreatedAt)
	}
}

func update(c *check) {
	s := c.member("ada", "c1")
	c.update(s.ID, `{}`, `{}`)
	c.update(s.ID, `{"a":1,"b":{"x":1,"y":2}}`, `{"a":1,"b":{"x":1,"y":2}}`)
	c.update(s.ID, `{"b":{"z":3}}`, `{"a":1,"b":{"z":3}}`) // shallow
	c.update(s.ID, `{"a":null,"never":null}`, `{"b":{"z":3}}`)
	c.update(s.ID, `{"b":[null]}`, `{"b":[null]}`)
	c.update(s.ID, `{"session_id":"x","user_id":"eve","active":false}`,
		`{"b":[null],"session_id":"x","user_id":"eve","active":false}`)
	got := c.get(s.ID)
	if got.ID != s.ID || got.UserID != "ada" || got.ConnectionID != "c1" || !got.Active {
		c.Errorf("an update reached more than the data: %+v", got)
	}
	c.Pass(c.TTL / 4)
	later, err := c.Store.Update(c.ctx, s.ID, []byte(`{}`))
	if err != nil || !later.LastAccessed.After(got.LastAccessed) {
		c.Errorf("Update does not touch: %v, was %v; %v", later.LastAccessed, got.LastAccessed, err)
	}
}

func updateRefuses(c *check) {
	s := c.member("ada", "c1")
	c.update(s.ID, `{"a":1}`, `{"a":1}`)
	deep := func(n int) string { return `{"d":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}` }
	for _, tt := range []struct {
		patch string
		want  error
	}{
		{``, session.ErrDataInvalid},
		{`null`, session.ErrDataInvalid},
		{`"a"`, session.ErrDataInvalid},
		{`{"a":}`, session.ErrDataInvalid},
		{`{} {}`, session.ErrDataInvalid},
		{"{\"a\":\"\xff\"}", session.ErrDataInvalid},
		{deep(session.MaxDepth + 1), session.ErrDataInvalid},
		{string(sized(session.MaxData + 1)), session.ErrDataTooLarge},
		{string(sized(session.MaxData)), session.ErrDataTooLarge}, // too large together with "a"
	} {
		_, err := c.Store.Update(c.ctx, s.ID, []byte(tt.patch))
		c.is(err, tt.want, "Update(%.40q)", tt.patch)
		c.sameJSON(c.get(s.ID).Data.String(), `{"a":1}`)
	}
	c.update(s.ID, deep(session.MaxDepth), `{"a":1,`+deep(session.MaxDepth)[1:])
	c.update(s.ID, `{"a":null,"d":null}`, `{}`)
	c.update(s.ID, string(sized(session.MaxData)), string(sized(session.MaxData)))
}

// snapshot: a caller's Session does not change behind its back, and the bytes that it
// gave may be used again.
func snapshot(c *check) {
	patch, state := []byte(`{"a":"first"}`), []byte("first")
	s := c.create(session.New{ConnectionID: "c1", Data: patch, State: state})
	copy(patch, `{"b":"XXXXX"}`)
	copy(state, "XXXXX")
	if got := c.get(s.ID); got.Data.String() != `{"a":"first"}` || got.State != "first" {
		c.Errorf("the store kept the caller's bytes: %+v", got)
	}
	before := c.get(s.ID)
	c.update(s.ID, `{"a":"second"}`, `{"a":"second"}`)
	if before.Data.String() != `{"a":"first"}` {
		c.Errorf("an update changed an older snapshot: %s", before.Data)
	}
}

func deletes(c *check) {
	s := c.member("ada", "c1")
	got, err := c.Store.Delete(c.ctx, s.ID)
	if err != nil || got.ID != s.ID || got.ConnectionID != "c1" || !got.Active {
		c.Fatalf("Delete: %+v, %v", got, err)
	}
	c.gone(s.ID)
	_, err = c.Store.Delete(c.ctx, s.ID)
	c.is(err, session.ErrNotFound, "second Delete")
	c.attachFails(session.Claim{Key: s.ID, ConnectionID: "c2"}, session.ErrNotFound)
}

func endOthers(c *check) {
	kept := c.member("ada", "c1")
	open := c.member("ada", "c2")
	idle := c.member("ada", "c3")
	c.detach(idle.ID, "c3")
	other := c.member("bob", "c4")
	nobody := c.create(session.New{ConnectionID: "c5"})

	ended, err := c.Store.EndOthers(c.ctx, "ada", kept.ID)
	if err != nil {
		c.Fatalf("EndOthers: %v", err)
	}
	active := make(map[session.Key]bool)
	for _, s := range ended {
		active[s.ID] = s.Active
	}
	if len(ended) != 2 || len(active) != 2 || !active[open.ID] || active[idle.ID] {
		c.Fatalf("EndOthers ended %+v, want the open and the idle one", ended)
	}
	c.gone(open.ID)
	c.gone(idle.ID)
	c.get(kept.ID)
	c.get(other.ID)

	if ended, err := c.Store.EndOthers(c.ctx, "", session.Key{}); err != nil || len(ended) != 0 {
		c.Errorf("EndOthers of nobody: %+v, %v", ended, err)
	}
	c.get(nobody.ID)
	if ended, err := c.Store.EndOthers(c.ctx, "ada", session.Key{}); err != nil || len(ended) != 1 {
		c.Errorf("EndOthers, none to keep: %+v, %v, want one", ended, err)
	}
	c.gone(kept.ID)
}

func endOthersMany(c *check) {
	const n = 700 // more than any store does in one step
	kept := c.member("ada", "c")
	for i := range n {
		c.member("ada", fmt.Sprint("c", i))
	}
	seen := make(map[string]bool)
	ended, err := c.Store.EndOthers(c.ctx, "ada", kept.ID)
	for _, s := range ended {
		seen[s.ConnectionID] = true
	}
	if err != nil || len(ended) != n || len(seen) != n {
		c.Fatalf("EndOthers ended %d sessions of %d connections, %v, want %d", len(ended), len(seen), err, n)
	}
	c.get(kept.ID)
}
