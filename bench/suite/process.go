package suite

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/perchws/perch/bench/record"
)

const (
	startTime = 20 * time.Second // until a server listens
	stopTime  = 10 * time.Second // until it has ended after SIGTERM
)

// process is a server that runs.
type process struct {
	cmd    *exec.Cmd
	addr   string
	secure bool // it speaks TLS
	output *tail
	ended  chan struct{} // closed when it has
}

// startServer starts a command, {port} in it and in the environment replaced,
// and waits until it listens.
func (d *driver) startServer(command, env []string, dir string) (*process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	args := make([]string, len(command))
	for i, a := range command {
		args[i] = strings.ReplaceAll(a, "{port}", strconv.Itoa(port))
	}
	p := &process{addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), output: new(tail), ended: make(chan struct{})}
	p.cmd = exec.Command(args[0], args[1:]...)
	// What configures perchd elsewhere must not change it here.
	clean := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PERCH_") })
	p.cmd.Dir, p.cmd.Env = dir, append(clean, env...)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.WaitDelay = time.Second // a grandchild may hold the output open
	if err := d.launcher.start(p.cmd, d.serverCores); err != nil {
		return nil, err
	}
	go func() {
		p.cmd.Wait()
		close(p.ended)
	}()
	for deadline := time.Now().Add(startTime); ; {
		conn, err := net.DialTimeout("tcp", p.addr, time.Second)
		if err == nil {
			conn.Close()
			return p, nil
		}
		select {
		case <-p.ended:
			return nil, fmt.Errorf("%s ended: %s", args[0], p.output)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			p.stop()
			return nil, fmt.Errorf("%s does not listen after %v: %s", args[0], startTime, p.output)
		}
	}
}

// freePort finds a port that nobody listens on.
func freePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}

// stop ends the server, and whatever it has started.
func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(stopTime):
	}
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // its group, which only we use
	<-p.ended
}

// alive reports that the server has not ended by itself.
func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// engine is what our own server has printed at its end; nil for others.
func (p *process) engine() *record.Engine {
	all := p.output.String()
	i := strings.Index("\n"+all, "\n{\n")
	if i < 0 {
		return nil
	}
	e := new(record.Engine)
	if json.NewDecoder(strings.NewReader(all[i:])).Decode(e) != nil || e.TickP50 == "" {
		return nil
	}
	return e
}

// tail keeps the last of what is written to it. Any goroutine.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailSize = 16 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if len(t.buf) > 2*tailSize {
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-tailSize:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.buf))
}
