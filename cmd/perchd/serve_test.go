package main

import (
	"strconv"
	"strings"
	"testing"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

// TestKeysReachTheirParts sets one key of every part of perchd, and checks its effect.
func TestKeysReachTheirParts(t *testing.T) {
	p := serving(t, "--max-message-size", "1KiB", "--first-frame-timeout", "50ms", "--max-errors", "2", "--locale", "zh",
		"--rooms", "lobby", "--create-rooms=false", "--room-history", "1")
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
}

// TestSessionMemory: no more than --session-memory is kept of sessions, and one address has a share of it.
func TestSessionMemory(t *testing.T) {
	p := serving(t, "--session-memory", "1MiB")
	data := `{"type":"update_session","data":{"x":"` + strings.Repeat("x", 60<<10) + `"}}`
	for range (1 << 20) / (60 << 10) {
		c := wstest.Dial(t, p.addr, "/ws/with-session")
		c.NextMessage() // session_created
		c.Send(wstest.Text(data))
		if _, got := c.NextMessage(); strings.Contains(string(got), `"busy"`) {
			return
		}
	}
	t.Error("one address has all of it")
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

// TestMetrics: the figures of every part move, and every endpoint has series of its own.
func TestMetrics(t *testing.T) {
	p := serving(t)
	var open []*wstest.Conn
	for _, e := range endpoints {
		c := wstest.Dial(t, p.addr, e.target)
		c.Send(wstest.Text(e.first))
		welcome(t, c)
		open = append(open, c)
	}
	_, page := p.get("", "/metrics")
	values := make(map[string]string)
	for line := range strings.Lines(page) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		if !strings.Contains(line, "} ") {
			name, value, _ = strings.Cut(name, " ")
		}
		values[name] = value
	}
	for name, want := range map[string]string{"perch_connections": strconv.Itoa(len(open) + 1), // this one too
		"perch_sessions": "3", "perch_rooms": "2", "perch_rooms_active": "1"} {
		if values[name] != want {
			t.Errorf("%s is %q, want %s", name, values[name], want)
		}
	}
	for name, value := range values {
		if strings.HasPrefix(name, `perch_endpoint_`) && strings.Contains(name, `endpoint="other"`) && !strings.Contains(name, "_bucket") && value != "0" {
			t.Errorf("%s} is %s: an endpoint is called something else in the metrics", name, value)
		}
	}
}
