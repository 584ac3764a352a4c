package chat

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// wild makes messages whose fields have wrong values, and sometimes right ones.
type wild struct {
	*rand.Rand
	fields []string
	values []any
}

func newWild(t *testing.T, seed uint64) *wild {
	t.Logf("seed %d", seed)
	return &wild{rand.New(rand.NewPCG(seed, 0)), []string{
		"id", "username", "token", "resume", "content", "message", "message_type", "reply_to", "room_id", "password", "since", "create",
		"is_typing", "timestamp", "name", "private", "max_members", "epoch", "offset", "session", "rooms", "Type", "", "unknown",
	}, []any{
		nil, true, false, 0, -1, 1.5, 1e300, "", " ", "x", "system", "general", "random", "tea", "text", "image", "\x00", "\u202e", "😀",
		strings.Repeat("y", 65), strings.Repeat("z", 300), strings.Repeat("w", MaxContent+1), "Ada", []any{}, []any{"x", 1}, object{},
		sign(t, auth.Claims{Subject: "ada", Rooms: []string{"general", "tea"}}), sign(t, auth.Claims{Subject: "eve"}),
	}}
}

func (w *wild) value(depth int) any {
	if depth > 0 && w.IntN(4) == 0 {
		return w.object(depth - 1)
	}
	return w.values[w.IntN(len(w.values))]
}

func (w *wild) object(depth int) object {
	o := make(object)
	for range w.IntN(5) {
		o[w.fields[w.IntN(len(w.fields))]] = w.value(depth)
	}
	return o
}

// message makes a message that could be right, except that fields have other values, or are unknown.
func (w *wild) message() string {
	o := object{}
	if w.IntN(20) > 0 {
		o = []object{
			{"type": "chat_message", "content": "x", "message": "x", "id": w.IntN(3)},
			{"type": "chat_message", "content": "x", "message": "x"},
			{"type": "join_room", "room_id": []string{"general", "random", "tea", "coffee"}[w.IntN(4)]},
			{"type": "leave_room"}, {"type": "list_users"}, {"type": "list_rooms"}, {"type": "typing"}, {"type": "ping"}, {"type": "pong"},
			{"type": "refresh_token"}, {"type": "join", "create": object{}}, {"type": "room_info"}, {"type": "list"}, {"type": "leave"},
			{"type": "delete"}, {"type": "init"}, {"type": "x"},
		}[w.IntN(17)]
	}
	if w.IntN(3) == 0 {
		maps.Copy(o, w.object(3))
	}
	p, err := json.Marshal(o)
	if err != nil {
		panic(err) // cannot happen: all values can be encoded
	}
	return string(p)
}

// Ten thousand messages, many of them wrong, at both endpoints: each connection is served until it has made too many
// errors, and a client that is there all the time misses nothing.
func TestWild(t *testing.T) {
	const messages, each = 10_000, 80
	s := start(t, Config{}, room.Config{})
	w := newWild(t, rand.Uint64())
	bob := s.named("Bob")
	var offset float64
	for i := range messages / each {
		c := s.dial([]string{"/ws/chat", "/ws/room/general", "/ws/room/tea"}[i%3])
		if i%2 == 0 { // else the first message is as wild as others
			c.say(object{"username": "Ada", "type": []any{nil, "join"}[min(i%3, 1)], "create": object{}})
		}
		for range each {
			if c.TrySend(wstest.Text(w.message())) != nil {
				break // closed
			}
		}
		_ = c.TrySend(wstest.Text(`{"type":"join"}`), wstest.Text(`{}`), wstest.Text(`{"type":"ping","id":"the end"}`))
		for !ended(t, c) {
		}
		c.Close()

		end := fmt.Sprint("bob ", i)
		bob.say(object{"type": "chat_message", "content": "x", "id": end})
		for own := false; !own; {
			_, p := bob.NextMessage()
			o := parse(t, p)
			own = o["id"] == end
			switch at, _ := o["offset"].(float64); {
			case o["type"] == "error":
				t.Fatalf("%s", p)
			case at != 0 && at != offset+1:
				t.Fatalf("offset %v after %v: %s", at, offset, p)
			case at != 0:
				offset = at
			}
		}
	}
	if offset < messages/each+20 {
		t.Errorf("%v in all were posted", offset)
	}
}
