package chat

import (
	"testing"

	"github.com/perchws/perch/room"
)

// The owner of a room, whom room_joined names, can delete it in the chat too; other users cannot.
func TestDeleteInChat(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada, init := s.guest(object{"username": "Ada"})
	bob := s.named("Bob", ada)
	bob.say(object{"type": "delete_room", "id": 1})
	bob.fails("not_owner")
	if o := ada.goes(object{"room_id": "tea"}); o["owner"] != init["user_id"] || o["created"] != true {
		t.Errorf("%v", o)
	}
	bob.next("system_message")
	if o := bob.goes(object{"room_id": "tea"}); o["owner"] != init["user_id"] || o["created"] != nil {
		t.Errorf("%v", o)
	}
	ada.next("system_message")
	bob.say(object{"type": "delete_room"})
	bob.fails("not_owner")
	ada.say(object{"type": "delete_room", "room_id": "general"})
	ada.fails("no_room")
	ada.say(object{"type": "delete_room", "room_id": "tea", "id": 2})
	o := ada.next("room_deleted")
	has(t, o, "type", "id", "room_id", "timestamp")
	ada.next("room_closed")
	if o := bob.next("room_closed"); o["room_id"] != "tea" || o["reason"] != "deleted by its owner" {
		t.Errorf("%v", o)
	}
	ada.say(object{"type": "chat_message", "content": "x"})
	ada.fails("no_room")
	if s.Rooms().Room("tea") != nil {
		t.Error("the room is still there")
	}
}

// With create: false a client does not make a room by a typing error; it still joins a room that exists.
func TestJoinOnly(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada := s.named("Ada")
	ada.say(object{"type": "join_room", "room_id": "tea", "create": false, "id": 1})
	if o := ada.fails("room_not_found"); o["id"] != 1.0 || s.Rooms().Room("tea") != nil {
		t.Errorf("%v", o)
	}
	ada.say(object{"type": "join_room", "room_id": "tea", "password": "x", "create": false})
	ada.fails("room_not_found")
	ada.say(object{"type": "join_room", "room_id": "tea", "create": "no"})
	if o := ada.fails("wrong_type"); o["field"] != "create" {
		t.Errorf("%v", o)
	}
	ada.say(object{"type": "join_room", "room_id": "rand0m", "create": false})
	if o := ada.fails("room_not_found"); o["room_id"] != "random" { // the room that was perhaps meant
		t.Errorf("%v", o)
	}
	ada.goes(object{"room_id": "Random talk", "create": false})
	ada.goes(object{"room_id": "tea", "create": true})
}
