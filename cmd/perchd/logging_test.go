package main

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

// deaf is a perchd whose output nobody reads.
type deaf struct {
	*process
	out *os.File // to read from, if it is a pipe
}

// deafening starts a perchd whose stdout and stderr are out.
func deafening(t *testing.T, out *os.File, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(os.Args[0], args...), state: t.TempDir(), code: make(chan int, 1)}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = environment(p.state), out, out
	p.begin()
	return p
}

// begin starts a process whose output nobody here reads, and ends it with the test.
func (p *process) begin() {
	p.t.Helper()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = p.cmd.Wait()
		p.code <- p.cmd.ProcessState.ExitCode()
	}()
	p.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-ended
	})
}

// piped starts a perchd whose output is a pipe. The output is read until perchd serves, and no further.
func piped(t *testing.T, args ...string) (deaf, *bufio.Scanner) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	t.Cleanup(func() { r.Close() })
	p := deafening(t, w, append([]string{"--listen", "127.0.0.1:0", "--log-format", "json"}, args...)...)
	in := bufio.NewScanner(r)
	for in.Scan() {
		var line struct{ Msg, Address string }
		if json.Unmarshal(in.Bytes(), &line) == nil && line.Msg == "perchd serves" {
			p.addr = line.Address
			return deaf{p, r}, in
		}
	}
	t.Fatal("perchd does not serve")
	return deaf{}, nil
}

// noisy makes perchd log n lines, one for each client that it refuses.
func (p *process) noisy(n int) {
	p.t.Helper()
	for range n {
		c := wstest.Dial(p.t, p.addr, "/ws/safe", "Authorization: Bearer x")
		closedWith(p.t, c, frame.ClosePolicyViolation)
		c.Close()
	}
}

// serves sends n messages, and expects the answers.
func serves(c *wstest.Conn, n int) {
	for i := range n {
		text := strconv.Itoa(i)
		c.Send(wstest.Text(text))
		c.ExpectText("Echo: " + text)
	}
}

func (p *process) lost() (n int) {
	p.t.Helper()
	_, page := p.get("", "/metrics")
	m := regexp.MustCompile(`(?m)^perch_log_lines_lost_total (\S+)$`).FindStringSubmatch(page)
	if m == nil {
		p.t.Fatal("no perch_log_lines_lost_total")
	}
	f, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return int(f)
}

// TestLogReaderStalls: a log that nobody reads blocks nothing. Clients are served, the queue is bounded, lost lines
// are counted, and the log reports them when it is read again.
func TestLogReaderStalls(t *testing.T) {
	const many = 12000 // lines: more than the pipe and the queue hold, 64 KiB and 1 MiB
	p, in := piped(t, "--log-level", "debug")
	c := wstest.Dial(t, p.addr, "/ws")
	p.noisy(320)
	serves(c, 10)
	busy := wstest.Dial(t, p.addr, "/ws/monitored?client_id=busy")
	for sent := 0; sent < many; sent += 100 {
		for range 100 {
			busy.Send(wstest.Text(`{"type":"x"}`))
		}
		for range 100 {
			busy.NextMessage()
		}
	}
	serves(c, 10)
	if n := p.lost(); n < many/10 || n > many+5000 {
		t.Errorf("%d lines lost: is the queue without bounds?", n)
	}

	for told := 0; ; { // the log is read again
		if !in.Scan() {
			t.Fatal("the log ends and does not report lost lines")
		}
		var line struct {
			Msg  string
			Lost int
		}
		if err := json.Unmarshal(in.Bytes(), &line); err != nil {
			t.Fatalf("%q: %v", in.Bytes(), err)
		}
		if strings.HasPrefix(line.Msg, "log lines were lost") {
			if told = line.Lost; told < many/10 {
				t.Errorf("the log reports %d lost lines", told)
			}
			break
		}
	}
	p.signal(syscall.SIGTERM)
	c.AnswerClose(frame.CloseGoingAway)
	last := ""
	for in.Scan() {
		last = in.Text()
	}
	if !strings.Contains(last, `"msg":"shut down`) {
		t.Errorf("the log ends with %q", last)
	}
	if code := p.wait(); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
}

// TestLogReaderStallsForEver: the end of perchd does not wait for the reader.
func TestLogReaderStallsForEver(t *testing.T) {
	p, _ := piped(t, "--log-level", "debug")
	c := wstest.Dial(t, p.addr, "/ws")
	p.noisy(320)
	p.signal(syscall.SIGTERM)
	c.AnswerClose(frame.CloseGoingAway)
	if code := p.wait(); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
}

// TestLogReaderGone: if no process has the other end of the pipe, neither the signal nor the error ends perchd.
func TestLogReaderGone(t *testing.T) {
	p, _ := piped(t)
	c := wstest.Dial(t, p.addr, "/ws")
	p.out.Close()
	p.noisy(20)
	serves(c, 10)
	if n := p.lost(); n < 20 {
		t.Errorf("%d lines lost, want 20", n)
	}
	p.signal(syscall.SIGHUP) // this logs a line, too
	serves(c, 1)
	p.signal(syscall.SIGTERM)
	c.AnswerClose(frame.CloseGoingAway)
	if code := p.wait(); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
}

// TestLogCannotBeWritten: a full disk, a closed output, and one that is only for reading.
func TestLogCannotBeWritten(t *testing.T) {
	for name, redirect := range map[string]string{
		"full": ">/dev/full 2>/dev/full", "closed": ">&- 2>&-", "all closed": "<&- >&- 2>&-", "for reading": "1</dev/null 2</dev/null",
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			addr := ln.Addr().String()
			ln.Close() // its port is ours again soon enough
			p := &process{t: t, addr: addr, cmd: exec.Command("sh", "-c", `exec "$0" "$@" `+redirect, os.Args[0], "--listen", addr), code: make(chan int, 1)}
			p.cmd.Env = environment(t.TempDir())
			p.begin()
			wstest.Eventually(t, "perchd serves", func() bool {
				resp, err := http.Get("http://" + addr + "/health")
				if err != nil {
					return false
				}
				resp.Body.Close()
				return resp.StatusCode == 200
			})
			c := wstest.Dial(t, addr, "/ws")
			p.noisy(20)
			serves(c, 10) // no line of the log is among the answers
			if name == "full" && p.lost() < 20 {
				t.Errorf("%d lines lost, want 20", p.lost())
			}
			p.signal(syscall.SIGTERM)
			c.AnswerClose(frame.CloseGoingAway)
			if code := p.wait(); code != 0 {
				t.Errorf("exit status %d, want 0", code)
			}
		})
	}
}

// TestFailsDeaf: an error at the start has its exit status, even if its text cannot be written.
func TestFailsDeaf(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	for _, tt := range []struct {
		args   []string
		status int
	}{
		{[]string{"--auth-key", "/nowhere"}, 2},
		{[]string{"--nonsense"}, 2},
		{[]string{"--listen", "192.0.2.1:1", "--auth-jwks-url", "https://127.0.0.1:1/"}, 1},
	} {
		p := deafening(t, w, tt.args...)
		if code := p.wait(); code != tt.status {
			t.Errorf("%q: exit status %d, want %d", tt.args, code, tt.status)
		}
	}
}
