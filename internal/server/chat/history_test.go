package chat

import (
	"strings"
	"testing"

	"github.com/perchws/perch/room"
)

// page asks for a page of the history, and returns its offsets.
func (c *client) page(message object) (offsets []int, more bool, answer object) {
	c.t.Helper()
	message["type"] = "history"
	c.say(message)
	answer = c.next("history")
	for _, m := range answer["messages"].([]any) {
		m := m.(object)
		has(c.t, m, "id", "message_type", "content", "sender_id", "sender_name", "room_id", "timestamp", "offset")
		offsets = append(offsets, int(m["offset"].(float64)))
	}
	return offsets, answer["more"].(bool), answer
}

// A room is read to its beginning and to its end, page by page, without gaps or duplicates.
func TestHistoryPages(t *testing.T) {
	s := start(t, Config{}, room.Config{MaxHistory: 230})
	ada := s.named("Ada")
	const last = 250
	s.publish(s.Rooms().Room("general"), last, "x")
	for range last {
		ada.next("message")
	}
	for _, limit := range []int{100, 7} {
		var all []int
		before, more := last+1, true
		for more {
			var part []int
			part, more, _ = ada.page(object{"before": before, "limit": limit})
			if len(part) > limit || len(part) == 0 {
				t.Fatalf("%d messages of %d before %d", len(part), limit, before)
			}
			all = append(part, all...)
			before = part[0]
		}
		consecutive(t, all, 21, last)
		all, more = nil, true
		after := 0
		for more {
			var part []int
			part, more, _ = ada.page(object{"after": after, "limit": limit})
			all = append(all, part...)
			after = part[len(part)-1]
		}
		consecutive(t, all, 21, last)
	}
	latest, more, o := ada.page(object{"id": "h", "room_id": "General Chat"})
	consecutive(t, latest, last-49, last)
	has(t, o, "type", "id", "room_id", "epoch", "messages", "more")
	if !more || o["id"] != "h" || o["room_id"] != "general" || o["epoch"] != s.Rooms().Room("general").Position().Epoch {
		t.Errorf("more %v, %v", more, o)
	}
	if part, more, _ := ada.page(object{"after": last}); len(part) != 0 || more {
		t.Errorf("after the last: %v, more %v", part, more)
	}
}

func consecutive(t *testing.T, got []int, first, last int) {
	t.Helper()
	if len(got) != last-first+1 {
		t.Fatalf("%d offsets, want %d to %d", len(got), first, last)
	}
	for i, o := range got {
		if o != first+i {
			t.Fatalf("offset %d at %d, want %d", o, i, first+i)
		}
	}
}

// Invalid requests: too many messages, both directions at once, or a room in which the client is not.
func TestHistoryErrors(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	if _, err := s.Rooms().Create("den", room.Options{Private: true}); err != nil {
		t.Fatal(err)
	}
	var ada *client
	for _, tt := range []struct{ message, code, field string }{
		{`"limit":0`, "invalid_value", "limit"},
		{`"limit":101`, "invalid_value", "limit"},
		{`"limit":18446744073709551615`, "invalid_value", "limit"},
		{`"limit":-1`, "wrong_type", "limit"},
		{`"limit":"9"`, "wrong_type", "limit"},
		{`"before":1.5`, "wrong_type", "before"},
		{`"before":18446744073709551616`, "wrong_type", "before"},
		{`"after":"1"`, "wrong_type", "after"},
		{`"before":5,"after":1`, "invalid_value", "after"},
		{`"room_id":"random"`, "no_room", "room_id"},
		{`"room_id":"den"`, "no_room", "room_id"},
		{`"room_id":"nowhere"`, "no_room", "room_id"},
	} {
		ada = s.named("Ada") // a client may make 10 errors
		ada.raw(`{"type":"history","id":1,` + tt.message + `}`)
		if o := ada.fails(tt.code); o["field"] != tt.field || o["id"] != 1.0 {
			t.Errorf("%s: %v", tt.message, o)
		}
	}
	ada.raw(`{"type":"history","before":null,"after":0,"limit":100}`)
	ada.next("history")
	ada.say(object{"type": "leave_room"})
	ada.next("room_left")
	ada.say(object{"type": "history"})
	ada.fails("no_room")
}

// A page has at most 128 KiB, even if more is asked for.
func TestHistoryBytes(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada := s.named("Ada")
	s.publish(s.Rooms().Room("general"), 20, strings.Repeat("x", MaxContent))
	for range 20 {
		ada.next("message")
	}
	if part, more, _ := ada.page(object{"limit": 100}); len(part) != 7 || !more {
		t.Errorf("%v, more %v", part, more)
	}
}
