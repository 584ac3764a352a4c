package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/perchws/perch/internal/wstest"
)

// asPerchd makes a process of this test binary a perchd. So perchd is built only once, and with the race detector if
// the tests are.
const asPerchd = "RUN_AS_PERCHD"

func TestMain(m *testing.M) {
	if os.Getenv(asPerchd) != "" {
		main()
	}
	wstest.Main(m)
}

// process is a perchd that runs.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	state string // its XDG_STATE_HOME
	addr  string
	said  chan string // lines of its output; closed at the end
	code  chan int    // its exit status, once

	mu  sync.Mutex
	all strings.Builder // its output
}

// perchd starts a perchd. Arguments of the form NAME=VALUE in front of the first verb or flag are variables of its
// environment.
func perchd(t *testing.T, args ...string) *process {
	t.Helper()
	var env []string
	for len(args) > 0 && variable.MatchString(args[0]) {
		env, args = append(env, args[0]), args[1:]
	}
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = env
	return run(t, cmd, args...)
}

var variable = regexp.MustCompile(`^[A-Z_]+=`)

// run starts cmd, which is perchd, or a program that becomes it.
func run(t *testing.T, cmd *exec.Cmd, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, state: t.TempDir(), said: make(chan string, 4096), code: make(chan int, 1)}
	p.cmd.Env = append(environment(p.state), p.cmd.Env...)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = w, w
	err = p.cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(p.said)
		defer r.Close()
		p.read(r)
	}()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = p.cmd.Wait() // the exit status is read below
		<-read
		p.code <- p.cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-ended
		if strings.Contains(p.output(), "DATA RACE") {
			t.Error("perchd has a data race")
		}
		if t.Failed() {
			t.Logf("perchd %q printed:\n%s", args, p.output())
		}
	})
	return p
}

// environment returns the environment of a perchd, with a directory for its state.
func environment(state string) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PERCH_") })
	return append(env, asPerchd+"=1", "XDG_STATE_HOME="+state)
}

func (p *process) read(r io.Reader) {
	for in := bufio.NewScanner(r); in.Scan(); {
		p.mu.Lock()
		p.all.WriteString(in.Text() + "\n")
		p.mu.Unlock()
		p.said <- in.Text()
	}
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all.String()
}

// serving starts a perchd on a free port of loopback and waits until it serves.
func serving(t *testing.T, args ...string) *process {
	t.Helper()
	first := 0
	for first < len(args) && variable.MatchString(args[first]) {
		first++
	}
	p := perchd(t, slices.Insert(slices.Clone(args), first, "--listen", "127.0.0.1:0", "--log-format", "json")...)
	p.serves()
	return p
}

// serves waits until perchd says that it serves, and notes the address. The log is JSON.
func (p *process) serves() {
	p.t.Helper()
	var line struct{ Address string }
	if err := json.Unmarshal([]byte(p.line("perchd serves")), &line); err != nil {
		p.t.Fatal(err)
	}
	p.addr = line.Address
}

// line returns the next line that contains part.
func (p *process) line(part string) string {
	p.t.Helper()
	late := time.After(wstest.DefaultTimeout)
	for {
		select {
		case l, ok := <-p.said:
			if !ok {
				p.t.Fatalf("perchd ended without a line with %q", part)
			}
			if strings.Contains(l, part) {
				return l
			}
		case <-late:
			p.t.Fatalf("no line with %q", part)
		}
	}
}

// wait returns the exit status.
func (p *process) wait() int {
	p.t.Helper()
	return wstest.Receive(p.t, "the end of perchd", p.code)
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// get asks for a page under another host name; "" means the address.
func (p *process) get(host, path string) (status int, body string) {
	p.t.Helper()
	req, err := http.NewRequest("GET", "http://"+p.addr+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Host, req.Close = host, true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// refuses runs a perchd that must not start, and returns what it says.
func refuses(t *testing.T, status int, args ...string) string {
	t.Helper()
	p := perchd(t, args...)
	if code := p.wait(); code != status {
		t.Errorf("%q: exit status %d, want %d", args, code, status)
	}
	return p.output()
}
