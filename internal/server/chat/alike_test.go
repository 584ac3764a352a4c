package chat

import (
	"net/url"
	"testing"

	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/room"
)

// A name that a user types leads to the room with that name, and makes none beside it.
func TestRoomByName(t *testing.T) {
	s := start(t, Config{Rooms: []string{"Straße 7"}}, room.Config{})
	ada := s.named("Ada")
	for _, tc := range []struct{ typed, id string }{
		{"Random Talk", "random"}, {"General Chat", "general"}, {"RANDOM", "random"}, {"General", "general"}, {"random talk", "random"},
		{"ｇｅｎｅｒａｌ", "general"}, {"STRASSE 7", "Straße 7"}, {"general", "general"},
	} {
		if o := ada.goes(object{"room_id": tc.typed}); o["room_id"] != tc.id {
			t.Errorf("%q: %v", tc.typed, o)
		}
		ada.say(object{"type": "join_room", "room_id": tc.typed})
		ada.fails("already_joined")
		ada.say(object{"type": "list_users", "room_id": tc.typed})
		if o := ada.next("user_list"); o["room_id"] != tc.id {
			t.Errorf("%q: %v", tc.typed, o)
		}
	}
	ada.say(object{"type": "leave_room", "room_id": "gеneral"}) // in Cyrillic
	ada.fails("no_room")
	ada.say(object{"type": "leave_room", "room_id": "General Chat"})
	ada.next("room_left")
	c, o := s.joins("GENERAL", object{})
	if o["room_id"] != "general" {
		t.Errorf("%v", o)
	}
	c.quiet()
	if n := len(s.Rooms().Rooms()); n != 3 {
		t.Errorf("%d rooms", n)
	}
}

// A room that looks like another one cannot be made: the error names the other room.
func TestRoomLooksLike(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada := s.named("Ada")
	for _, typed := range []string{"gеneral", "GENERАL", "gеnerаl сhat", "rand0m", "General‐Chat", "GеnеraI Chat"} {
		ada.say(object{"type": "join_room", "room_id": typed, "id": 1})
		if typed == "General‐Chat" { // a hyphen makes a visible difference
			ada.next("room_left")
			ada.next("room_joined")
			ada.next("system_message")
			continue
		}
		o := ada.fails("room_exists")
		if id := o["room_id"]; id != "general" && id != "random" || o["id"] != 1.0 {
			t.Errorf("%q: %v", typed, o)
		}
	}
	for _, create := range []object{{"name": "General Chat"}, {"name": "ｇeneral"}, {"name": "Gеneral Chat"}, {"name": "general", "private": true}} {
		c := s.dial("/ws/room/elsewhere")
		c.say(object{"type": "join", "create": create})
		if o := c.fails("room_exists"); o["room_id"] != "general" {
			t.Errorf("%v: %v", create, o)
		}
		create["password"] = "x"
		c = s.dial("/ws/room/elsewhere")
		c.say(object{"type": "join", "create": create})
		if o := c.fails("room_exists"); o["room_id"] != "general" {
			t.Errorf("%v: %v", create, o)
		}
	}
	s.dial("/ws/room/elsewhere").joinFails(object{}, "room_not_found")
}

// A client is told if it has made a room. If the room exists already, the options in create are ignored.
func TestCreated(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	for _, tc := range []struct {
		id      string
		join    object
		created any
	}{
		{"tea", object{"create": object{"name": "Tea"}}, true},
		{"tea", object{"create": object{"private": true}}, nil},
		{"TEA", object{"create": object{}}, nil},
		{"general", object{}, nil},
		{"java", object{"create": object{"password": "x"}}, true},
		{"java", object{"password": "x", "create": object{"password": "x"}}, nil},
	} {
		if _, o := s.joins(tc.id, tc.join); o["created"] != tc.created {
			t.Errorf("%s: %v", tc.id, o)
		}
	}
	ada := s.named("Ada")
	for _, tc := range []struct {
		join    object
		created any
	}{{object{"room_id": "mine"}, true}, {object{"room_id": "random"}, nil}, {object{"room_id": "locked", "password": "x"}, true}, {object{"room_id": "mine"}, nil}} {
		if o := ada.goes(tc.join); o["created"] != tc.created {
			t.Errorf("%v: %v", tc.join, o)
		}
	}
}

// A private room is not found by its looks or its name, and its existence is not revealed.
func TestPrivateRoomsDoNotShow(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	s.joins("plans", object{"create": object{"private": true, "name": "The Plot"}})
	for _, id := range []string{"plаns", "The Plot"} {
		_, o := s.joins(url.PathEscape(id), object{"create": object{}})
		if o["room_id"] != id || o["member_count"] != 1.0 {
			t.Errorf("%q: %v", id, o)
		}
	}
}

// A token must allow the room to which a name leads.
func TestTokenForRoomByName(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	c := s.dial("/ws/room/Random%20Talk")
	c.say(object{"type": "join", "token": sign(t, auth.Claims{Subject: "ada", Rooms: []string{"random"}})})
	if o := c.next("room_joined"); o["room_id"] != "random" {
		t.Errorf("%v", o)
	}
	c = s.dial("/ws/room/Random%20Talk")
	c.say(object{"type": "join", "token": sign(t, auth.Claims{Subject: "ada", Rooms: []string{"Random Talk"}})})
	c.fails("forbidden_room")
}

// Ids of rooms in many scripts stay as they were typed, for all users.
func TestRoomIDs(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	for _, id := range []string{"می\u200cخواهم", "ශ්\u200dරී", "മോഹന്\u200d", "র\u200d্যাংকিন", "👩🏽\u200d🚀❤️", "🏳️\u200d🌈", "葛\U000e0100城", "ㅋㅋㅋ", "Zoe\u0301"} {
		c := s.dial("/ws/chat")
		c.say(object{})
		c.next("init")
		c.enters("general")
		if o := c.goes(object{"room_id": id}); o["room_id"] != id || o["room_name"] != id {
			t.Errorf("%+q: %v", id, o)
		}
		c.Reset()
	}
	ada := s.named("Ada")
	for _, id := range []string{"a\u200db", "\u200b", "\u3164", "a\u2800", "a\ufe0f", "a\u202eb", "\u0301", "a\ufffc"} {
		ada.say(object{"type": "join_room", "room_id": id})
		ada.fails("invalid_room_id")
	}
}

// Two configured rooms that look alike are an error that names both.
func TestConfiguredRoomsAlike(t *testing.T) {
	svc := New(Config{Rooms: []string{"tea", "Tea"}})
	hub := room.New(svc.Rooms(room.Config{}))
	defer hub.Close()
	svc.hub = hub
	if err := svc.furnish(); err == nil || err.Error() != `chat: room "Tea": room: exists already: room "tea" looks alike` {
		t.Errorf("%v", err)
	}
}
