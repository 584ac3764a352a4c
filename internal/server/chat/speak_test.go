package chat

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/wstest"
)

// moved is a clock that only tests move.
type moved struct{ *clock.Manual }

func newClock() moved { return moved{clock.NewManual(time.Date(2026, 5, 4, 9, 30, 0, 0, time.UTC))} }

func (c moved) now() time.Time { return c.Wall() }

func (c moved) forward(d time.Duration) { c.Advance(d) }

// guest is a client of /ws/chat that is in general; it also returns its init. The others in general are told.
func (s *server) guest(first object, others ...*client) (*client, object) {
	s.t.Helper()
	c := s.dial("/ws/chat")
	c.say(first)
	init := c.next("init")
	c.next("room_joined")
	c.next("system_message")
	for _, o := range others {
		o.next("system_message")
		o.next("user_status")
	}
	return c, init
}

// named is a guest of whom no others are told.
func (s *server) named(name string, others ...*client) *client {
	s.t.Helper()
	c, _ := s.guest(object{"username": name}, others...)
	return c
}

// goes makes a client change its room, and returns room_joined.
func (c *client) goes(message object) object {
	c.t.Helper()
	message["type"] = "join_room"
	c.say(message)
	c.next("room_left")
	o := c.next("room_joined")
	c.next("system_message")
	return o
}

// posts makes a client write, and returns message_sent.
func (c *client) posts(content string) object {
	c.t.Helper()
	c.say(object{"type": "chat_message", "content": content})
	return c.next("message_sent")
}

// hears expects a message and returns it.
func (c *client) hears(content string) object {
	c.t.Helper()
	m := c.next("message")["message"].(object)
	if m["content"] != content {
		c.t.Fatalf("heard %q, want %q", m["content"], content)
	}
	return m
}

// fails expects an error, and that the connection stays.
func (c *client) fails(code string) object {
	c.t.Helper()
	o := c.next("error")
	if o["code"] != code {
		c.t.Fatalf("%v, want the code %s", o, code)
	}
	if text, _ := o["message"].(string); text == "" {
		c.t.Errorf("%s without a text", code)
	}
	return o
}

// quiet expects that no message has come: the next one is the answer to a ping.
func (c *client) quiet() {
	c.t.Helper()
	c.say(object{"type": "ping"})
	c.next("pong")
}

// departs closes the only client, and waits until all about it has been told.
func (c *client) departs(s *server) {
	c.t.Helper()
	c.CloseHandshake(perch.CloseNormal)
	wstest.Eventually(c.t, "everything is over", func() bool { return s.chat.names.(*localNames).count() == 0 })
}

// raw sends a text message unchanged.
func (c *client) raw(text string) {
	c.t.Helper()
	c.Send(wstest.Text(text))
}

// has checks that an object has exactly these fields.
func has(t *testing.T, o object, fields ...string) {
	t.Helper()
	got := slices.Sorted(maps.Keys(o))
	slices.Sort(fields)
	if !slices.Equal(got, fields) {
		t.Errorf("fields %q, want %q", got, fields)
	}
}

// stamp checks that a time is RFC 3339 in UTC with milliseconds.
func stamp(t *testing.T, v any) time.Time {
	t.Helper()
	s, _ := v.(string)
	at, err := time.Parse("2006-01-02T15:04:05.000Z", s)
	if err != nil {
		t.Errorf("time %v: %v", v, err)
	}
	return at
}

// sign makes a token.
func sign(t *testing.T, c auth.Claims) string {
	t.Helper()
	key, err := auth.SecretKey("test", []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	if c.Expires.IsZero() {
		c.Expires = time.Now().Add(time.Hour)
	}
	token, err := key.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}
