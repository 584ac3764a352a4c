package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

// peer is a client that carries out an example. Its methods end the test when they fail.
type peer interface {
	say(text string)
	hear() string
	ended(how string) // how is "closed CODE REASON"
	cut()
	quiet() // no message has come that was not heard
}

// rawPeer checks every byte.
type rawPeer struct {
	*wstest.Conn
	t *testing.T
}

// newRawPeer connects as websocat would with these arguments.
func newRawPeer(t *testing.T, addr string, args []string) peer {
	t.Helper()
	var headers []string
	var target string
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		switch {
		case name == "-H":
			headers = append(headers, value)
		case name == "--protocol":
			headers = append(headers, "Sec-WebSocket-Protocol: "+value)
		case strings.HasPrefix(arg, "ws://"+addr):
			target = strings.TrimPrefix(arg, "ws://"+addr)
		default:
			t.Fatalf("unknown argument %s", arg)
		}
	}
	return rawPeer{wstest.Dial(t, addr, target, headers...), t}
}

func (p rawPeer) say(text string) { p.t.Helper(); p.Send(wstest.Text(text)) }

func (p rawPeer) hear() string {
	p.t.Helper()
	op, message := p.NextMessage()
	if op != frame.OpText {
		p.t.Fatalf("a %v message", op)
	}
	return string(message)
}

func (p rawPeer) ended(how string) {
	p.t.Helper()
	f := p.frame()
	if f.Op != frame.OpClose {
		p.t.Fatalf("%v, want %s", f, how)
	}
	code, reason := f.CloseInfo()
	if got := strings.TrimSpace(fmt.Sprintf("closed %d %s", uint16(code), reason)); got != how {
		p.t.Fatalf("%s, want %s", got, how)
	}
	p.Send(wstest.Close(code, ""))
	p.ExpectGone()
}

func (p rawPeer) cut() { p.Reset() }

func (p rawPeer) quiet() {
	p.t.Helper()
	p.Send(wstest.Ping("all?"))
	if f := p.frame(); f.Op != frame.OpPong {
		p.t.Fatalf("%s also came", f.Payload)
	}
}

// frame is the next frame that is no ping.
func (p rawPeer) frame() wstest.Frame {
	p.t.Helper()
	for {
		f, err := p.Next()
		if err != nil {
			p.t.Fatal(err)
		}
		if f.Op != frame.OpPing {
			return f
		}
	}
}

// websocatPeer is websocat, as a reader has it who pastes the commands.
type websocatPeer struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan string
}

// newWebsocatPeer runs a command of websocat.
func newWebsocatPeer(t *testing.T, command string, env []string) peer {
	t.Helper()
	p := &websocatPeer{t: t, cmd: exec.Command("sh", "-c", "exec "+command), lines: make(chan string, 1024)}
	p.cmd.Env, p.cmd.Stderr = env, os.Stderr
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		in := bufio.NewScanner(stdout)
		in.Buffer(nil, 1<<20)
		for in.Scan() {
			p.lines <- in.Text()
		}
	}()
	t.Cleanup(p.cut)
	return p
}

func (p *websocatPeer) say(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, text+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

func (p *websocatPeer) hear() string {
	p.t.Helper()
	select {
	case l, ok := <-p.lines:
		if !ok {
			p.t.Fatal("websocat has ended")
		}
		return l
	case <-time.After(wstest.DefaultTimeout):
		p.t.Fatal("websocat prints nothing")
	}
	return ""
}

// ended: websocat does not show how the connection ended. websocat ends with its input.
func (p *websocatPeer) ended(string) {
	p.t.Helper()
	_ = p.stdin.Close()
	for l := range p.lines {
		p.t.Fatalf("%s also came", l)
	}
}

func (p *websocatPeer) cut() {
	if err := p.cmd.Process.Kill(); errors.Is(err, os.ErrProcessDone) {
		return // waited for already
	}
	for range p.lines {
	}
	_ = p.cmd.Wait()
}

func (p *websocatPeer) quiet() {} // rawPeer checks this
