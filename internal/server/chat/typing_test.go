package chat

import (
	"testing"
	"time"

	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// The others are told that a member types, without an answer to it; the same again within a second is not told again.
func TestTyping(t *testing.T) {
	clock := newClock()
	s := start(t, Config{Clock: clock}, room.Config{})
	token := sign(t, auth.Claims{Subject: "ada"})
	ada, _ := s.guest(object{"username": "Ada", "token": token})
	own, _ := s.guest(object{"token": token})
	bob := s.named("Bob", ada, own)
	hear := func(c *client, is bool) {
		t.Helper()
		o := c.next("user_typing")
		has(t, o, "type", "room_id", "user_id", "username", "is_typing", "timestamp")
		if o["is_typing"] != is || o["user_id"] != "ada" || o["username"] != "Ada" || o["room_id"] != "general" {
			t.Errorf("%v, want is_typing %v", o, is)
		}
	}
	for _, step := range []struct {
		wait    time.Duration
		message object
		heard   bool
		is      bool
	}{
		{0, object{"is_typing": false}, true, false},
		{0, object{}, true, true}, // the default
		{0, object{"is_typing": true}, false, false},
		{time.Second - time.Millisecond, object{}, false, false},
		{time.Millisecond, object{}, true, true},
		{0, object{"is_typing": false}, true, false},
		{500 * time.Millisecond, object{"is_typing": false}, false, false},
		{0, object{}, true, true},
	} {
		clock.forward(step.wait)
		step.message["type"] = "typing"
		step.message["user_id"] = "system" // this is ignored
		ada.say(step.message)
		ada.quiet()
		if step.heard {
			hear(bob, step.is)
			hear(own, step.is)
		}
		bob.quiet()
	}
	ada.say(object{"type": "typing", "is_typing": "yes", "id": 1})
	if o := ada.fails("wrong_type"); o["field"] != "is_typing" || o["id"] != 1.0 {
		t.Errorf("%v", o)
	}
}

// In a very busy room members are not told that somebody types, only that somebody has stopped.
func TestTypingLeftOut(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada := s.named("Ada")
	bob := s.named("Bob", ada)
	var frames []wstest.Frame
	for range typingQueue + 1 { // all under way at once: they came in one read
		frames = append(frames, wstest.Text(`{"type":"chat_message","content":"x"}`))
	}
	frames = append(frames, wstest.Text(`{"type":"typing"}`), wstest.Text(`{"type":"typing","is_typing":false}`))
	ada.Send(frames...)
	for range typingQueue + 1 {
		bob.hears("x")
	}
	if o := bob.next("user_typing"); o["is_typing"] != false {
		t.Errorf("%v", o)
	}
	bob.quiet()
}
