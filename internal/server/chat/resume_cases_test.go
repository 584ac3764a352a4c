package chat

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/endpoint"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// signIn is a client of the chat, with its init.
func (s *server) signIn(first object) (c *client, init object) {
	s.t.Helper()
	c = s.dial("/ws/chat")
	c.say(first)
	return c, c.next("init")
}

// enters reads the messages that a client gets when it enters a room without having missed any.
func (c *client) enters(room string) (joined object) {
	c.t.Helper()
	joined = c.next("room_joined")
	if joined["room_id"] != room {
		c.t.Fatalf("in %v, want %s", joined["room_id"], room)
	}
	c.next("system_message")
	return joined
}

// cut breaks the connection, and waits until the server has noticed.
func (s *server) cut(c *client) {
	s.t.Helper()
	before := s.store.Stats().Attached
	c.Reset()
	wstest.Eventually(s.t, "the session is detached", func() bool { return s.store.Stats().Attached < before })
}

// publish puts messages of a user into a room.
func (s *server) publish(r *room.Room, n int, content string) {
	s.t.Helper()
	for range n {
		p := post{ID: s.chat.newID(), MessageType: "text", Content: content, SenderID: "robot", SenderName: "Robot", RoomID: r.ID(), Timestamp: time.Now()}
		for full := true; full; {
			r.Publish(room.Message{Payload: p.append(nil)}, func(_ room.Receipt, err error) { full = err == room.ErrQueueFull })
		}
	}
}

// resume is a first message that resumes. joined is the room_joined of the room, offset the last message that was
// seen.
func resume(init, joined object, offset int) object {
	return object{"resume": object{"session": init["session"], "rooms": object{
		joined["room_id"].(string): object{"epoch": joined["epoch"], "offset": offset},
	}}}
}

// justSession is a first message that resumes, and has seen no messages.
func justSession(init object) object { return object{"resume": object{"session": init["session"]}} }

// offsets reads n messages.
func (c *client) offsets(n int) (all []int) {
	c.t.Helper()
	for range n {
		all = append(all, int(c.next("message")["offset"].(float64)))
	}
	return all
}

func TestResumeGivesBack(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	bob, _ := s.signIn(object{"username": "Bob"})
	bob.enters("general")
	bob.goes(object{"room_id": "tea"})
	ada, was := s.signIn(object{"username": "Ada"})
	ada.enters("general")
	joined := ada.goes(object{"room_id": "tea"})
	bob.next("system_message")
	ada.say(object{"type": "chat_message", "content": "0"})
	ada.next("message_sent")
	bob.offsets(1)
	s.cut(ada)
	if o := bob.next("system_message"); o["message"].(object)["event"] != "offline" {
		t.Error(o)
	}
	bob.next("user_status")
	for i := 1; i <= 3; i++ {
		bob.say(object{"type": "chat_message", "content": fmt.Sprint(i)})
		bob.next("message_sent")
	}

	ada, is := s.signIn(resume(was, joined, 1))
	for _, field := range []string{"user_id", "username", "session"} {
		if is[field] != was[field] {
			t.Errorf("%s is %v, was %v", field, is[field], was[field])
		}
	}
	if is["resumed"] != true || was["resumed"] != false {
		t.Errorf("resumed: %v, before that %v", is["resumed"], was["resumed"])
	}
	o := ada.next("room_joined")
	if o["room_id"] != "tea" || o["recovered"] != true || o["offset"] != 4.0 || len(o["recent_messages"].([]any)) != 0 {
		t.Error(o)
	}
	for i := 1; i <= 3; i++ {
		o := ada.next("message")
		if o["offset"] != float64(i+1) || o["message"].(object)["content"] != fmt.Sprint(i) {
			t.Error(o)
		}
	}
	ada.next("system_message")
	bob.next("system_message")
	bob.next("user_status")
	bob.say(object{"type": "chat_message", "content": "4"})
	if got := ada.offsets(1); got[0] != 5 {
		t.Errorf("after the resume comes offset %d, want 5", got[0])
	}
	ada.quiet()
}

func TestResumeHowMuch(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	general := s.Rooms().Room(generalID)
	for _, test := range []struct {
		name      string
		missed    int
		size      int
		recovered bool
	}{
		{"nothing", 0, 1, true},
		{"as much as may be", 300, 1, true},
		{"one more", 301, 1, false},
		{"as many bytes as may be", 30, 16 << 10, true},
		{"more bytes", 33, 16 << 10, false},
		{"more than there is", 1001, 1, false},
	} {
		ada, was := s.signIn(object{})
		joined := ada.enters("general")
		s.cut(ada)
		s.publish(general, test.missed, string(slices.Repeat([]byte("x"), test.size)))
		from := int(joined["offset"].(float64))
		ada, _ = s.signIn(resume(was, joined, from))
		o := ada.next("room_joined")
		recent := len(o["recent_messages"].([]any))
		if o["recovered"] != test.recovered || o["offset"] != float64(from+test.missed) || (recent > 0) == test.recovered {
			t.Errorf("%s: recovered %v with %d recent ones at %v", test.name, o["recovered"], recent, o["offset"])
		}
		if test.recovered {
			for i, got := range ada.offsets(test.missed) {
				if got != from+i+1 {
					t.Fatalf("%s: offset %d, want %d", test.name, got, from+i+1)
				}
			}
		}
		ada.next("system_message")
		s.cut(ada)
	}
}

// The position that a client sends must fit the room: else it gets the latest messages, and is told so.
func TestResumeElsewhere(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	s.publish(s.Rooms().Room(generalID), 3, "x")
	ada, was := s.signIn(object{})
	joined := ada.enters("general")
	epoch := joined["epoch"]
	for name, rooms := range map[string]object{
		"another epoch":        {"general": object{"epoch": "another", "offset": 2}},
		"an offset to come":    {"general": object{"epoch": epoch, "offset": 4}},
		"no offset, and epoch": {"general": object{"epoch": "", "offset": 0}},
		"another room":         {"random": object{"epoch": epoch, "offset": 2}},
		"no room":              {},
	} {
		s.cut(ada)
		ada, _ = s.signIn(object{"resume": object{"session": was["session"], "rooms": rooms}})
		o := ada.enters("general")
		if o["recovered"] != false || len(o["recent_messages"].([]any)) != 3 {
			t.Errorf("%s: %v", name, o)
		}
	}
	ada.quiet()
}

// A session that has ended, or never existed, makes a new user.
func TestResumeNothing(t *testing.T) {
	clock := newClock()
	s := start(t, Config{Clock: clock}, room.Config{})
	arrive := func() (*client, object) {
		c, init := s.signIn(object{"username": "Ada"})
		c.enters("general")
		return c, init
	}
	closed, was := arrive()
	closed.CloseHandshake(perch.CloseNormal)
	wstest.Eventually(t, "the session has ended", func() bool { return s.store.Stats().Sessions == 0 })
	late, expired := arrive()
	s.cut(late)
	clock.forward(5*time.Minute + time.Second)
	for name, session := range map[string]any{
		"ended by a normal close": was["session"], "expired": expired["session"],
		"unknown": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "not a key": "../../etc", "empty": "",
	} {
		c, init := s.signIn(object{"resume": object{"session": session}})
		c.enters("general")
		if init["resumed"] != false || init["user_id"] == was["user_id"] || init["session"] == session || init["username"] == "Ada" {
			t.Errorf("%s: %v", name, init)
		}
		c.Close()
	}
	bad := s.dial("/ws/chat")
	for _, test := range []struct {
		resume any
		code   string
	}{
		{"session", "wrong_type"},
		{object{}, "missing_field"},
		{object{"session": 1}, "wrong_type"},
		{object{"session": "a", "rooms": []string{"general"}}, "wrong_type"},
		{object{"session": "a", "rooms": object{"general": 7}}, "wrong_type"},
		{object{"session": "a", "rooms": object{"general": object{"offset": 7}}}, "missing_field"},
		{object{"session": "a", "rooms": object{"general": object{"epoch": "e", "offset": -1}}}, "wrong_type"},
	} {
		bad.say(object{"resume": test.resume})
		bad.fails(test.code)
	}
	bad.say(object{})
	bad.next("init")
}

// A broken connection leaves the session, and so does a page that is reloaded; a normal close ends it.
func TestResumeAfterClose(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	for name, test := range map[string]struct {
		end     func(*client)
		resumed bool
	}{
		"reset":      {func(c *client) { c.Reset() }, true},
		"FIN":        {func(c *client) { c.Close() }, true},
		"going away": {func(c *client) { c.CloseHandshake(perch.CloseGoingAway) }, true},
		"no status":  {func(c *client) { c.Send(wstest.Close(1005, "")); c.Close() }, true},
		"normal":     {func(c *client) { c.CloseHandshake(perch.CloseNormal) }, false},
	} {
		ada, was := s.signIn(object{"username": "Ada"})
		ada.enters("general")
		test.end(ada)
		wstest.Eventually(t, "the session is left", func() bool { return s.store.Stats().Attached == 0 })
		ada, is := s.signIn(justSession(was))
		ada.enters("general")
		if is["resumed"] != test.resumed || (is["user_id"] == was["user_id"]) != test.resumed {
			t.Errorf("%s: %v", name, is)
		}
		s.cut(ada)
	}
}

// Only the same user with a token can resume the session of a user with a token.
func TestResumeNeedsToken(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada, was := s.signIn(object{"username": "Ada", "token": sign(t, auth.Claims{Subject: "ada"})})
	ada.enters("general")
	s.cut(ada)
	for _, test := range []struct {
		name, token, id string
		resumed         bool
	}{
		{name: "without a token"},
		{name: "another's token", token: sign(t, auth.Claims{Subject: "bob"}), id: "bob"},
		{name: "her token", token: sign(t, auth.Claims{Subject: "ada"}), id: "ada", resumed: true},
	} {
		first := justSession(was)
		if test.token != "" {
			first["token"] = test.token
		}
		c, is := s.signIn(first)
		c.enters("general")
		if is["resumed"] != test.resumed || test.id != "" && is["user_id"] != test.id || (is["user_id"] == "ada") != test.resumed ||
			(is["username"] == "Ada") != test.resumed {
			t.Errorf("%s: %v", test.name, is)
		}
		s.cut(c)
	}
}

// The old connection, if it is still open, is closed; others are told nothing.
func TestResumeReplaces(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	bob, _ := s.signIn(object{"username": "Bob"})
	bob.enters("general")
	old, was := s.signIn(object{"username": "Ada"})
	joined := old.enters("general")
	bob.next("system_message")
	bob.next("user_status")
	for range 20 {
		ada, is := s.signIn(resume(was, joined, 0))
		if o := ada.enters("general"); o["user_count"] != 2.0 || o["recovered"] != true {
			t.Error(o)
		}
		if is["username"] != "Ada" || is["user_id"] != was["user_id"] || is["resumed"] != true {
			t.Error(is)
		}
		if reason := old.AnswerClose(endpoint.CloseReplaced); reason != "replaced by a resume elsewhere" {
			t.Errorf("closed with %q", reason)
		}
		old = ada
	}
	general := s.Rooms().Room(generalID)
	wstest.Eventually(t, "two connections are left", func() bool { return general.Connections() == 2 })
	bob.quiet()
}

// A client that has shown the password of a room need not show it again; but only for that room, not for another one
// of the same id.
func TestResumePassword(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada, was := s.signIn(object{"username": "Ada"})
	ada.enters("general")
	joined := ada.goes(object{"room_id": "tea", "password": "Darjeeling"})
	back := func(offset int) *client {
		t.Helper()
		s.cut(ada)
		c, is := s.signIn(resume(was, joined, offset))
		if is["resumed"] != true {
			t.Fatal(is)
		}
		return c
	}
	ada = back(0)
	if o := ada.enters("tea"); o["recovered"] != true {
		t.Error(o)
	}
	again := func(o room.Options) {
		t.Helper()
		if err := s.Rooms().Delete(s.Rooms().Room("tea"), "for a test"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Rooms().Create("tea", o); err != nil {
			t.Fatal(err)
		}
		ada.next("room_closed")
	}
	locked, err := s.Rooms().Hash(context.Background(), "Assam")
	if err != nil {
		t.Fatal(err)
	}
	again(room.Options{Password: locked})
	ada = back(0)
	ada.fails("wrong_password")
	ada.say(object{"type": "list_users"})
	ada.fails("no_room")
	if n := s.Rooms().Room("tea").Count(); n != 0 {
		t.Errorf("%d members in a room whose password no client has shown", n)
	}
}
