package chat

import (
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

// The content of init, and the messages after it.
func TestInit(t *testing.T) {
	s := start(t, Config{Rooms: []string{"news"}, Heartbeat: 20 * time.Second}, room.Config{})
	for id, o := range map[string]room.Options{"secret": {Private: true}, "attic": {Name: "The Attic"}} {
		if _, err := s.Rooms().Create(id, o); err != nil {
			t.Fatal(err)
		}
	}
	ada := s.dial("/ws/chat")
	ada.say(object{"username": "Ada", "id": "first", "color": "ignored"})
	init := ada.next("init")
	has(t, init, "type", "id", "user_id", "username", "session", "resumed", "available_rooms", "online_users", "online_count",
		"heartbeat_interval", "timestamp")
	if init["id"] != "first" || init["username"] != "Ada" || init["resumed"] != false || init["heartbeat_interval"] != 20.0 {
		t.Errorf("%v", init)
	}
	if key := init["session"].(string); len(key) != 32 {
		t.Errorf("session %q", key)
	}
	stamp(t, init["timestamp"])
	var rooms []string
	for _, r := range init["available_rooms"].([]any) {
		r := r.(object)
		has(t, r, "room_id", "room_name", "user_count", "private", "password", "offset")
		rooms = append(rooms, fmt.Sprint(r["room_id"], "=", r["room_name"]))
	}
	if want := []string{"general=General Chat", "random=Random Talk", "news=news", "attic=The Attic"}; !slices.Equal(rooms, want) {
		t.Errorf("rooms %q, want %q", rooms, want)
	}
	joined := ada.next("room_joined")
	has(t, joined, "type", "id", "room_id", "room_name", "user_count", "recent_messages", "epoch", "offset", "recovered")
	if joined["id"] != "first" || joined["room_id"] != "general" || joined["room_name"] != "General Chat" || joined["user_count"] != 1.0 ||
		joined["recovered"] != false || joined["offset"] != 0.0 {
		t.Errorf("%v", joined)
	}
	welcome := ada.next("system_message")["message"].(object)
	has(t, welcome, "id", "message_type", "content", "sender_id", "sender_name", "room_id", "timestamp", "event", "user_count")
	if welcome["event"] != "welcome" || welcome["content"] != "Welcome to General Chat" || welcome["sender_id"] != "system" ||
		welcome["sender_name"] != "System" || welcome["message_type"] != "system" {
		t.Errorf("%v", welcome)
	}
}

// The list of users online has at most 100 of them, and their number.
func TestInitOnline(t *testing.T) {
	s := start(t, Config{}, room.Config{PresenceEach: 1, PresenceNames: 1})
	for i := range maxListed + 2 {
		c := s.dial("/ws/chat")
		c.say(object{})
		init := c.next("init")
		ids := make(map[any]bool)
		for _, u := range init["online_users"].([]any) {
			has(t, u.(object), "id", "username")
			ids[u.(object)["id"]] = true
		}
		if len(ids) != min(i+1, maxListed) || init["online_count"] != float64(i+1) || i < maxListed && !ids[init["user_id"]] {
			t.Fatalf("%d are listed of %v, want %d", len(ids), init["online_count"], i+1)
		}
		c.next("room_joined")
	}
}

// The list of rooms has at most 100, too: the server's own come first.
func TestInitRooms(t *testing.T) {
	clock := newClock()
	s := start(t, Config{Clock: clock, Rooms: []string{"zoo"}}, room.Config{})
	for i := range maxListed {
		if _, err := s.Rooms().Create(fmt.Sprintf("room-%03d", i), room.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	ada, init := s.guest(object{})
	list := init["available_rooms"].([]any)
	if len(list) != maxListed || list[2].(object)["room_id"] != "zoo" || list[99].(object)["room_id"] != "room-096" {
		t.Errorf("%d rooms: %v", len(list), list)
	}
	// The list is made once a second.
	count := func() any {
		ada.say(object{"type": "list_rooms"})
		return ada.next("room_list")["rooms"].([]any)[0].(object)["user_count"]
	}
	if n := count(); n != 0.0 {
		t.Errorf("the list was made again at once: %v", n)
	}
	clock.forward(time.Second)
	if n := count(); n != 1.0 {
		t.Errorf("%v in general after a second", n)
	}
}

// After a bad first message the client may send another one.
func TestFirstFrameErrors(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	for _, tc := range []struct{ first, code, field string }{
		{`{"type":"chat_message","content":"hello"}`, "bad_request", ""},
		{`{"type":"ping"}`, "bad_request", ""},
		{`{"type":7}`, "wrong_type", "type"},
		{`hello`, "invalid_json", ""},
		{`[]`, "not_an_object", ""},
		{`{"username":["Ada"]}`, "wrong_type", "username"},
		{`{"token":1}`, "wrong_type", "token"},
		{`{"resume":"x"}`, "wrong_type", "resume"},
		{`{"resume":{}}`, "missing_field", "session"},
		{`{"resume":{"session":1}}`, "wrong_type", "session"},
		{`{"resume":{"session":"x","rooms":[]}}`, "wrong_type", "rooms"},
		{`{"resume":{"session":"x","rooms":{"general":1}}}`, "wrong_type", "resume"},
		{`{"resume":{"session":"x","rooms":{"general":{"offset":1}}}}`, "missing_field", "epoch"},
		{`{"resume":{"session":"x","rooms":{"general":{"epoch":"e","offset":-1}}}}`, "wrong_type", "offset"},
		{`{"resume":{"session":"x","rooms":{"general":{"epoch":"e","offset":1.5}}}}`, "wrong_type", "offset"},
		{`{"id":{}}`, "wrong_type", "id"},
	} {
		c := s.dial("/ws/chat")
		c.raw(tc.first)
		o := c.fails(tc.code)
		if field, _ := o["field"].(string); field != tc.field {
			t.Errorf("%s: field %q, want %q", tc.first, field, tc.field)
		}
		c.say(object{})
		c.next("init")
		c.Close()
	}
}

// A token in the first message makes the client its user; a client with a bad token may not stay.
func TestFirstFrameToken(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada, init := s.guest(object{"token": sign(t, auth.Claims{Subject: "ada"}), "username": "Ada"})
	if init["user_id"] != "ada" {
		t.Errorf("%v", init)
	}
	// Another connection with the token is the same user, under the same name, and nobody is told of a coming.
	second, init := s.guest(object{"token": sign(t, auth.Claims{Subject: "ada"}), "username": "Eve"})
	if init["user_id"] != "ada" || init["username"] != "Ada" || init["online_count"] != 1.0 {
		t.Errorf("%v", init)
	}
	ada.quiet()
	ada.posts("to myself")
	second.hears("to myself")
	for token, code := range map[string]string{
		"nonsense": "token_malformed",
		sign(t, auth.Claims{Subject: "ada", Expires: time.Now().Add(-time.Hour)}):                                          "token_expired",
		sign(t, auth.Claims{Subject: "ada", NotBefore: time.Now().Add(time.Hour), Expires: time.Now().Add(2 * time.Hour)}): "token_not_yet_valid",
	} {
		c := s.dial("/ws/chat")
		c.say(object{"token": token})
		c.fails(code)
		if reason := c.ExpectClose(perch.ClosePolicyViolation); reason != "Invalid token" {
			t.Errorf("%s: closed for %q", code, reason)
		}
	}
	// No user can be mistaken for the server, or for one without a token.
	for _, subject := range []string{"system", "SYSTEM", endpoint.Anonymous + "x"} {
		c := s.dial("/ws/chat")
		c.say(object{"token": sign(t, auth.Claims{Subject: subject})})
		c.fails("name_invalid")
	}
}

// If a token does not allow general, its bearer is in no room at first, and is told nothing about general.
func TestFirstFrameOtherRooms(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada := s.dial("/ws/chat")
	token := sign(t, auth.Claims{Subject: "ada", Rooms: []string{"random"}})
	ada.say(object{"username": "Ada", "token": token})
	init := ada.next("init")
	ada.quiet()
	ada.say(object{"type": "chat_message", "content": "?"})
	ada.fails("no_room")
	ada.say(object{"type": "join_room", "room_id": "general"})
	ada.fails("forbidden_room")
	// The name is kept nevertheless.
	ada.Reset()
	again := s.dial("/ws/chat")
	again.say(object{"token": token, "resume": object{"session": init["session"]}})
	if o := again.next("init"); o["username"] != "Ada" || o["resumed"] != true {
		t.Errorf("%v", o)
	}
	again.say(object{"type": "join_room", "room_id": "random"})
	again.next("room_joined")
}

// TestVeryManyRooms: with very many rooms no event loop looks at all of them; the list is still complete soon.
func TestVeryManyRooms(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	for i := range 3 * lookAtOnce {
		if _, err := s.Rooms().Create(fmt.Sprintf("room-%04d", i), room.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	bob := s.dial("/ws/room/room-0000")
	bob.say(object{"type": "join"})
	bob.next("room_joined")
	ada, init := s.guest(object{})
	if n := len(init["available_rooms"].([]any)); n != maxListed {
		t.Errorf("%d rooms in the first list", n)
	}
	wstest.Eventually(t, "the one room with a member is listed third", func() bool {
		ada.say(object{"type": "list_rooms"})
		third := ada.next("room_list")["rooms"].([]any)[2].(object)
		return third["room_id"] == "room-0000" && third["user_count"] == 1.0
	})
}
