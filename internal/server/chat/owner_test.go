package chat

import (
	"testing"

	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/room"
)

// deletes has a client of /ws/room delete the room.
func (c *client) deletes() {
	c.t.Helper()
	c.say(object{"type": "delete"})
	c.next("room_deleted")
	c.next("room_closed")
}

// TestAnonymousOwner: a client without a token that has made a room comes back as its owner by the key that it got.
// Without the key nobody is the owner.
func TestAnonymousOwner(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	create := object{"create": object{}}
	ann, made := s.joins("plans", create)
	key, _ := made["user_key"].(string)
	if len(key) != 32 || made["user_id"] != s.Rooms().Room("plans").Options().Owner {
		t.Fatalf("%v", made)
	}
	ben, joined := s.joins("plans", create)
	if joined["user_key"] != nil || joined["user_id"] == made["user_id"] {
		t.Errorf("%v", joined)
	}
	ann.next("user_joined")
	ben.say(object{"type": "delete"})
	ben.fails("not_owner")
	ann.Reset()
	ben.next("user_left")

	back, again := s.joins("plans", object{"user_key": key})
	if again["user_id"] != made["user_id"] || again["user_key"] != nil {
		t.Errorf("came back as %v, was %v", again, made)
	}
	ben.next("user_joined")
	back.deletes()
	ben.next("room_closed")

	// A later join of the same connection makes a room of the same owner.
	if o := back.joins(create); o["user_key"] != key {
		t.Errorf("%v", o)
	}
	back.deletes()

	// The key of a session of the chat is one too.
	ada, init := s.guest(object{"username": "Ada"})
	ada.goes(object{"room_id": "tea"})
	s.cut(ada)
	c, o := s.joins("tea", object{"user_key": init["session"]})
	if o["user_id"] != init["user_id"] {
		t.Errorf("%v, want the user %v", o, init["user_id"])
	}
	c.deletes()

	for _, m := range []object{
		{"user_key": key[1:]}, {"user_key": "anon-x"}, {"user_key": key, "token": sign(t, auth.Claims{Subject: "ada"})},
	} {
		c := s.dial("/ws/room/general")
		c.say(joinWith(m))
		c.isRefused("invalid_value")
	}
	if _, o := s.joins("own", object{"create": object{}, "token": sign(t, auth.Claims{Subject: "ada"})}); o["user_key"] != nil {
		t.Errorf("a user with a token gets a key: %v", o)
	}
}
