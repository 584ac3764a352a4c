// Package storetest is the contract of session.Store as a test: every store
// calls [Run] from a test of its own. It is imported by tests alone.
//
//	func TestMemoryContract(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) storetest.Harness { … })
//	}
package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/perchws/perch/session"
)

// Harness is one store under test, empty, and its time.
type Harness struct {
	Store session.Store
	// TTL and AnonymousTTL are the lifetimes that the store was made with, TTL greater by a factor of two at least. A
	// store with a real clock may make them short: the tests only count in fractions of them.
	TTL, AnonymousTTL time.Duration
	// Pass lets time go by: it moves the clock that was injected, or sleeps.
	Pass func(time.Duration)
}

// Run tests a store against the contract. open is called once for each subtest, and closes by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(*check)
	}{
		{"Create", create},
		{"CreateRefuses", createRefuses},
		{"UnknownKeys", unknownKeys},
		{"Get", getTouches},
		{"Update", update},
		{"UpdateRefuses", updateRefuses},
		{"Snapshot", snapshot},
		{"Delete", deletes},
		{"EndOthers", endOthers},
		{"EndOthersMany", endOthersMany},
		{"Attach", attach},
		{"AttachOfOtherUser", attachOfOtherUser},
		{"Replaced", replaced},
		{"Detach", detach},
		{"Keep", keep},
		{"Token", token},
		{"TokenOfOtherUser", tokenOfOtherUser},
		{"ExpiresDetached", expiresDetached},
		{"ExpiresNeverAttached", expiresNeverAttached},
		{"SparesAttached", sparesAttached},
		{"Slides", slides},
		{"ExpiredIsNotEnded", expiredIsNotEnded},
		{"AttachRace", attachRace},
		{"TokenRace", tokenRace},
		{"UpdateRace", updateRace},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := open(t)
			if h.TTL < 2*h.AnonymousTTL {
				t.Fatalf("TTL %v is not twice AnonymousTTL %v", h.TTL, h.AnonymousTTL)
			}
			test.run(&check{T: t, Harness: h, ctx: t.Context()})
		})
	}
}

// check is a test with its store. Its methods fail the test unless the store behaves as they say.
type check struct {
	*testing.T
	Harness
	ctx context.Context
}

func (c *check) create(n session.New) session.Session {
	c.Helper()
	s, err := c.Store.Create(c.ctx, n)
	if err != nil {
		c.Fatalf("Create(%+v): %v", n, err)
	}
	return s
}

// member creates a session of an authenticated user, held by connection.
func (c *check) member(user, connection string) session.Session {
	c.Helper()
	return c.create(session.New{ConnectionID: connection, UserID: user, Authenticated: true})
}

func (c *check) get(id session.Key) session.Session {
	c.Helper()
	s, err := c.Store.Get(c.ctx, id)
	if err != nil {
		c.Fatalf("Get: %v", err)
	}
	return s
}

// gone demands that nothing finds the session.
func (c *check) gone(id session.Key) {
	c.Helper()
	if s, err := c.Store.Get(c.ctx, id); !errors.Is(err, session.ErrNotFound) {
		c.Fatalf("Get of what is gone: %+v, %v, want ErrNotFound", s, err)
	}
}

func (c *check) update(id session.Key, patch, want string) {
	c.Helper()
	s, err := c.Store.Update(c.ctx, id, []byte(patch))
	if err != nil {
		c.Fatalf("Update(%s): %v", patch, err)
	}
	c.sameJSON(s.Data.String(), want)
	c.sameJSON(c.get(id).Data.String(), want)
}

func (c *check) attach(key session.Key, connection, wantReplaced string) session.Session {
	c.Helper()
	s, replaced, err := c.Store.Attach(c.ctx, session.Claim{Key: key, ConnectionID: connection})
	if err != nil {
		c.Fatalf("Attach to %s: %v", connection, err)
	}
	if replaced != wantReplaced {
		c.Fatalf("Attach to %s replaced %q, want %q", connection, replaced, wantReplaced)
	}
	if s.ConnectionID != connection || !s.Active {
		c.Fatalf("Attach to %s: %+v, want it active there", connection, s)
	}
	return s
}

func (c *check) attachFails(claim session.Claim, want error) {
	c.Helper()
	s, replaced, err := c.Store.Attach(c.ctx, claim)
	if !errors.Is(err, want) || replaced != "" {
		c.Fatalf("Attach(%+v): %+v, replaced %q, %v, want %v", claim, s, replaced, err, want)
	}
}

func (c *check) detach(id session.Key, connection string) {
	c.Helper()
	if err := c.Store.Detach(c.ctx, id, connection); err != nil {
		c.Fatalf("Detach from %s: %v", connection, err)
	}
}

func (c *check) token(id session.Key) session.Key {
	c.Helper()
	k, err := c.Store.Token(c.ctx, id)
	if err != nil {
		c.Fatalf("Token: %v", err)
	}
	return k
}

func (c *check) is(err, want error, format string, args ...any) {
	c.Helper()
	if !errors.Is(err, want) {
		c.Fatalf("%s: error %v, want %v", fmt.Sprintf(format, args...), err, want)
	}
}

func (c *check) sameJSON(got, want string) {
	c.Helper()
	var g, w any
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		c.Fatalf("%q is not JSON: %v", got, err)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		c.Fatalf("%q is not JSON: %v", want, err)
	}
	gb, _ := json.Marshal(g)
	wb, _ := json.Marshal(w)
	if string(gb) != string(wb) {
		c.Fatalf("data %s, want %s", gb, wb)
	}
}
