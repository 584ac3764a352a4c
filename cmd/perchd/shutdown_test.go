package main

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

// TestDrain: after the signal perchd says that it is not ready, and goes on serving, new clients too. A second signal
// that comes later ends the wait.
func TestDrain(t *testing.T) {
	p := serving(t, "--shutdown-delay", "1h")
	if status, body := p.get("", "/ready"); status != 200 || strings.TrimSpace(body) != `{"status":"ready"}` {
		t.Fatalf("before: %d %s", status, body)
	}
	early := wstest.Dial(t, p.addr, "/ws")
	p.signal(syscall.SIGTERM)
	p.line("shutting down")
	if status, body := p.get("", "/ready"); status != 503 || strings.TrimSpace(body) != `{"status":"not ready","reasons":["shutting down"]}` {
		t.Errorf("draining: %d %s", status, body)
	}
	if status, _ := p.get("", "/health"); status != 200 {
		t.Errorf("draining: health %d, want 200", status)
	}
	for _, c := range []*wstest.Conn{early, wstest.Dial(t, p.addr, "/ws")} {
		c.Send(wstest.Text("still there?"))
		c.ExpectText("Echo: still there?")
	}
	if code := p.hurry(); code != 1 {
		t.Errorf("exit status %d, want 1", code)
	}
}

// hurry sends signals until perchd has ended: a signal within a second of the first counts as the same one.
func (p *process) hurry() (code int) {
	p.t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	late := time.After(wstest.DefaultTimeout)
	for {
		select {
		case code := <-p.code:
			return code
		case <-again.C:
			_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		case <-late:
			p.t.Fatal("perchd does not end")
		}
	}
}

// TestShutdownAfterDelay: after the delay all connections are closed with 1001; users are told when to come back.
func TestShutdownAfterDelay(t *testing.T) {
	const delay = 300 * time.Millisecond
	p := serving(t, "--shutdown-delay", delay.String())
	c, chat := wstest.Dial(t, p.addr, "/ws"), wstest.Dial(t, p.addr, "/ws/chat")
	chat.Send(wstest.Text(`{"username":"ada"}`))
	for range 3 { // init, room_joined, the welcome
		chat.NextMessage()
	}
	began := time.Now()
	p.signal(syscall.SIGTERM)
	c.AnswerClose(frame.CloseGoingAway)
	var again struct {
		Type  string
		Delay int `json:"delay_ms"`
	}
	if _, m := chat.NextMessage(); json.Unmarshal(m, &again) != nil || again.Type != "reconnect" || again.Delay < 0 || again.Delay >= 1000 {
		t.Errorf("before the close: %s", m)
	}
	chat.AnswerClose(frame.CloseGoingAway)
	if took := time.Since(began); took < delay {
		t.Errorf("closed after %v, want the delay", took)
	}
	if code := p.wait(); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
}
