package chat

import (
	"testing"

	"github.com/perchws/perch/room"
)

// TestOtherRoom: a message that names a room in which the connection is not is an error. It does not go to the room in
// which the connection is.
func TestOtherRoom(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada := s.named("Ada")
	bob, _ := s.joins("general", object{"username": "Bob"})
	ada.system("joined", 2)
	for _, m := range []object{
		{"type": "chat_message", "content": "x"}, {"type": "typing"}, {"type": "leave_room"}, {"type": "delete_room"},
		{"type": "history"}, {"type": "list_users"},
	} {
		m["room_id"] = "random"
		ada.say(m)
		if o := ada.fails("no_room"); o["field"] != "room_id" {
			t.Errorf("%v: %v", m, o)
		}
	}
	ada.say(object{"type": "chat_message", "content": "x", "room_id": "nowhere"})
	ada.fails("no_room")
	for _, m := range []object{
		{"type": "chat_message", "message": "x"}, {"type": "room_info"}, {"type": "leave"}, {"type": "delete"},
	} {
		m["room_id"] = "random"
		bob.say(m)
		if o := bob.fails("no_room"); o["field"] != "room_id" {
			t.Errorf("%v: %v", m, o)
		}
	}
	bob.quiet()
	if n := s.Rooms().Room(generalID).Position().Offset; n != 0 {
		t.Errorf("%d messages went to a room that they did not name", n)
	}

	// With the id or name of its own room it goes there.
	for i, id := range []string{"general", "General Chat", "GENERAL"} {
		ada.say(object{"type": "chat_message", "content": "x", "room_id": id})
		if o := ada.next("message_sent"); o["offset"] != float64(i+1) {
			t.Error(o)
		}
		bob.next("chat_message")
	}
	ada.say(object{"type": "typing", "room_id": "general"})
	bob.next("user_typing")
	bob.say(object{"type": "leave", "room_id": "general"})
	bob.next("room_left")

	// A connection can only join the room of its path again.
	bob.say(object{"type": "join", "room_id": "random"})
	if o := bob.fails("invalid_value"); o["field"] != "room_id" {
		t.Error(o)
	}
	bob.joins(object{"room_id": "general"})
	c := s.dial("/ws/room/general")
	c.say(object{"type": "join", "room_id": "random"})
	c.isRefused("invalid_value")
}
