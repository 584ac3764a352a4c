package chat

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// A client that joins a room leaves the one before; members of both are told.
func TestSwitch(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada := s.named("Ada")
	bob := s.named("Bob", ada)
	bob.say(object{"type": "join_room", "room_id": "random", "id": 7})
	left := bob.next("room_left")
	has(t, left, "type", "room_id", "timestamp")
	if left["room_id"] != "general" {
		t.Errorf("%v", left)
	}
	if o := bob.next("room_joined"); o["id"] != 7.0 || o["room_id"] != "random" || o["room_name"] != "Random Talk" || o["user_count"] != 1.0 {
		t.Errorf("%v", o)
	}
	if m := bob.next("system_message")["message"].(object); m["event"] != "welcome" || m["room_id"] != "random" {
		t.Errorf("%v", m)
	}
	if m := ada.next("system_message")["message"].(object); m["event"] != "left" || m["username"] != "Bob" || m["user_count"] != 1.0 {
		t.Errorf("%v", m)
	}
	ada.posts("to nobody")
	bob.posts("to nobody")
	ada.quiet()
	bob.quiet()
	// Back again, with all missed messages, in order and once.
	for range 2 {
		ada.posts("missed")
	}
	joined := bob.goes(object{"room_id": "general"})
	if n := len(joined["recent_messages"].([]any)); n != 3 || joined["recovered"] != false {
		t.Errorf("%d recent messages: %v", n, joined)
	}
	ada.next("system_message")
	bob.goes(object{"room_id": "random"})
	ada.next("system_message")
	ada.posts("the fourth")
	bob.say(object{"type": "join_room", "room_id": "general", "since": object{"epoch": joined["epoch"], "offset": 2}})
	bob.next("room_left")
	if o := bob.next("room_joined"); o["recovered"] != true || o["offset"] != 4.0 || len(o["recent_messages"].([]any)) != 0 {
		t.Errorf("%v", o)
	}
	bob.hears("missed")
	bob.hears("the fourth")
	bob.next("system_message")
	bob.quiet()
}

func TestLeave(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada := s.named("Ada")
	bob := s.named("Bob", ada)
	bob.say(object{"type": "leave_room", "room_id": "random"})
	if o := bob.fails("no_room"); o["field"] != "room_id" {
		t.Errorf("%v", o)
	}
	bob.say(object{"type": "leave_room", "room_id": "general", "id": "l"})
	left := bob.next("room_left")
	has(t, left, "type", "id", "room_id", "timestamp")
	if m := ada.next("system_message")["message"].(object); m["event"] != "left" {
		t.Errorf("%v", m)
	}
	for _, typ := range []string{"leave_room", "list_users", "typing", "chat_message"} {
		bob.say(object{"type": typ, "content": "x", "id": typ})
		if o := bob.fails("no_room"); o["id"] != typ {
			t.Errorf("%v", o)
		}
	}
	ada.posts("x")
	bob.quiet()
	bob.say(object{"type": "join_room", "room_id": "general"})
	bob.next("room_joined") // she had left no room
}

// The options of a room that a client makes. When it has been empty for long enough it is gone, with its messages.
func TestCreate(t *testing.T) {
	clock := newClock()
	s := start(t, Config{Clock: clock, MaxMembers: 5, EmptyTTL: time.Minute}, room.Config{})
	ada, init := s.guest(object{"username": "Ada"})
	longest := strings.Repeat("ü", room.MaxID/2)
	epoch := ada.goes(object{"room_id": longest})["epoch"]
	o := s.Rooms().Room(longest).Options()
	if o.Name != longest || o.Owner != init["user_id"] || o.MaxMembers != 5 || o.Private || o.TTL != time.Minute || o.Password.IsSet() {
		t.Errorf("made as %+v", o)
	}
	ada.posts("lost")
	ada.goes(object{"room_id": "general"})
	clock.forward(time.Minute - time.Millisecond)
	s.Rooms().Sweep()
	if again := ada.goes(object{"room_id": longest}); again["epoch"] != epoch || again["offset"] != 1.0 {
		t.Errorf("%v, was made in epoch %v", again, epoch)
	}
	ada.goes(object{"room_id": "general"})
	clock.forward(time.Minute)
	s.Rooms().Sweep()
	if s.Rooms().Room(longest) != nil || s.Rooms().Room("random") == nil {
		t.Error("after a minute without members")
	}
	if again := ada.goes(object{"room_id": longest}); again["epoch"] == epoch || again["offset"] != 0.0 {
		t.Errorf("%v, was made in epoch %v before", again, epoch)
	}
}

// Invalid ids of rooms, and the other fields of join_room.
func TestJoinRoomFields(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	for _, tc := range []struct {
		message     object
		code, field string
	}{
		{object{}, "missing_field", "room_id"},
		{object{"room_id": nil}, "missing_field", "room_id"},
		{object{"room_id": 7}, "wrong_type", "room_id"},
		{object{"room_id": ""}, "invalid_room_id", ""},
		{object{"room_id": " general"}, "invalid_room_id", ""},
		{object{"room_id": "a  b"}, "invalid_room_id", ""},
		{object{"room_id": "a\nb"}, "invalid_room_id", ""},
		{object{"room_id": "a\u200bb"}, "invalid_room_id", ""},
		{object{"room_id": strings.Repeat("r", room.MaxID+1)}, "too_long", "room_id"},
		{object{"room_id": "x", "password": 1}, "wrong_type", "password"},
		{object{"room_id": "x", "password": strings.Repeat("p", room.MaxPassword+1)}, "too_long", "password"},
		{object{"room_id": "x", "since": 1}, "wrong_type", "since"},
		{object{"room_id": "x", "since": object{}}, "missing_field", "epoch"},
		{object{"room_id": "x", "since": object{"epoch": "e", "offset": "1"}}, "wrong_type", "offset"},
		{object{"room_id": "x", "since": object{"epoch": strings.Repeat("e", maxReply+1)}}, "too_long", "epoch"},
		{object{"room_id": "general"}, "already_joined", ""},
	} {
		ada := s.named("Ada")
		tc.message["type"], tc.message["id"] = "join_room", 3
		ada.say(tc.message)
		o := ada.fails(tc.code)
		if field, _ := o["field"].(string); field != tc.field || o["id"] != 3.0 {
			t.Errorf("%v: %v", tc.message, o)
		}
		ada.posts("still in general")
		ada.departs(s)
	}
	if s.Rooms().Room("x") != nil {
		t.Error("a room was made nevertheless")
	}
}

// A connection may make ten rooms in a minute; joining rooms that exist does not count.
func TestCreationBudget(t *testing.T) {
	clock := newClock()
	s := start(t, Config{Clock: clock}, room.Config{})
	ada := s.named("Ada")
	for i := range maxCreations {
		ada.goes(object{"room_id": fmt.Sprint("room ", i)})
	}
	ada.say(object{"type": "join_room", "room_id": "one more", "id": 1})
	if o := ada.fails("rate_limited"); o["id"] != 1.0 {
		t.Errorf("%v", o)
	}
	if s.Rooms().Room("one more") != nil {
		t.Error("the room was made nevertheless")
	}
	ada.goes(object{"room_id": "room 1"})
	clock.forward(time.Minute)
	ada.goes(object{"room_id": "one more"})
}

// The server's own limits, and rooms that the client may not enter.
func TestJoinRefused(t *testing.T) {
	for _, tc := range []struct {
		name   string
		config Config
		rooms  room.Config
		code   string
	}{
		{"clients make no rooms", Config{Fixed: true}, room.Config{}, "room_not_found"},
		{"all rooms there may be", Config{}, room.Config{MaxRooms: 2}, "room_limit"},
		{"full", Config{MaxMembers: 2, Rooms: []string{"other"}}, room.Config{}, "room_full"},
		{"the token is for others", Config{}, room.Config{}, "forbidden_room"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := start(t, tc.config, tc.rooms)
			if tc.code == "room_full" {
				for range 2 {
					c := s.dial("/ws/room/new")
					c.say(object{"type": "join", "create": object{}})
					c.next("room_joined")
				}
			}
			first := object{}
			if tc.code == "forbidden_room" {
				first["token"] = sign(t, auth.Claims{Subject: "ada", Rooms: []string{"general", "random"}})
			}
			ada, _ := s.guest(first)
			ada.say(object{"type": "join_room", "room_id": "new", "id": 1})
			if o := ada.fails(tc.code); o["id"] != 1.0 {
				t.Errorf("%v", o)
			}
			ada.posts("still in general")
			ada.goes(object{"room_id": "random"})
		})
	}
}

// In a full room another connection of a member is no further member.
func TestFullForUsers(t *testing.T) {
	s := start(t, Config{MaxMembers: 1}, room.Config{})
	token := sign(t, auth.Claims{Subject: "ada"})
	for range 2 {
		ada, _ := s.guest(object{"token": token})
		if o := ada.goes(object{"room_id": "own"}); o["user_count"] != 1.0 {
			t.Errorf("%v", o)
		}
	}
}

// A client whose room is deleted is in none, and has left none when it joins the next.
func TestRoomDeleted(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada, bob := s.named("Ada"), s.dial("/ws/room/tea")
	bob.say(object{"type": "join", "create": object{}})
	bob.next("room_joined")
	ada.goes(object{"room_id": "tea"})
	bob.next("user_joined")
	bob.say(object{"type": "delete"})
	bob.next("room_deleted")
	closed := ada.next("room_closed")
	has(t, closed, "type", "room_id", "reason", "timestamp")
	if closed["room_id"] != "tea" || closed["reason"] == "" {
		t.Errorf("%v", closed)
	}
	ada.say(object{"type": "chat_message", "content": "x"})
	ada.fails("no_room")
	ada.say(object{"type": "leave_room"})
	ada.fails("no_room")
	ada.say(object{"type": "join_room", "room_id": "tea"})
	ada.next("room_joined")
	ada.next("system_message")
	r := s.Rooms().Room("tea")
	if err := s.Rooms().Delete(r, "again"); err != nil {
		t.Fatal(err)
	}
	ada.next("room_closed")
	ada.say(object{"type": "join_room", "room_id": "general"})
	ada.next("room_joined")
}

// A connection that breaks while it waits to enter is not a member afterwards.
func TestCutWhileEntering(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada := s.named("Ada")
	ada.goes(object{"room_id": "tea", "password": "Darjeeling"})
	bob := s.named("Bob")
	bob.say(object{"type": "join_room", "room_id": "tea", "password": "Darjeeling"})
	bob.Reset()
	wstest.Eventually(t, "Bob has gone", func() bool { return s.Rooms().Stats().Users == 1 })
	ada.say(object{"type": "ping"})
	_, p := ada.NextMessage()
	for parse(t, p)["type"] != "pong" { // Bob's coming may have been told before he went
		_, p = ada.NextMessage()
	}
	wstest.Eventually(t, "Ada is alone", func() bool { return s.Rooms().Room("tea").Count() == 1 })
}
