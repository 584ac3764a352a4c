package session_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/perchws/perch/session"
)

func TestSessionJSON(t *testing.T) {
	s := session.Session{
		ID:            session.Key{0: 1, 23: 2},
		ConnectionID:  "c1",
		UserID:        "ada <ü>",
		CreatedAt:     time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC),
		LastAccessed:  time.Date(2025, 6, 1, 14, 0, 0, 120_000_000, time.FixedZone("", 7200)),
		Data:          `{"a":[1,null]}`,
		Active:        true,
		Authenticated: true,
		State:         "the server's",
	}
	// The names and their order are the protocol's; State and Authenticated are not for clients.
	const want = `{"session_id":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAC","connection_id":"c1","user_id":"ada \u003cü\u003e",` +
		`"created_at":"2025-06-01T12:00:00.000Z","last_accessed":"2025-06-01T12:00:00.120Z",` +
		`"data":{"a":[1,null]},"active":true}`
	b, err := json.Marshal(s)
	if err != nil || string(b) != want {
		t.Fatalf("JSON\n%s, %v, want\n%s", b, err, want)
	}
	back := session.Session{Authenticated: true, State: "the server's"}
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	s.LastAccessed = s.LastAccessed.UTC()
	if back != s {
		t.Errorf("read back %+v, want %+v", back, s)
	}
	empty, err := json.Marshal(session.Session{})
	if err != nil || !json.Valid(empty) {
		t.Errorf("of the zero Session: %s, %v", empty, err)
	}
}

func TestSessionJSONRefuses(t *testing.T) {
	const good = `{"session_id":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAC","created_at":"2025-06-01T12:00:00Z",` +
		`"last_accessed":"2025-06-01T12:00:00Z","data":{},"new":1}`
	var s session.Session
	if err := json.Unmarshal([]byte(good), &s); err != nil {
		t.Fatalf("%s: %v", good, err)
	}
	for _, bad := range []string{
		`{}`,
		`{"session_id":"short","created_at":"2025-06-01T12:00:00Z","last_accessed":"2025-06-01T12:00:00Z"}`,
		`{"created_at":"yesterday","last_accessed":"2025-06-01T12:00:00Z"}`,
		`{"created_at":"2025-06-01T12:00:00Z","last_accessed":1}`,
		`{"created_at":"2025-06-01T12:00:00Z","last_accessed":"2025-06-01T12:00:00Z","data":[]}`,
	} {
		kept := s
		if err := json.Unmarshal([]byte(bad), &s); err == nil || s != kept {
			t.Errorf("%s: %v, want an error and nothing changed", bad, err)
		}
	}
}
