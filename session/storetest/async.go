package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/perchws/perch/session"
)

// RunAsync tests a store that may wait: through session.Sync against the contract of session.Store, and directly
// against that of session.Async. open is called once for each subtest; its Harness has no Store.
func RunAsync(t *testing.T, open func(t *testing.T) (session.Async, Harness)) {
	t.Helper()
	Run(t, func(t *testing.T) Harness {
		async, h := open(t)
		h.Store = session.Sync(async)
		return h
	})
	for _, test := range []struct {
		name string
		run  func(*check, session.Async)
	}{
		{"AsyncOrder", asyncOrder},
		{"AsyncBytes", asyncBytes},
		{"AsyncNested", asyncNested},
		{"AsyncMany", asyncMany},
	} {
		t.Run(test.name, func(t *testing.T) {
			async, h := open(t)
			h.Store = session.Sync(async)
			test.run(&check{T: t, Harness: h, ctx: t.Context()}, async)
		})
	}
}

// once passes on the first answer alone: a store under test may answer twice.
func once(done func(session.Answer)) func(session.Answer) {
	var first sync.Once
	return func(a session.Answer) { first.Do(func() { done(a) }) }
}

// begins returns two functions: begin begins a call that is to be answered with the error want, or with none; await
// waits until all are answered.
func begins(c *check, async session.Async) (begin func(want error, call session.Call), await func()) {
	var all sync.WaitGroup
	return func(want error, call session.Call) {
		all.Add(1)
		async.Do(call, once(func(a session.Answer) {
			defer all.Done()
			if !errors.Is(a.Err, want) {
				c.Errorf("%v: %v, want %v", call.Op, a.Err, want)
			}
		}))
	}, all.Wait
}

// asyncOrder: calls about one session take effect in the order in which they are begun, although nothing waits for an
// answer.
func asyncOrder(c *check, async session.Async) {
	s := c.member("ada", "c1")
	begin, await := begins(c, async)
	const rounds = 50
	for i := range rounds {
		me := fmt.Sprint("c", i+2)
		begin(nil, session.Call{Op: session.OpAttach, Claim: session.Claim{Key: s.ID, ConnectionID: me, UserID: "ada"}})
		begin(nil, session.Call{Op: session.OpUpdate, ID: s.ID, Bytes: fmt.Appendf(nil, `{"round":%d}`, i)})
		begin(nil, session.Call{Op: session.OpKeep, ID: s.ID, Connection: me, Bytes: []byte("first")})
		begin(nil, session.Call{Op: session.OpKeep, ID: s.ID, Connection: me, Bytes: []byte(me)})
		begin(nil, session.Call{Op: session.OpDetach, ID: s.ID, Connection: me})
		begin(session.ErrReplaced, session.Call{Op: session.OpKeep, ID: s.ID, Connection: me, Bytes: []byte("late")})
	}
	await()
	if got := c.get(s.ID); got.State != fmt.Sprint("c", rounds+1) || got.Active || got.Data.String() != fmt.Sprintf(`{"round":%d}`, rounds-1) {
		c.Errorf("in the end %+v", got)
	}
}

// asyncBytes: the caller may reuse its bytes when Do has returned.
func asyncBytes(c *check, async session.Async) {
	s := c.member("ada", "c1")
	begin, await := begins(c, async)
	data, state, created := []byte(`{"a":"first"}`), []byte("first"), make(chan session.Key, 1)
	begin(nil, session.Call{Op: session.OpUpdate, ID: s.ID, Bytes: data})
	begin(nil, session.Call{Op: session.OpKeep, ID: s.ID, Connection: "c1", Bytes: state})
	async.Do(session.Call{Op: session.OpCreate, New: session.New{Data: data, State: state}}, once(func(a session.Answer) {
		created <- a.Session.ID
	}))
	copy(data, `{"b":"XXXXX"}`)
	copy(state, "XXXXX")
	await()
	for _, id := range []session.Key{s.ID, <-created} {
		if got := c.get(id); got.Data.String() != `{"a":"first"}` || got.State != "first" {
			c.Errorf("the store kept the caller's bytes: %+v", got)
		}
	}
}

// asyncNested: the function that gets an answer may begin another call.
func asyncNested(c *check, async session.Async) {
	over := make(chan session.Answer, 1)
	async.Do(session.Call{Op: session.OpCreate, New: session.New{ConnectionID: "c1"}}, once(func(a session.Answer) {
		async.Do(session.Call{Op: session.OpToken, ID: a.Session.ID}, once(func(a session.Answer) {
			claim := session.Claim{Key: a.Token, ConnectionID: "c2"}
			async.Do(session.Call{Op: session.OpAttach, Claim: claim}, once(func(a session.Answer) { over <- a }))
		}))
	}))
	if a := <-over; a.Err != nil || a.Replaced != "c1" {
		c.Errorf("%+v", a)
	}
}

// asyncMany: of many calls at once each gets its answer.
func asyncMany(c *check, async session.Async) {
	const n = 500
	var mu sync.Mutex
	keys := make(map[session.Key]bool)
	c.race(func(int) {
		var all sync.WaitGroup
		for range n {
			all.Add(1)
			async.Do(session.Call{Op: session.OpCreate, New: session.New{UserID: "ada"}}, once(func(a session.Answer) {
				defer all.Done()
				mu.Lock()
				defer mu.Unlock()
				keys[a.Session.ID] = a.Err == nil
			}))
		}
		all.Wait()
	})
	if len(keys) != racers*n || keys[session.Key{}] {
		c.Errorf("%d sessions of %d", len(keys), racers*n)
	}
	if ended, err := c.Store.EndOthers(c.ctx, "ada", session.Key{}); err != nil || len(ended) != racers*n {
		c.Errorf("EndOthers: %d, %v", len(ended), err)
	}
}
