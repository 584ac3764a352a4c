package chat

import (
	"fmt"
	"strings"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// A message that cannot be handled gets an error that describes the fault and has the message's id. It has no other
// effect.
func TestErrors(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	deep := func(levels int) string {
		return `{"type":"ping","x":` + strings.Repeat("[", levels-1) + strings.Repeat("]", levels-1) + `}`
	}
	members := func(n int) string {
		var b strings.Builder
		for i := range n - 1 {
			fmt.Fprintf(&b, `,"m%d":0`, i)
		}
		return `{"type":"ping"` + b.String() + `}`
	}
	content := func(text string) string { return `{"type":"chat_message","content":"` + text + `"}` }
	for _, tc := range []struct{ message, code, field string }{
		{``, "invalid_json", ""},
		{`hello`, "invalid_json", ""},
		{`{"type":"ping"`, "invalid_json", ""},
		{`{"type":"ping",}`, "invalid_json", ""},
		{`{"type":"ping"}{}`, "invalid_json", ""},
		{`{'type':'ping'}`, "invalid_json", ""},
		{`{"type":"ping","x":NaN}`, "invalid_json", ""},
		{"{\"type\":\"pi\nng\"}", "invalid_json", ""},
		{`null`, "not_an_object", ""},
		{`"ping"`, "not_an_object", ""},
		{`[{"type":"ping"}]`, "not_an_object", ""},
		{deep(protocol.MaxDepth + 1), "too_deep", ""},
		{members(protocol.MaxMembers + 1), "too_many_members", ""},
		{`{}`, "missing_field", "type"},
		{`{"type":null}`, "missing_field", "type"},
		{`{"Type":"ping"}`, "missing_field", "type"},
		{`{"type":1}`, "wrong_type", "type"},
		{`{"type":"` + strings.Repeat("t", protocol.MaxType+1) + `"}`, "too_long", "type"},
		{`{"type":"ping","id":[1]}`, "wrong_type", "id"},
		{`{"type":"ping","id":[1]}`, "wrong_type", "id"},
		{`{"type":"ping","id":"` + strings.Repeat("i", protocol.MaxScalar+1) + `"}`, "too_long", "id"},
		{`{"type":"ping","timestamp":{}}`, "wrong_type", "timestamp"},
		{`{"type":"ping","timestamp":"` + strings.Repeat("9", protocol.MaxScalar+1) + `"}`, "too_long", "timestamp"},
		{`{"type":""}`, "unknown_type", ""},
		{`{"type":"PING"}`, "unknown_type", ""},
		{`{"type":"shout","id":"a"}`, "unknown_type", ""},
		{`{"type":"init"}`, "unknown_type", ""},
		{`{"type":"system_message"}`, "unknown_type", ""},
		{`{"type":"delete"}`, "unknown_type", ""}, // a type of /ws/room
		{`{"type":"chat_message","id":"a"}`, "missing_field", "content"},
		{`{"type":"chat_message","content":null}`, "missing_field", "content"},
		{`{"type":"chat_message","message":"x"}`, "missing_field", "content"},
		{`{"type":"chat_message","content":7}`, "wrong_type", "content"},
		{`{"type":"chat_message","content":{"text":"x"}}`, "wrong_type", "content"},
		{content(""), "invalid_value", "content"},
		{content(" \\t\\n\u3000"), "invalid_value", "content"},
		{content("\u200b\u200d\ufeff"), "invalid_value", "content"},
		{content("\u3164"), "invalid_value", "content"},
		{content("\u2800 \u2800"), "invalid_value", "content"},
		{content(strings.Repeat("x", MaxContent+1)), "too_long", "content"},
		{content(strings.Repeat("𝄞", MaxContent/4) + "x"), "too_long", "content"},
		{`{"type":"chat_message","content":"x","message_type":"system"}`, "invalid_value", "message_type"},
		{`{"type":"chat_message","content":"x","message_type":"Text"}`, "invalid_value", "message_type"},
		{`{"type":"chat_message","content":"x","message_type":1}`, "wrong_type", "message_type"},
		{`{"type":"chat_message","content":"x","message_type":"` + strings.Repeat("t", maxReply+1) + `"}`, "too_long", "message_type"},
		{`{"type":"chat_message","content":"x","reply_to":1}`, "wrong_type", "reply_to"},
		{`{"type":"chat_message","content":"x","reply_to":"` + strings.Repeat("r", maxReply+1) + `"}`, "too_long", "reply_to"},
		{`{"type":"leave_room","room_id":1}`, "wrong_type", "room_id"},
		{`{"type":"leave_room","room_id":"nowhere"}`, "no_room", "room_id"},
		{`{"type":"list_users","room_id":"` + strings.Repeat("r", room.MaxID+1) + `"}`, "too_long", "room_id"},
		{`{"type":"refresh_token"}`, "missing_field", "token"},
		{`{"type":"refresh_token","token":"` + strings.Repeat("t", auth.MaxToken+1) + `"}`, "too_long", "token"},
		{`{"type":"refresh_token","token":"x"}`, "token_malformed", ""},
		{`{"type":"refresh_token","token":"` + sign(t, auth.Claims{Subject: "eve"}) + `"}`, "token_wrong_subject", ""},
	} {
		ada := s.named("Ada")
		ada.raw(tc.message)
		o := ada.fails(tc.code)
		if field, _ := o["field"].(string); field != tc.field {
			t.Errorf("%.60s: field %q, want %q", tc.message, field, tc.field)
		}
		if id, ok := o["id"]; strings.Contains(tc.message, `"id":"a"`) != ok || ok && id != "a" {
			t.Errorf("%.60s: id %v", tc.message, id)
		}
		ada.posts("still there")
		ada.departs(s)
	}
	ada := s.named("Ada")
	ada.Send(wstest.Binary([]byte(`{"type":"ping"}`)))
	ada.fails("not_text")
	// Just inside the limits.
	ada.raw(deep(protocol.MaxDepth))
	ada.next("pong")
	ada.raw(members(protocol.MaxMembers))
	ada.next("pong")
}

// A client may make ten errors in a minute; the eleventh is answered, and ends the connection.
func TestErrorsEnd(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	bob := s.named("Bob")
	ada := s.named("Ada", bob)
	for range 10 {
		ada.raw(`hello`)
		ada.fails("invalid_json")
	}
	ada.posts("still there")
	bob.hears("still there")
	ada.raw(`{"type":"shout"}`)
	ada.fails("unknown_type")
	if reason := ada.AnswerClose(perch.ClosePolicyViolation); reason != "too many errors" {
		t.Errorf("closed for %q", reason)
	}
	bob.next("system_message")
	bob.next("user_status")
	bob.posts("alone")
}

// Our own faults do not count.
func TestErrorsNotTheirs(t *testing.T) {
	s := start(t, Config{}, room.Config{MaxQueue: 1})
	ada := s.named("Ada")
	var frames []wstest.Frame
	for range 20 {
		frames = append(frames, wstest.Text(`{"type":"chat_message","content":"x"}`))
	}
	ada.Send(frames...)
	refused := 0
	for range 20 {
		_, p := ada.NextMessage()
		if o := parse(t, p); o["type"] == "error" {
			if refused++; o["code"] != "queue_full" {
				t.Errorf("%s", p)
			}
		}
	}
	if refused < 11 {
		t.Errorf("%d messages were refused", refused)
	}
	ada.posts("still there")
}

// A ping's timestamp comes back unchanged; a pong has no effect.
func TestPing(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada := s.named("Ada")
	for _, stamp := range []string{`"x"`, `1234.50`, `-1e3`, `"` + strings.Repeat("9", protocol.MaxScalar) + `"`} {
		ada.raw(`{"type":"ping","timestamp":` + stamp + `,"id":-7}`)
		_, p := ada.NextMessage()
		has(t, parse(t, p), "type", "id", "timestamp", "original_timestamp")
		if !strings.Contains(string(p), `"original_timestamp":`+stamp) || !strings.Contains(string(p), `"id":-7`) {
			t.Errorf("%s, for %s", p, stamp)
		}
	}
	ada.raw(`{"type":"pong"}`)
	ada.raw(`{"type":"ping"}`)
	has(t, ada.next("pong"), "type", "timestamp")
}
