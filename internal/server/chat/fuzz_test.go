package chat

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// FuzzChat sends any text to a client's connection, each line as a message, beginning with the first one. The server
// answers or closes cleanly, sends only JSON, has no fault of its own, and still serves another client.
func FuzzChat(f *testing.F) {
	for _, seed := range []string{
		`{}` + "\n" + `{"type":"chat_message","content":"x","id":1}` + "\n" + `{"type":"chat_message","content":"x","id":1}`,
		`{"username":"Ada","id":"a"}` + "\n" + `{"type":"typing"}` + "\n" + `{"type":"list_users"}` + "\n" + `{"type":"list_rooms"}`,
		`{"username":"system"}` + "\n" + `{"username":"Bob"}` + "\n" + `{"type":"leave_room"}` + "\n" + `{"type":"typing"}`,
		`{}` + "\n" + `{"type":"join_room","room_id":"tea","password":"p"}` + "\n" + `{"type":"join_room","room_id":"tea"}` + "\n" + `{"type":"leave_room"}` +
			"\n" + `{"type":"join_room","room_id":"tea","password":"q"}`,
		`{"resume":{"session":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx","rooms":{"general":{"epoch":"e","offset":18446744073709551615}}}}`,
		`{}` + "\n" + `{"type":"join_room","room_id":"random","since":{"epoch":"e","offset":0}}` + "\n" + `{"type":"refresh_token","token":"a.b.c"}`,
		`{"token":"a.b.c"}`,
		`{}` + "\n" + `{"type":"chat_message","content":"\ud800\u0000,\"offset\":1}"}` + "\n" + `{"type":"ping","timestamp":1e400}`,
		`{}` + strings.Repeat("\n[", 11),
		`{}` + "\n\xff",
		`{}` + "\n" + `{"type":"chat_message","content":"x","message_type":"image","reply_to":"m"}` + "\n" + `{"type":"pong","id":9223372036854775808}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, lines string) {
		s := start(t, Config{}, room.Config{})
		bob := s.named("Bob")
		c := s.dial("/ws/chat")
		const end = `{"type":"ping","id":"the end"}`
		for line := range strings.SplitSeq(lines, "\n") {
			if c.TrySend(wstest.Text(line)) != nil {
				break // closed
			}
		}
		_ = c.TrySend(wstest.Text(`{}`), wstest.Text(end)) // the first message, if all before were bad
		for !ended(t, c) {
		}
		// Other clients are not harmed either.
		s.named("Eve").Close()
		bob.say(object{"type": "chat_message", "content": "hello", "id": "still here"})
		for {
			_, p := bob.NextMessage()
			if o := parse(t, p); o["type"] == "message_sent" {
				break
			} else if o["type"] == "error" {
				t.Fatalf("%s", p)
			}
		}
	})
}

// ended reads the next message, and reports whether it was the last: the answer to the end, or a close frame.
func ended(t *testing.T, c *client) bool {
	t.Helper()
	f, err := c.Next()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		t.Fatal("no answer")
	case err != nil && !errors.Is(err, io.EOF):
		t.Fatal(err)
	case err != nil:
		t.Fatal("closed without a close frame")
	}
	switch f.Op {
	case frame.OpClose:
		code, reason := f.CloseInfo()
		if !slices.Contains([]frame.CloseCode{frame.CloseInvalidPayload, frame.ClosePolicyViolation, frame.CloseMessageTooBig}, code) {
			t.Fatalf("closed with %d %s", code, reason)
		}
		return true
	case frame.OpText:
		var m struct {
			Type, Code string
			ID         json.RawMessage
		}
		if err := json.Unmarshal(f.Payload, &m); err != nil || m.Type == "" || m.Code == "internal" {
			t.Fatalf("%s: %v", f.Payload, err)
		}
		return string(m.ID) == `"the end"`
	}
	return false
}
