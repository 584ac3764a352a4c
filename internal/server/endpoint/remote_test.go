package endpoint

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/session"
	"github.com/perchws/perch/session/storetest"
)

// remote is a world with a store of sessions that may wait, and that has faults.
type remote struct {
	*world
	faulty *storetest.Faulty
}

func newRemote(t *testing.T, decide func(session.Call) storetest.Fault) remote {
	t.Helper()
	r := remote{}
	r.world = newWorld(t, func(w *world, c *Config) {
		r.faulty = storetest.NewFaulty(w.store, decide)
		c.Sessions, c.Remote = nil, r.faulty
	}, nil)
	return r
}

// late makes a decision by which these operations are answered when the test releases them, and all others at once.
func late(ops ...session.Op) func(session.Call) storetest.Fault {
	return storetest.Only(storetest.Late, ops...)
}

// TestRemoteSessions: with a store that may wait the endpoints behave as with one that answers at once, however late
// it answers, in any order, and even twice.
func TestRemoteSessions(t *testing.T) {
	for name, fault := range map[string]storetest.Fault{"at once": storetest.AtOnce, "twice": storetest.Twice, "late": storetest.Late} {
		t.Run(name, func(t *testing.T) {
			w := newRemote(t, storetest.All(fault))
			t.Cleanup(w.faulty.Scramble(3))
			// A session that is written to, taken over, and ended.
			one := w.dial("/ws/with-session")
			key := one.hear()["session_id"].(string)
			one.say(`{"type":"update_session","data":{"theme":"dark","user_agent":null},"id":1}`, `{"type":"get_session","id":2}`, `{"type":"x","id":3}`)
			for i, want := range []string{"session_updated", "session_data", "error"} {
				if got := one.hear(); got["type"] != want || !like(got["id"], i+1) {
					t.Fatalf("got %v, want %s", got, want)
				}
			}
			two := w.dial("/ws/with-session")
			two.hear()
			two.say(fmt.Sprintf(`{"type":"resume","session":%q,"id":1}`, key), `{"type":"get_session","id":2}`)
			for _, resumed := range []any{true, nil} {
				got := two.hear()
				if data := got["session"].(map[string]any)["data"].(map[string]any); data["theme"] != "dark" || got["resumed"] != resumed {
					t.Fatalf("got %v", got)
				}
			}
			one.closed(CloseReplaced, "replaced by a resume elsewhere")
			two.say(`{"type":"logout","id":4}`)
			two.expect(`{"type":"logged_out","id":4}`)
			two.closed(frame.CloseNormal, "")
			// A session whose connection breaks, and that is resumed by a token.
			c, _ := w.begin("")
			c.say(`{"type":"reconnect_request","id":1}`)
			token := c.hear()["resume_token"].(string)
			c.Reset()
			next, _ := w.begin("")
			next.resumed("resume_token", token, true)
			other, _ := w.begin("")
			other.resumed("resume_token", token, false)
			next.CloseHandshake(frame.CloseNormal)
			other.CloseHandshake(frame.CloseNormal)
			wstest.Eventually(t, "all sessions have ended", func() bool { return w.store.Stats().Sessions == 0 })
		})
	}
}

// TestRemoteOrder: messages that a client sends while its session is on its way are answered after that, in order;
// other clients do not wait.
func TestRemoteOrder(t *testing.T) {
	w := newRemote(t, late(session.OpCreate, session.OpUpdate))
	slow := w.dial("/ws/with-session")
	slow.say(`{"type":"ping","id":1}`, `{"type":"update_session","data":{"n":1},"id":2}`, `{"type":"ping","id":3}`)
	slow.here()
	created := w.faulty.Next(t)
	quick := w.dial("/ws/with-session")
	w.faulty.Next(t).Release()
	quick.expect(`{"type":"session_created","session_id":"*","session":"*"}`)
	quick.say(`{"type":"ping","id":9}`)
	quick.expect(`{"type":"pong","timestamp":"*","id":9}`)
	created.Release()
	slow.expect(`{"type":"session_created","session_id":"*","session":"*"}`)
	slow.expect(`{"type":"pong","timestamp":"*","id":1}`)
	update := w.faulty.Next(t)
	slow.here()
	quick.say(`{"type":"update_session","data":{"n":2},"id":10}`)
	w.faulty.Next(t).Release()
	quick.expect(`{"type":"session_updated","session":"*","id":10}`)
	update.Release()
	update.Release() // the second time it has no effect
	slow.expect(`{"type":"session_updated","session":"*","id":2}`)
	slow.expect(`{"type":"pong","timestamp":"*","id":3}`)
}

// TestRemoteUnavailable: a client that gets no session is told so, and closed with a code that makes it come back. A
// client with a session stays when the store fails.
func TestRemoteUnavailable(t *testing.T) {
	for name, fault := range map[string]storetest.Fault{
		"never": storetest.Never, "lost": storetest.Lost, "refused": storetest.Refused, "uncertain": storetest.Uncertain,
	} {
		t.Run(name, func(t *testing.T) {
			w := newRemote(t, nil)
			c := w.dial("/ws/with-session")
			key := c.hear()["session_id"].(string)
			w.faulty.Decide(storetest.All(fault))
			c.say(`{"type":"get_session","id":1}`, `{"type":"ping","id":2}`)
			fresh := w.dial("/ws/with-session")
			w.silence(fault, 2)
			c.expect(`{"type":"error","code":"unavailable","message":"*","id":1}`)
			c.expect(`{"type":"pong","timestamp":"*","id":2}`)
			fresh.expect(`{"type":"error","code":"unavailable","message":"*"}`)
			fresh.closed(perch.CloseTryAgainLater, "sessions are not available, try again")
			c.say(`{"type":"logout","id":3}`)
			w.silence(fault, 1)
			c.expect(`{"type":"error","code":"unavailable","message":"*","id":3}`)
			w.faulty.Decide(storetest.Only(fault, session.OpAttach))
			next := w.dial("/ws/with-session")
			next.hear()
			next.say(fmt.Sprintf(`{"type":"resume","session":%q,"id":1}`, key))
			w.silence(fault, 1)
			next.expect(`{"type":"error","code":"unavailable","message":"*","id":1}`)
			next.closed(perch.CloseTryAgainLater, "sessions are not available, try again")
		})
	}
}

// silence waits until so many calls of clients wait for answers, and then moves the clock past their deadline.
func (w remote) silence(fault storetest.Fault, waiting int) {
	w.t.Helper()
	if fault != storetest.Never && fault != storetest.Lost {
		return
	}
	wstest.Eventually(w.t, "clients wait", func() bool { return w.alarms() == waiting })
	w.later(DefaultPatience)
}

// TestRemoteGone: a connection that closes while its session is made or taken leaves no trace: a new session ends, a
// taken one is detached, and its old connection is closed.
func TestRemoteGone(t *testing.T) {
	w := newRemote(t, nil)
	holder, key := w.begin("")
	c, _ := w.begin("")
	w.faulty.Decide(late(session.OpCreate, session.OpAttach))
	fresh := w.dial(reliable)
	created := w.faulty.Next(t)
	c.say(fmt.Sprintf(`{"type":"resume","session":%q}`, key))
	attached := w.faulty.Next(t)
	for _, p := range []peer{fresh, c} {
		p.Reset()
	}
	wstest.Eventually(t, "the connections are gone", func() bool { return w.srv.Stats().Connections == 1 })
	if s, err := w.get(created.Answer.Session.ID.Text()); err != nil || !s.Active {
		t.Errorf("before the answer: %+v, %v", s, err)
	}
	created.Release()
	if _, err := w.get(created.Answer.Session.ID.Text()); err == nil {
		t.Error("a session that nobody knows is still there")
	}
	attached.Release()
	attached.Release()
	if s, err := w.get(key); err != nil || s.Active {
		t.Errorf("the session that was taken: %+v, %v", s, err)
	}
	holder.closed(CloseReplaced, "replaced by a resume elsewhere")
	next, _ := w.afterwards().begin("")
	next.resumed("session", key, true)
}

// afterwards makes the store work again.
func (w remote) afterwards() *world {
	w.faulty.Decide(nil)
	return w.world
}

// TestRemoteLate: the same for a client that was told that the answer took too long.
func TestRemoteLate(t *testing.T) {
	w := newRemote(t, nil)
	holder, key := w.begin("")
	w.faulty.Decide(late(session.OpAttach))
	c, _ := w.begin("")
	c.say(fmt.Sprintf(`{"type":"resume","session":%q,"id":1}`, key))
	attached := w.faulty.Next(t)
	c.here()
	w.later(DefaultPatience)
	c.expect(`{"type":"error","code":"unavailable","message":"*","id":1}`)
	c.closed(perch.CloseTryAgainLater, "sessions are not available, try again")
	attached.Release()
	holder.closed(CloseReplaced, "replaced by a resume elsewhere")
	if s, err := w.get(key); err != nil || s.Active {
		t.Errorf("the session that was taken: %+v, %v", s, err)
	}
}

// TestRemoteElsewhere: a session that a connection of another process held can be taken, too.
func TestRemoteElsewhere(t *testing.T) {
	closed := make(chan string, 1)
	w := newWorld(t, func(_ *world, c *Config) {
		c.Elsewhere = func(id perch.ID, code perch.CloseCode, reason string) {
			closed <- fmt.Sprint(id, " ", code, " ", reason)
		}
	}, nil)
	other := newWorld(t, nil, nil)
	c, _ := other.begin("")
	c.say(`{"type":"x"}`)
	id := c.hear()["message_id"].(string)
	id = id[:strings.LastIndex(id, "-")]
	s, err := w.store.Create(t.Context(), session.New{ConnectionID: id})
	if err != nil {
		t.Fatal(err)
	}
	next, _ := w.begin("")
	next.resumed("session", s.ID.Text(), true)
	if got, want := wstest.Receive(t, "a close elsewhere", closed), id+" 3500 replaced by a resume elsewhere"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestRemoteLeaves: each session is left once, after the calls that were begun before, even if those are never
// answered.
func TestRemoteLeaves(t *testing.T) {
	w := newRemote(t, nil)
	c := w.dial("/ws/with-session")
	key := c.hear()["session_id"].(string)
	w.faulty.Decide(storetest.Only(storetest.Never, session.OpUpdate))
	c.say(`{"type":"update_session","data":{"n":1}}`, `{"type":"update_session","data":{"n":2}}`)
	c.here()
	c.Reset()
	wstest.Eventually(t, "the session is left", func() bool { return w.store.Stats().Attached == 0 })
	if ops := w.faulty.Begun(); !slices.Equal(ops, []session.Op{session.OpCreate, session.OpUpdate, session.OpDetach}) {
		t.Errorf("begun: %v", ops)
	}
	if s, err := w.get(key); err != nil || s.Data.String() == "{}" || s.Active {
		t.Errorf("left %+v, %v", s, err)
	}
	w.later(time.Hour)
}

// newKeeper makes a world with an endpoint that keeps the type of each message as the session's state.
func newKeeper(t *testing.T, decide func(session.Call) storetest.Fault) (w remote, c peer, key string) {
	t.Helper()
	keys := make(chan session.Key, 1)
	w.world = newWorld(t, func(world *world, c *Config) {
		w.faulty = storetest.NewFaulty(world.store, decide)
		c.Sessions, c.Remote = nil, w.faulty
	}, func(w *world) {
		w.srv.Handle("/ws/keep", w.realm.Handler(Endpoint{
			Name: "/ws/keep",
			Open: func(conn perch.Conn, c *Client, _ *perch.Request) {
				openSession(conn, c, nil, func(_ perch.Conn, _ *Client, s session.Session) { keys <- s.ID })
			},
			Message: func(conn perch.Conn, c *Client, typ string, _ protocol.Message) error {
				return errors.Join(c.Keep(conn, []byte(typ)), conn.SendText(typ))
			},
		}))
	})
	c = w.dial("/ws/keep")
	return w, c, wstest.Receive(t, "a session", keys).Text()
}

func (w remote) state(key string) string {
	w.t.Helper()
	s, err := w.get(key)
	if err != nil {
		w.t.Fatal(err)
	}
	return s.State
}

// TestRemoteKeep: no client waits while a state is kept. Of the states that are set meanwhile only the last one
// follows. It is also kept if the connection closes, and then the session is left.
func TestRemoteKeep(t *testing.T) {
	w, c, key := newKeeper(t, late(session.OpKeep))
	say := func(types ...string) {
		t.Helper()
		for _, typ := range types {
			c.say(fmt.Sprintf(`{"type":%q}`, typ))
			c.ExpectText(typ)
		}
	}
	say("a", "b", "c")
	first := w.faulty.Next(t)
	if string(first.Call.Bytes) != "a" || w.state(key) != "a" {
		t.Fatalf("%s is kept first", first.Call.Bytes)
	}
	first.Release()
	first.Release()
	second := w.faulty.Next(t)
	if w.state(key) != "c" {
		t.Errorf("kept %q, want c", w.state(key))
	}
	second.Release()
	wstest.Eventually(t, "no state is under way", func() bool { return w.alarms() == 0 })
	say("d", "e", "f")
	w.faulty.Next(t)
	c.Reset()
	wstest.Eventually(t, "the session is left", func() bool { return w.store.Stats().Attached == 0 })
	if w.state(key) != "f" {
		t.Errorf("kept %q, want f", w.state(key))
	}
	want := []session.Op{session.OpCreate, session.OpKeep, session.OpKeep, session.OpKeep, session.OpKeep, session.OpDetach}
	if ops := w.faulty.Begun(); !slices.Equal(ops, want) {
		t.Errorf("begun: %v", ops)
	}
	if w.alarms() != 0 {
		t.Error("a deadline is left behind")
	}
}

// alarms is the number of deadlines.
func (w remote) alarms() int {
	w.realm.deadlines.mu.Lock()
	defer w.realm.deadlines.mu.Unlock()
	return len(w.realm.deadlines.heap)
}

// TestRemoteKeepFails: the client is told, and the next state is kept.
func TestRemoteKeepFails(t *testing.T) {
	w, c, key := newKeeper(t, storetest.Only(storetest.Refused, session.OpKeep))
	c.say(`{"type":"a"}`)
	c.ExpectText("a")
	c.expect(`{"type":"error","code":"unavailable","message":"*"}`)
	w.faulty.Decide(storetest.Only(storetest.Never, session.OpKeep))
	c.say(`{"type":"b"}`)
	c.ExpectText("b")
	w.faulty.Decide(nil)
	c.say(`{"type":"c"}`) // it waits for b
	c.ExpectText("c")
	w.later(DefaultPatience - time.Millisecond)
	c.here()
	w.later(time.Millisecond)
	c.expect(`{"type":"error","code":"unavailable","message":"*"}`)
	wstest.Eventually(t, "the next state is kept", func() bool { return w.state(key) == "c" })
}
