package chat

import (
	"fmt"
	"testing"
	"time"

	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// again sends a message with an id, and returns message_sent.
func (c *client) again(id any, content string) object {
	c.t.Helper()
	c.say(object{"type": "chat_message", "content": content, "id": id})
	o := c.next("message_sent")
	if fmt.Sprint(o["id"]) != fmt.Sprint(id) {
		c.t.Errorf("%v, want the id %v", o, id)
	}
	return o
}

// same checks that an acknowledgement is that of an earlier message.
func same(t *testing.T, got, want object) {
	t.Helper()
	if got["message_id"] != want["message_id"] || got["offset"] != want["offset"] || got["timestamp"] != want["timestamp"] {
		t.Errorf("%v, first it was %v", got, want)
	}
}

// The same user, room and id again: acknowledged as the first time, and not posted twice. Anything else is another message.
func TestSameID(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada, init := s.guest(object{"username": "Ada"})
	bob := s.named("Bob", ada)
	first := ada.again("m-1", "one")
	bob.hears("one")
	same(t, ada.again("m-1", "one"), first)
	same(t, ada.again("m-1", "changed"), first)

	ada.again("m-2", "another id")
	bob.hears("another id")
	ada.again(1, "a number")
	bob.hears("a number")
	ada.again("1", "its digits")
	bob.hears("its digits")
	bob.again("m-1", "another user")
	ada.hears("another user")
	for range 2 { // without an id each is a message of its own
		ada.posts("x")
		bob.hears("x")
	}
	ada.goes(object{"room_id": "random"})
	bob.next("system_message")
	if o := ada.again("m-1", "another room"); o["offset"] != 1.0 || o["message_id"] == first["message_id"] {
		t.Errorf("%v", o)
	}
	ada.goes(object{"room_id": "general"})
	bob.next("system_message")
	same(t, ada.again("m-1", "one"), first)

	// Nobody knows whether it was posted: the same over another connection.
	ada.Reset()
	bob.next("system_message")
	bob.next("user_status")
	ada, _ = s.guest(object{"resume": object{"session": init["session"]}}, bob)
	same(t, ada.again("m-1", "one"), first)
	bob.quiet()
}

// A user's connections share ids.
func TestSameIDOtherConnection(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	token := sign(t, auth.Claims{Subject: "ada"})
	one, _ := s.guest(object{"token": token})
	two := s.dial("/ws/room/general")
	two.say(object{"type": "join", "token": token})
	two.next("room_joined")
	first := one.again("m-1", "one")
	two.next("chat_message")
	two.say(object{"type": "chat_message", "message": "one", "id": "m-1"})
	same(t, two.next("message_sent"), first)
	one.quiet()
}

// After two minutes an id is forgotten.
func TestSameIDForgotten(t *testing.T) {
	clock := newClock()
	s := start(t, Config{Now: clock.now}, room.Config{})
	ada := s.named("Ada")
	first := ada.again("m-1", "one")
	clock.forward(2*time.Minute - time.Millisecond)
	same(t, ada.again("m-1", "one"), first)
	clock.forward(time.Millisecond)
	second := ada.again("m-1", "one")
	if second["offset"] != 2.0 || second["message_id"] == first["message_id"] {
		t.Errorf("%v, first it was %v", second, first)
	}
	clock.forward(sendsTTL - time.Millisecond)
	same(t, ada.again("m-1", "one"), second)
}

// What was refused was not sent: with the same id it can be.
func TestSameIDAfterError(t *testing.T) {
	s := start(t, Config{}, room.Config{MaxQueue: 2})
	ada := s.named("Ada")
	ada.say(object{"type": "chat_message", "content": "", "id": "m-1"})
	ada.fails("invalid_value")
	ada.again("m-1", "one")

	// Three at once, of which the queue takes two.
	var frames []wstest.Frame
	for i := range 3 {
		frames = append(frames, wstest.Text(fmt.Sprintf(`{"type":"chat_message","content":"x","id":"q-%d"}`, i)))
	}
	ada.Send(frames...)
	ids := make(map[any]float64) // their offsets
	for range 3 {
		_, p := ada.NextMessage()
		switch o := parse(t, p); {
		case o["type"] == "message_sent":
			ids[o["id"]] = o["offset"].(float64)
		case o["code"] != "queue_full" || o["id"] != "q-2":
			t.Errorf("%s", p)
		}
	}
	if len(ids) != 2 || ids["q-0"] != 2 || ids["q-1"] != 3 {
		t.Errorf("%v", ids)
	}
	if o := ada.again("q-2", "x"); o["offset"] != 4.0 {
		t.Errorf("%v", o)
	}
}

// What is remembered is bounded: the oldest go first, and not for one that is known. Nor is anything kept of what is over.
func TestSendsBound(t *testing.T) {
	clock := newClock()
	s := newSends(clock.now)
	s.most = 3
	for k := range s.most + 1 {
		if _, known := s.begin(sendKey{byte(k)}); known {
			t.Fatalf("%d is known", k)
		}
		s.done(sendKey{byte(k)}, sent{id: "m"})
	}
	if was, known := s.begin(sendKey{1}); !known || was.id != "m" || len(s.known) != s.most {
		t.Errorf("the second of %d: %+v", len(s.known), was)
	}
	if _, known := s.begin(sendKey{0}); known || len(s.known) != s.most || len(s.queue) != s.most {
		t.Errorf("the first: %v; %d are known, %d in the queue", known, len(s.known), len(s.queue))
	}
	clock.forward(sendsTTL)
	if _, known := s.begin(sendKey{9}); known || len(s.known) != 1 || len(s.queue) != 1 {
		t.Errorf("%d are known, %d in the queue", len(s.known), len(s.queue))
	}
}

// One that is forgotten, as nothing came of it, and is begun anew is not lost with the first.
func TestSendsBegunAnew(t *testing.T) {
	clock := newClock()
	s := newSends(clock.now)
	k := keyOf("ada", "general", []byte(`"1"`))
	s.begin(k)
	if was, known := s.begin(k); !known || was.id != "" {
		t.Errorf("under way: %+v, %v", was, known)
	}
	s.forget(k)
	clock.forward(time.Minute)
	s.begin(k)
	s.done(k, sent{id: "m"})
	clock.forward(sendsTTL - time.Minute)
	if was, known := s.begin(k); !known || was.id != "m" {
		t.Errorf("a minute later: %+v, %v", was, known)
	}
	clock.forward(time.Minute)
	if _, known := s.begin(k); known {
		t.Error("known after two minutes")
	}
	// What is one field's end is not another's beginning.
	if keyOf("a", "bc", []byte("1")) == keyOf("ab", "c", []byte("1")) {
		t.Error("two users in two rooms have one key")
	}
}
