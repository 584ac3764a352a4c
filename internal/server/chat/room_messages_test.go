package chat

import (
	"strings"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// A message reaches members of both endpoints, each in the form of its endpoint.
func TestBothDialects(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada := s.named("Ada")
	ann, annJoined := s.joins("general", object{"username": "Ann"})
	ada.next("system_message")
	ben, _ := s.joins("general", object{"username": "Ben"})
	ada.next("system_message")
	if o := ann.next("user_joined"); o["username"] != "Ben" || o["member_count"] != 3.0 {
		t.Error(o)
	}

	ada.say(object{"type": "chat_message", "content": "cat.png", "message_type": "image", "reply_to": "m-1", "id": "a"})
	sent := ada.next("message_sent")
	for _, c := range []*client{ann, ben} {
		o := c.next("chat_message")
		has(t, o, "type", "room_id", "sender", "sender_name", "message", "message_id", "message_type", "timestamp", "reply_to", "offset")
		if o["sender_name"] != "Ada" || o["message"] != "cat.png" || o["message_type"] != "image" || o["reply_to"] != "m-1" ||
			o["room_id"] != "general" || o["offset"] != 1.0 || o["message_id"] != sent["message_id"] || o["timestamp"] != sent["timestamp"] {
			t.Errorf("%v after %v", o, sent)
		}
	}

	ann.say(object{"type": "chat_message", "message": "\"nice\"\n\u2028<b>", "id": 2})
	sent = ann.next("message_sent")
	has(t, sent, "type", "id", "message_id", "offset", "timestamp")
	if sent["id"] != 2.0 || sent["offset"] != 2.0 {
		t.Error(sent)
	}
	o := ada.next("message")
	m := o["message"].(object)
	has(t, m, "id", "message_type", "content", "sender_id", "sender_name", "room_id", "timestamp")
	if m["content"] != "\"nice\"\n\u2028<b>" || m["sender_name"] != "Ann" || m["sender_id"] != annJoined["user_id"] || m["message_type"] != "text" || o["offset"] != 2.0 {
		t.Error(o)
	}
	if o := ben.next("chat_message"); o["message"] != m["content"] || o["sender"] != m["sender_id"] || o["message_id"] != m["id"] {
		t.Error(o)
	}
	ann.quiet() // her own message did not come back

	ada.say(object{"type": "typing"})
	if o := ann.next("user_typing"); o["username"] != "Ada" || o["is_typing"] != true {
		t.Error(o)
	}
	ben.next("user_typing")
	ben.say(object{"type": "leave", "id": "b"})
	left := ben.next("room_left")
	has(t, left, "type", "id", "room_id", "timestamp")
	o = ann.next("user_left")
	has(t, o, "type", "room_id", "user_id", "username", "member_count", "timestamp")
	if o["username"] != "Ben" || o["member_count"] != 2.0 {
		t.Error(o)
	}
	if o := ada.next("system_message")["message"].(object); o["event"] != "left" || o["username"] != "Ben" {
		t.Error(o)
	}
}

// Every error for a client that is in the room, or has left it. The connection stays.
func TestRoomErrors(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	c, _ := s.joins("general", nil)
	post := func(message any) object { return object{"type": "chat_message", "message": message} }
	for _, test := range []struct {
		say  object
		code string
	}{
		{object{"type": "chat_message"}, "missing_field"},
		{object{"type": "chat_message", "content": "as in the chat"}, "missing_field"},
		{post(""), "invalid_value"},
		{post(7), "wrong_type"},
		{post(strings.Repeat("x", MaxContent+1)), "too_long"},
		{object{"type": "chat_message", "message": "x", "message_type": "system"}, "invalid_value"},
		{object{"type": "chat_message", "message": "x", "reply_to": 7}, "wrong_type"},
		{object{"type": "chat_message", "message": "x", "reply_to": strings.Repeat("x", maxReply+1)}, "too_long"},
		{object{"type": "join"}, "already_joined"},
		{object{"type": "delete"}, "not_owner"},
		{object{"type": "join_room", "room_id": "random"}, "unknown_type"},
		{object{"type": "typing"}, "unknown_type"},
		{object{}, "missing_field"},
	} {
		test.say["id"] = "x"
		c.say(test.say)
		if o := c.fails(test.code); o["id"] != "x" {
			t.Errorf("%v: %v", test.say, o)
		}
		if test.code == "already_joined" { // ten errors in a minute are too many: TestRoomTooManyErrors
			c.Close()
			wstest.Eventually(t, "it has left", func() bool { return s.Rooms().Room(generalID).Count() == 0 })
			c, _ = s.joins("general", nil)
		}
	}
	c.say(post(strings.Repeat("€", MaxContent/3)))
	c.next("message_sent")
	c.say(object{"type": "leave"})
	c.next("room_left")
	for _, say := range []object{post("x"), {"type": "leave"}, {"type": "delete"}, {"type": "room_info"}} {
		c.say(say)
		c.fails("no_room")
	}
	c.joins(nil)
}

func TestRoomTooManyErrors(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	c, _ := s.joins("general", nil)
	for range 10 {
		c.raw("{")
		c.fails("invalid_json")
	}
	c.quiet()
	c.raw("{")
	c.fails("invalid_json")
	if reason := c.AnswerClose(perch.ClosePolicyViolation); reason != "too many errors" {
		t.Error(reason)
	}
}

// A publisher is told when the queue is full, and may send the same message again.
func TestQueueFull(t *testing.T) {
	s := start(t, Config{}, room.Config{MaxQueue: 1})
	c, _ := s.joins("general", nil)
	one := wstest.Text(`{"type":"chat_message","message":"one","id":1}`)
	two := wstest.Text(`{"type":"chat_message","message":"two","id":2}`)
	c.Send(one, two) // both in one turn of the loop
	if o := c.next("message_sent"); o["id"] != 1.0 || o["offset"] != 1.0 {
		t.Error(o)
	}
	if o := c.fails("queue_full"); o["id"] != 2.0 {
		t.Error(o)
	}
	wstest.Eventually(t, "the queue is empty", func() bool { return s.Rooms().Room(generalID).Queue() == 0 })
	c.Send(two)
	if o := c.next("message_sent"); o["id"] != 2.0 || o["offset"] != 2.0 {
		t.Error(o)
	}
}

func TestRoomInfo(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	c, joined := s.joins("plans", object{"create": object{"name": "Plans", "private": true, "password": "Darjeeling", "max_members": 2}})
	s.publish(s.Rooms().Room("plans"), 1, "x")
	c.next("chat_message")
	c.say(object{"type": "room_info", "id": 1})
	_, p := c.NextMessage()
	if strings.Contains(string(p), "Darjeeling") {
		t.Errorf("the password is in %s", p)
	}
	o := parse(t, p)
	has(t, o, "type", "id", "room_id", "member_count", "metadata", "queue_size", "epoch", "offset", "timestamp")
	m := o["metadata"].(object)
	has(t, m, "name", "owner", "private", "password", "max_members", "created_at")
	stamp(t, m["created_at"])
	if o["member_count"] != 1.0 || o["offset"] != 1.0 || o["epoch"] != joined["epoch"] || o["queue_size"] != 0.0 || m["name"] != "Plans" ||
		m["owner"] != joined["user_id"] || m["private"] != true || m["password"] != true || m["max_members"] != 2.0 {
		t.Error(o)
	}
	c, _ = s.joins("general", nil)
	c.say(object{"type": "room_info"})
	has(t, c.next("room_info")["metadata"].(object), "name", "owner", "private", "password", "created_at")
}

// Only the owner can delete a room; its members are told, and are in no room.
func TestRoomDelete(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	token := sign(t, auth.Claims{Subject: "ada"})
	ada, _ := s.joins("tea", object{"token": token, "create": object{}})
	bob, _ := s.joins("tea", nil)
	ada.next("user_joined")
	cat := s.named("Cat")
	cat.goes(object{"room_id": "tea"})
	ada.next("user_joined")
	bob.next("user_joined")
	bob.say(object{"type": "delete"})
	bob.fails("not_owner")
	ada.say(object{"type": "delete", "id": 1})
	has(t, ada.next("room_deleted"), "type", "id", "room_id", "timestamp")
	for _, c := range []*client{ada, bob, cat} {
		o := c.next("room_closed")
		has(t, o, "type", "room_id", "reason", "timestamp")
		if o["room_id"] != "tea" || o["reason"] != "deleted by its owner" {
			t.Error(o)
		}
		c.say(object{"type": "chat_message", "content": "x", "message": "x"})
		c.fails("no_room")
	}
	bob.joinFails(nil, "room_not_found")
	bob.joins(object{"create": object{}})
	ada.joins(nil) // she owned the old room
	bob.next("user_joined")
	ada.say(object{"type": "delete"})
	ada.fails("not_owner")
	general, _ := s.joins("general", object{"token": token})
	general.say(object{"type": "delete"})
	general.fails("not_owner")
}

// A member that comes back says which messages it has seen.
func TestRoomSince(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	general := s.Rooms().Room(generalID)
	s.publish(general, 301, "x")
	epoch := general.Position().Epoch
	for _, test := range []struct {
		name      string
		since     object
		recovered bool
		missed    int
	}{
		{"all that may be", object{"epoch": epoch, "offset": 1}, true, 300},
		{"one more", object{"epoch": epoch, "offset": 0}, false, 0},
		{"nothing", object{"epoch": epoch, "offset": 301}, true, 0},
		{"one to come", object{"epoch": epoch, "offset": 302}, false, 0},
		{"another epoch", object{"epoch": "another", "offset": 300}, false, 0},
		{"no offset", object{"epoch": epoch}, false, 0},
	} {
		c, o := s.joins("general", object{"since": test.since})
		if o["recovered"] != test.recovered || o["offset"] != 301.0 {
			t.Errorf("%s: %v", test.name, o)
		}
		for i := range test.missed {
			if o := c.next("chat_message"); o["offset"] != float64(i+2) {
				t.Fatalf("%s: %v", test.name, o)
			}
		}
		c.quiet()
		c.say(object{"type": "leave"})
		c.next("room_left")
	}
}
