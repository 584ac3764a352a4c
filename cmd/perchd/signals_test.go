package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

// TestSignals: only signals that end perchd, or that report a fault, harm a client.
func TestSignals(t *testing.T) {
	const sigPwr, lowestReal = 30, 35 // 32 to 34 belong to C libraries: Go does not handle them, and they end the process
	harmless := []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE, syscall.SIGALRM, syscall.SIGCHLD, syscall.SIGCONT,
		syscall.SIGURG, syscall.SIGXCPU, syscall.SIGXFSZ, syscall.SIGVTALRM, syscall.SIGPROF, syscall.SIGWINCH, syscall.SIGIO, sigPwr}
	for s := syscall.Signal(lowestReal); s <= 64; s++ {
		harmless = append(harmless, s)
	}
	p := serving(t)
	c := wstest.Dial(t, p.addr, "/ws")
	for _, s := range harmless {
		p.signal(s)
		c.Send(wstest.Text(s.String()))
		c.ExpectText("Echo: " + s.String())
	}
	p.line(`"msg":"reloaded`)
	p.line(`"signal":"user defined signal 2"`)
	p.signal(syscall.SIGTERM)
	c.AnswerClose(frame.CloseGoingAway)
	if code := p.wait(); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
}

// TestSignalsThatTell: the signals with which Go prints all stacks do so, and end perchd.
func TestSignalsThatTell(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGABRT} {
		p := serving(t)
		p.signal(s)
		p.line("goroutine ")
		if code := p.wait(); code != 2 {
			t.Errorf("%v: exit status %d, want 2", s, code)
		}
	}
}

// TestSignalTwice: a signal repeated at once counts as one. perchd tells the client, and waits for it.
func TestSignalTwice(t *testing.T) {
	for _, both := range [][]syscall.Signal{
		{syscall.SIGTERM, syscall.SIGTERM}, {syscall.SIGINT, syscall.SIGTERM}, {syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM},
	} {
		p := serving(t, "--shutdown-delay", "200ms")
		c := wstest.Dial(t, p.addr, "/ws")
		for _, s := range both {
			p.signal(s)
		}
		c.AnswerClose(frame.CloseGoingAway)
		if code := p.wait(); code != 0 {
			t.Errorf("%v: exit status %d, want 0", both, code)
		}
	}
}

// TestSignalLater: a signal repeated after a second is urgent: perchd no longer waits.
func TestSignalLater(t *testing.T) {
	p := serving(t, "--shutdown-deadline", "0", "--close-timeout", "0")
	c := wstest.Dial(t, p.addr, "/ws")
	p.signal(syscall.SIGTERM)
	c.ExpectClose(frame.CloseGoingAway) // and the client does not answer
	if code := p.hurry(); code != 1 || !strings.Contains(p.output(), "once more") {
		t.Errorf("exit status %d, want 1", code)
	}
}

// TestReload: SIGHUP reads the keys anew, a wrong file leaves the old keys, and connections stay.
func TestReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	secret := func(text string) string {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if len(text) < 32 {
			return ""
		}
		return token(t, "--sub", "7", "--key", file)
	}
	old := secret(strings.Repeat("old", 20))
	p := serving(t, "--auth-key", file)
	dial := func(token string) *wstest.Conn {
		c := wstest.Dial(t, p.addr, "/ws/safe", "Authorization: Bearer "+token)
		c.Send(wstest.Text(`{"type":"x"}`))
		return c
	}
	stays := dial(old)
	welcome(t, stays)
	for i, step := range []struct{ text, says string }{
		{"short", "not reloaded"},
		{strings.Repeat("new", 20), "a key verifies tokens"},
	} {
		next := secret(step.text)
		p.signal(syscall.SIGHUP)
		p.line(step.says)
		p.line(`"msg":"reloaded`)
		good, bad := old, next
		if next != "" {
			good, bad = next, old
		}
		welcome(t, dial(good))
		if bad != "" {
			closedWith(t, dial(bad), frame.ClosePolicyViolation)
		}
		stays.Send(wstest.Text(fmt.Sprintf(`{"type":"%d"}`, i)))
		welcome(t, stays)
	}
}

// TestHelpOfSignals: the help names every signal that has a meaning.
func TestHelpOfSignals(t *testing.T) {
	said := perchd(t, "--help")
	if code := said.wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	for _, s := range []string{"SIGTERM", "SIGINT", "SIGHUP", "SIGUSR2", "SIGQUIT"} {
		if !strings.Contains(said.output(), s) {
			t.Errorf("the help does not name %s", s)
		}
	}
}
