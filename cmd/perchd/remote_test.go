package main

import (
	"encoding/json"
	"log/slog"
	"os"
	"syscall"
	"testing"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/server/config"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/session"
	"github.com/perchws/perch/session/storetest"
)

// inProcess starts a perchd in this process, on parts that the test supplies.
func inProcess(t *testing.T, on base) (d *daemon) {
	t.Helper()
	wstest.NoLeaks(t)
	environ := []string{"XDG_STATE_HOME=" + t.TempDir(), "HOME=" + t.TempDir()}
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	c, err := config.Load([]string{"--listen", "127.0.0.1:0"}, environ)
	if err != nil {
		t.Fatal(err)
	}
	if d, err = newDaemon(c, slog.New(slog.DiscardHandler), false, on); err != nil {
		t.Fatal(err)
	}
	stop, ended := make(chan os.Signal, 1), make(chan error, 1)
	go func() { ended <- d.serve(stop, nil) }()
	wstest.Eventually(t, "it serves", func() bool { return d.engine.Addr() != nil })
	t.Cleanup(func() {
		stop <- syscall.SIGTERM
		if err := wstest.Receive(t, "the end", ended); err != nil {
			t.Error(err)
		}
		close(stop) // the signal is not repeated
		d.close()
	})
	return d
}

// says reads messages until one has this type, and returns it.
func says(t *testing.T, c *wstest.Conn, typ string) (m map[string]any) {
	t.Helper()
	for {
		_, p := c.NextMessage()
		m = nil
		if err := json.Unmarshal(p, &m); err != nil {
			t.Fatalf("%s: %v", p, err)
		}
		if m["type"] == typ {
			return m
		}
	}
}

// TestRemoteStore runs a whole perchd on a store of sessions that may wait. While the store answers late, twice and
// in another order, sessions are still made, resumed, written to and ended. When the store stops answering, clients
// that are connected go on.
func TestRemoteStore(t *testing.T) {
	memory := session.NewMemory(session.Config{})
	faulty := storetest.NewFaulty(memory, storetest.All(storetest.Late))
	t.Cleanup(faulty.Scramble(11))
	on := realBase()
	on.sessions = faulty
	d := inProcess(t, on)
	dial := func(path string) *wstest.Conn { return wstest.Dial(t, d.engine.Addr().String(), path) }
	say := func(c *wstest.Conn, messages ...string) {
		t.Helper()
		for _, m := range messages {
			c.Send(wstest.Text(m))
		}
	}

	ada := dial("/ws/chat")
	say(ada, `{"username":"Ada"}`, `{"type":"join_room","room_id":"tea"}`, `{"type":"chat_message","content":"hello","id":1}`)
	init := says(t, ada, "init")
	says(t, ada, "message_sent")
	ada.Reset()
	wstest.Eventually(t, "the session is detached", func() bool { return memory.Stats().Attached == 0 })
	again := dial("/ws/chat")
	resume, err := json.Marshal(map[string]any{"resume": map[string]any{"session": init["session"]}})
	if err != nil {
		t.Fatal(err)
	}
	say(again, string(resume), `{"type":"ping"}`)
	if back := says(t, again, "init"); back["user_id"] != init["user_id"] || back["username"] != "Ada" {
		t.Errorf("resumed as %v", back)
	}
	if joined := says(t, again, "room_joined"); joined["room_id"] != "tea" {
		t.Errorf("in %v", joined)
	}
	says(t, again, "pong")

	s := dial("/ws/with-session")
	says(t, s, "session_created")
	say(s, `{"type":"update_session","data":{"n":1}}`, `{"type":"get_session"}`)
	says(t, s, "session_updated")
	says(t, s, "session_data")
	s.CloseHandshake(frame.CloseNormal)
	wstest.Eventually(t, "one session is left", func() bool { return memory.Stats().Sessions == 1 })

	faulty.Decide(storetest.All(storetest.Refused))
	say(again, `{"type":"chat_message","content":"still here","id":2}`)
	says(t, again, "message_sent")
	late := dial("/ws/chat")
	say(late, `{}`)
	if e := says(t, late, "error"); e["code"] != "unavailable" {
		t.Errorf("%v", e)
	}
	late.AnswerClose(frame.CloseTryAgainLater)
}
