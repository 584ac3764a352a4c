package main

import (
	"strings"
	"testing"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

// TestKeysReachTheirParts: a key of every part of perchd, and what it does.
func TestKeysReachTheirParts(t *testing.T) {
	p := serving(t, "--max-message-size", "1KiB", "--first-frame-timeout", "50ms", "--max-errors", "2", "--locale", "zh",
		"--rooms", "lobby", "--create-rooms=false", "--room-history", "1", "--session-memory", "1")
	big := wstest.Dial(t, p.addr, "/ws")
	big.Send(wstest.Text(strings.Repeat("x", 1025)))
	closedWith(t, big, frame.CloseMessageTooBig)

	closedWith(t, wstest.Dial(t, p.addr, "/ws/chat"), 4408)

	wrong := wstest.Dial(t, p.addr, "/ws/monitored?client_id=1")
	wrong.Send(wstest.Text("1"), wstest.Text("2"), wstest.Text("3"))
	closedWith(t, wrong, frame.ClosePolicyViolation)

	for id, want := range map[string]string{"lobby": `"room_joined"`, "general": `"room_joined"`, "elsewhere": `"room_not_found"`} {
		c := wstest.Dial(t, p.addr, "/ws/room/"+id)
		c.Send(wstest.Text(`{"type":"join"}`))
		if _, got := c.NextMessage(); !strings.Contains(string(got), want) {
			t.Errorf("room %s: %s, want %s", id, got, want)
		}
	}

	full := wstest.Dial(t, p.addr, "/ws/with-session") // the store has a byte
	if _, got := full.NextMessage(); !strings.Contains(string(got), `"error"`) {
		t.Errorf("session in a store of a byte: %s", got)
	}
}

func TestLocale(t *testing.T) {
	for locale, want := range map[string]string{"en": "Welcome", "zh": "欢迎"} {
		p := serving(t, "--locale", locale)
		c := wstest.Dial(t, p.addr, "/ws/chat")
		c.Send(wstest.Text(`{}`))
		for {
			if _, got := c.NextMessage(); strings.Contains(string(got), `"system_message"`) {
				if !strings.Contains(string(got), want) {
					t.Errorf("%s: %s, want %s", locale, got, want)
				}
				break
			}
		}
	}
}

func TestRoomsThatCannotBe(t *testing.T) {
	for _, id := range []string{"general", "twice"} {
		if said := refuses(t, 2, "--listen", "127.0.0.1:0", "--rooms", "twice", "--rooms", id); !strings.Contains(said, "rooms (--rooms)") || !strings.Contains(said, id) {
			t.Errorf("said %q, want the key and %s named", said, id)
		}
	}
}

// TestMetrics: figures of every part move.
func TestMetrics(t *testing.T) {
	p := serving(t)
	c := wstest.Dial(t, p.addr, "/ws/chat")
	c.Send(wstest.Text(`{}`), wstest.Text(`{"type":"nonsense"}`), wstest.Text(`{"type":"ping"}`))
	for {
		if _, got := c.NextMessage(); strings.Contains(string(got), `"pong"`) {
			break
		}
	}
	_, page := p.get("", "/metrics")
	for _, want := range []string{
		"\nperch_sessions 1\n", "\nperch_rooms 2\n", "\nperch_users 1\n",
		`perch_endpoint_messages_total{endpoint="/ws/chat",type="ping"} 1` + "\n",
		`perch_endpoint_errors_total{endpoint="/ws/chat",kind="unknown_type"} 1` + "\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in the metrics", want)
		}
	}
	if t.Failed() {
		t.Log(page)
	}
}
