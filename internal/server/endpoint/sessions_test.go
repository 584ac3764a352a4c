package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/session"
)

const reliable = "/ws/reliable?client_id=a"

// begin opens a connection to /ws/reliable and returns the key of its session.
func (w *world) begin(query string) (peer, string) {
	w.t.Helper()
	c := w.dial(reliable + query)
	return c, c.expect(`{"type":"connected","connection_id":"*","session":"*","heartbeat_interval":10}`)["session"].(string)
}

// get returns the session of a key, and so touches it.
func (w *world) get(key string) (session.Session, error) {
	k, err := session.ParseKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.store.Get(context.Background(), k)
}

// resumed expects a resume to work, or to be answered with session_not_found.
func (p peer) resumed(field, key string, works bool) {
	p.t.Helper()
	p.say(fmt.Sprintf(`{"type":"resume","id":"r",%q:%q}`, field, key))
	got := p.hear()
	switch {
	case works && (got["type"] != "connected" || got["resumed"] != true || got["id"] != "r"):
		p.t.Fatalf("resume: got %v", got)
	case !works && (got["code"] != "session_not_found" || got["id"] != "r"):
		p.t.Fatalf("resume: got %v, want session_not_found", got)
	}
}

// TestSessionEnds: a session ends with a normal close by the client, and only then.
func TestSessionEnds(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(w *world, c peer)
		ends bool
	}{
		{"normal close", func(_ *world, c peer) { c.CloseHandshake(frame.CloseNormal) }, true},
		{"going away, as a page that is loaded again", func(_ *world, c peer) { c.CloseHandshake(frame.CloseGoingAway) }, false},
		{"another code", func(_ *world, c peer) { c.CloseHandshake(4000) }, false},
		{"no code", func(_ *world, c peer) { c.Send(wstest.Close(frame.CloseNoStatus, "")) }, false},
		{"cut", func(_ *world, c peer) { c.Reset() }, false},
		{"closed by us", func(w *world, c peer) {
			for range DefaultMaxErrors + 1 {
				c.say("{")
				c.hear()
			}
			c.closed(frame.ClosePolicyViolation, "too many errors")
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil, nil)
			c, key := w.begin("")
			s, err := w.get(key)
			if err != nil || !s.Active || s.Authenticated {
				t.Fatalf("session %+v, %v", s, err)
			}
			tt.end(w, c)
			wstest.Eventually(t, "the session is left", func() bool { return w.store.Stats().Attached == 0 })
			if _, err = w.get(key); errors.Is(err, session.ErrNotFound) != tt.ends {
				t.Errorf("get: %v, want it to have ended: %v", err, tt.ends)
			}
			next, _ := w.begin("")
			next.resumed("session", key, !tt.ends)
		})
	}
}

// TestShutdownDetaches: sessions outlive a server that goes away.
func TestShutdownDetaches(t *testing.T) {
	w := newWorld(t, nil, nil)
	c, key := w.begin("")
	done := make(chan error, 1)
	go func() { done <- w.srv.Shutdown(context.Background()) }()
	c.AnswerClose(frame.CloseGoingAway)
	if err := wstest.Receive(t, "the end of the shutdown", done); err != nil {
		t.Fatal(err)
	}
	if s, err := w.get(key); err != nil || s.Active {
		t.Errorf("session %+v, %v", s, err)
	}
}

// TestReplaced: when a client resumes on a new connection its old one is closed with 3500, and that does not disturb
// the new one.
func TestReplaced(t *testing.T) {
	w := newWorld(t, nil, nil)
	first, key := w.begin("")
	for range 4 { // on any loops
		second, own := w.begin("")
		second.resumed("session", key, true)
		first.closed(CloseReplaced, "replaced by a resume elsewhere")
		if _, err := w.get(own); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("the session it had at first: %v", err)
		}
		wstest.Eventually(t, "the first is gone", func() bool { return w.srv.Stats().Connections == 1 })
		if s, err := w.get(key); err != nil || !s.Active {
			t.Fatalf("session %+v, %v", s, err)
		}
		first = second
	}
	if n := w.store.Stats().Sessions; n != 1 {
		t.Errorf("%d sessions are left", n)
	}
}

// TestResumeToken: a token works once, and is accepted wherever a key is.
func TestResumeToken(t *testing.T) {
	w := newWorld(t, nil, nil)
	first, key := w.begin("")
	first.say(`{"type":"reconnect_request","id":1}`)
	token := first.expect(`{"type":"reconnect_ack","session":"` + key + `","resume_token":"*","id":1}`)["resume_token"].(string)
	second, _ := w.begin("")
	second.resumed("resume_token", token, true)
	first.closed(CloseReplaced, "replaced by a resume elsewhere")
	third, _ := w.begin("")
	third.resumed("session", token, false)
	second.say(`{"type":"reconnect_request"}`)
	token = second.hear()["resume_token"].(string)
	fourth, _ := w.begin("")
	fourth.resumed("session", token, true)
	second.closed(CloseReplaced, "replaced by a resume elsewhere")
}

// TestResumeOnlyFirst: only the first message may resume.
func TestResumeOnlyFirst(t *testing.T) {
	w := newWorld(t, nil, nil)
	_, key := w.begin("")
	for _, target := range []string{reliable, "/ws/with-session"} {
		c := w.dial(target)
		c.hear()
		c.say(`{"type":"ping"}`, `{"type":"resume","session":"`+key+`"}`)
		c.hear()
		if got := c.hear()["code"]; got != "unexpected" {
			t.Errorf("%s: %v, want unexpected", target, got)
		}
	}
}

// TestResumeWhose: a session is only for the user that it was made for.
func TestResumeWhose(t *testing.T) {
	w := newWorld(t, nil, nil)
	as := func(user string) string {
		if user == "" {
			return ""
		}
		return "&token=" + w.token(user, time.Hour)
	}
	for _, tt := range []struct {
		of, by string
		works  bool
	}{
		{"", "", true},
		{"ann", "ann", true},
		{"ann", "bob", false},
		{"", "bob", false},
		{"ann", "", false}, // the session would outlive the token
	} {
		t.Run(tt.of+" by "+tt.by, func(t *testing.T) {
			first, key := w.begin(as(tt.of))
			first.Reset()
			wstest.Eventually(t, "it is detached", func() bool { return w.store.Stats().Attached == 0 })
			second, own := w.begin(as(tt.by))
			second.t = t
			second.resumed("session", key, tt.works)
			held := own
			if tt.works {
				held = key
			}
			if s, err := w.get(held); err != nil || !s.Active || s.UserID != tt.by {
				t.Errorf("it holds %+v, %v", s, err)
			}
			if !tt.works {
				if s, err := w.get(key); err != nil || s.Active {
					t.Errorf("the session that it did not get: %+v, %v", s, err)
				}
				second.say(`{"type":"x"}`) // the client may stay
				second.hear()
			}
			second.Reset()
			wstest.Eventually(t, "all are detached", func() bool { return w.store.Stats().Attached == 0 })
		})
	}
}

// TestResumeNothing: keys that open nothing.
func TestResumeNothing(t *testing.T) {
	w := newWorld(t, nil, nil)
	for _, tt := range []struct{ field, code string }{
		{`"session":"` + session.NewKey().Text() + `"`, "session_not_found"},
		{`"session":"x"`, "session_not_found"},
		{`"session":""`, "session_not_found"},
		{`"resume_token":"x"`, "session_not_found"},
		{`"session":null`, "missing_field"},
		{`"session":1`, "wrong_type"},
		{`"session":"` + strings.Repeat("x", 129) + `"`, "too_long"},
	} {
		c, key := w.begin("")
		c.say(`{"type":"resume",` + tt.field + `}`)
		if got := c.hear()["code"]; got != tt.code {
			t.Errorf("%s: %v, want %v", tt.field, got, tt.code)
		}
		if s, err := w.get(key); err != nil || !s.Active {
			t.Errorf("%s: its own session: %+v, %v", tt.field, s, err)
		}
	}
}

// TestExpired: an anonymous session lives for five minutes, that of a user for a day.
func TestExpired(t *testing.T) {
	w := newWorld(t, nil, nil)
	anonymous, key := w.begin("")
	ann, hers := w.begin("&token=" + w.token("ann", 30*time.Hour))
	anonymous.Reset()
	ann.Reset()
	wstest.Eventually(t, "both are detached", func() bool { return w.store.Stats().Attached == 0 })
	w.later(6 * time.Minute)
	c, _ := w.begin("")
	c.resumed("session", key, false)
	w.later(23 * time.Hour)
	c, _ = w.begin("&token=" + w.token("ann", time.Hour))
	c.resumed("session", hers, true)
}

// TestStoreFull: a new client is told to come back later.
func TestStoreFull(t *testing.T) {
	w := newWorld(t, func(w *world, c *Config) {
		w.store = session.NewMemory(session.Config{MaxBytes: 1000, Clock: w.clock})
		c.Sessions = w.store
	}, nil)
	w.begin("")
	for _, target := range []string{reliable, "/ws/with-session"} {
		w.dial(target).closed(perch.CloseTryAgainLater, "no room for another session, try again")
	}
}

// payers is a store that reports for which address each session was made.
type payers struct {
	session.Store
	addresses chan netip.Addr
}

func (p payers) Create(ctx context.Context, n session.New) (session.Session, error) {
	p.addresses <- n.Address
	return p.Store.Create(ctx, n)
}

// TestSessionAddress: the store knows the payer of a session.
func TestSessionAddress(t *testing.T) {
	addresses := make(chan netip.Addr, 1)
	w := newWorld(t, func(_ *world, c *Config) { c.Sessions = payers{c.Sessions, addresses} }, nil)
	for _, target := range []string{reliable, "/ws/with-session"} {
		w.dial(target)
		if got := <-addresses; got != netip.MustParseAddr("127.0.0.1") {
			t.Errorf("%s: %v", target, got)
		}
	}
}

// brokenStore is a store that cannot be reached.
type brokenStore struct{ session.Store }

var errStore = errors.New("connection refused by 10.1.2.3")

func (b brokenStore) Create(ctx context.Context, n session.New) (session.Session, error) {
	if n.UserID == "" {
		return session.Session{}, errStore
	}
	return b.Store.Create(ctx, n)
}

func (brokenStore) Detach(context.Context, session.Key, string) error { return errStore }

func TestStoreBroken(t *testing.T) {
	w := newWorld(t, func(_ *world, c *Config) { c.Sessions = brokenStore{c.Sessions} }, nil)
	w.dial(reliable).closed(perch.CloseInternalError, "Internal server error")
	if !w.log.contains(`"msg":"no session","error":"` + errStore.Error()) {
		t.Error("the fault is not logged")
	}
	c, _ := w.begin("&token=" + w.token("a", time.Hour))
	c.Reset()
	wstest.Eventually(t, "that it is not left is logged", func() bool {
		return w.log.contains(`"msg":"session could not be left","error":"` + errStore.Error())
	})
}

// TestState: the state that an endpoint keeps with a session.
func TestState(t *testing.T) {
	keys := make(chan session.Key, 1)
	w := newWorld(t, nil, func(w *world) {
		w.srv.Handle("/ws/state", w.realm.Handler(Endpoint{
			Name: "/ws/state",
			Open: func(conn perch.Conn, c *Client, _ *perch.Request) {
				begun := func(_ int, _ perch.Conn, c *Client, _ json.RawMessage, s session.Session, err error) error {
					if err != nil || s.ID != c.Session() {
						t.Error(err)
					}
					keys <- s.ID
					return nil
				}
				if err := Begin(conn, c, nil, Beginning{User: "anon-1", State: []byte("first")}, 0, begun); err != nil {
					t.Error(err)
				}
			},
			Message: func(conn perch.Conn, c *Client, typ string, _ protocol.Message) error {
				return errors.Join(c.Keep(conn, []byte(typ)), conn.SendText("kept"))
			},
		}))
	})
	c := w.dial("/ws/state")
	key := wstest.Receive(t, "a session", keys).Text()
	if s, err := w.get(key); err != nil || s.UserID != "anon-1" || s.State != "first" || s.Authenticated {
		t.Fatalf("session %+v, %v", s, err)
	}
	c.say(`{"type":"second"}`)
	c.ExpectText("kept")
	if s, err := w.get(key); err != nil || s.State != "second" {
		t.Fatalf("session %+v, %v", s, err)
	}
	next, _ := w.begin("")
	next.resumed("session", key, true)
	c.closed(CloseReplaced, "replaced by a resume elsewhere")
}
