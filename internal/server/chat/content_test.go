package chat

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// The fields of a message, and how its readers get them: with the same text, and the sender that the server knows.
func TestContent(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada, adaInit := s.guest(object{"username": "Ada"})
	bob := s.named("Bob", ada)
	for _, content := range []string{
		"x", " .\u200b", "<script>alert(1)</script>", `"\/` + "\b\f\n\r\t", "\x00x\x1f\u2028", "𝄞é", `,"offset":7}`, `{"type":"message"}`,
		strings.Repeat("x", MaxContent), strings.Repeat("𝄞", MaxContent/4),
	} {
		sent := ada.posts(content)
		has(t, sent, "type", "message_id", "offset", "timestamp")
		m := bob.hears(content)
		has(t, m, "id", "message_type", "content", "sender_id", "sender_name", "room_id", "timestamp")
		if m["id"] != sent["message_id"] || m["timestamp"] != sent["timestamp"] || m["message_type"] != "text" ||
			m["sender_id"] != adaInit["user_id"] || m["sender_name"] != "Ada" || m["room_id"] != "general" {
			t.Errorf("%v, sent was %v", m, sent)
		}
		stamp(t, m["timestamp"])
	}
	// A client that comes later gets the same.
	eve := s.dial("/ws/chat")
	eve.say(object{})
	eve.next("init")
	recent := eve.next("room_joined")["recent_messages"].([]any)
	if len(recent) != 10 {
		t.Fatalf("%d recent messages", len(recent))
	}
	for i, m := range recent {
		has(t, m.(object), "id", "message_type", "content", "sender_id", "sender_name", "room_id", "timestamp", "offset")
		if m.(object)["offset"] != float64(i+1) {
			t.Errorf("%v at %d", m, i)
		}
	}
	if recent[6].(object)["content"] != `,"offset":7}` {
		t.Errorf("%v", recent[6])
	}
}

// A client that joins gets the latest 50.
func TestRecent(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada := s.named("Ada")
	for range recent + 1 {
		ada.posts("x")
	}
	bob := s.dial("/ws/chat")
	bob.say(object{})
	bob.next("init")
	o := bob.next("room_joined")
	list := o["recent_messages"].([]any)
	if len(list) != recent || list[0].(object)["offset"] != 2.0 || list[recent-1].(object)["offset"] != 51.0 || o["offset"] != 51.0 {
		t.Errorf("%d messages, the room is at %v", len(list), o["offset"])
	}
}

// The type of the content, and the message to which it replies.
func TestContentTypeAndReply(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada := s.named("Ada")
	bob := s.named("Bob", ada)
	for _, kind := range []string{"text", "image", "file"} {
		ada.say(object{"type": "chat_message", "content": kind, "message_type": kind, "reply_to": "m-1"})
		ada.next("message_sent")
		if m := bob.hears(kind); m["message_type"] != kind || m["reply_to"] != "m-1" {
			t.Errorf("%v", m)
		}
	}
	longest := strings.Repeat("r", maxReply)
	ada.say(object{"type": "chat_message", "content": "x", "reply_to": longest})
	ada.next("message_sent")
	if m := bob.hears("x"); m["reply_to"] != longest {
		t.Errorf("%v", m)
	}
}

// Fields that only the server sets, and unknown ones, are ignored.
func TestContentNotForged(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada, init := s.guest(object{"username": "Ada"})
	bob := s.named("Bob", ada)
	ada.raw(`{"type":"chat_message","content":"hi","sender":"system","sender_id":"system","sender_name":"System","user_id":"system",
		"username":"System","timestamp":"1970-01-01T00:00:00.000Z","message_id":"x","offset":99,"event":"welcome",
		"message":{"sender_name":"System"},"constructor":{},"unknown":[1,{"a":null}]}`)
	sent := ada.next("message_sent")
	m := bob.hears("hi")
	has(t, m, "id", "message_type", "content", "sender_id", "sender_name", "room_id", "timestamp")
	if m["sender_name"] != "Ada" || m["sender_id"] != init["user_id"] || m["room_id"] != "general" || m["id"] == "x" ||
		sent["offset"] != 1.0 || stamp(t, m["timestamp"]).Year() < 2000 {
		t.Errorf("%v, %v", m, sent)
	}
}

// All members see one order: that of the offsets, without a gap. Acknowledgements have their place in it.
func TestOrderOfTwoSenders(t *testing.T) {
	const each = 150
	s := start(t, Config{}, room.Config{})
	reader := s.named("Reader")
	senders := []*client{s.named("Ada", reader)}
	senders = append(senders, s.named("Bob", reader, senders[0]))
	var frames []wstest.Frame
	for range each {
		frames = append(frames, wstest.Text(`{"type":"chat_message","content":"x"}`))
	}
	for i := 0; i < each; i += 10 {
		for _, c := range senders {
			c.Send(frames[i : i+10]...)
		}
	}
	type line struct {
		offset float64
		id     any
	}
	var at []line
	for i := range 2 * each {
		o := reader.next("message")
		at = append(at, line{o["offset"].(float64), o["message"].(object)["id"]})
		if at[i].offset != float64(i+1) {
			t.Fatalf("offset %v, want %d", at[i].offset, i+1)
		}
	}
	for _, c := range senders {
		var got []line
		own := 0
		for range 2 * each { // for each message of the other, and each acknowledgement
			_, p := c.NextMessage()
			o := parse(t, p)
			switch o["type"] {
			case "message":
				got = append(got, line{o["offset"].(float64), o["message"].(object)["id"]})
			case "message_sent":
				own++
				got = append(got, line{o["offset"].(float64), o["message_id"]})
			default:
				t.Fatalf("%s", p)
			}
		}
		slices.SortFunc(got, func(a, b line) int { return int(a.offset - b.offset) })
		if own != each || !slices.Equal(got, at) {
			t.Errorf("%d of its own; another order than the reader's", own)
		}
	}
}

// A sender's other connections get its messages once, like other members; the sending connection does not.
func TestOwnConnections(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	token := sign(t, auth.Claims{Subject: "ada"})
	one, _ := s.guest(object{"token": token})
	two, _ := s.guest(object{"token": token})
	one.posts("from one")
	two.hears("from one")
	two.posts("from two")
	one.hears("from two")
	one.quiet()
	two.quiet()
}

func parse(t *testing.T, p []byte) object {
	t.Helper()
	var o object
	if err := json.Unmarshal(p, &o); err != nil {
		t.Fatalf("%s: %v", p, err)
	}
	return o
}
