package suite

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/perchws/perch/bench"
	"github.com/perchws/perch/internal/wstest"
)

func TestProcess(t *testing.T) {
	d := testDriver(t, nil)
	s := stubServer("a", "serve")
	p, err := d.startServer(s.run, s.env, "")
	if err != nil {
		t.Fatal(err)
	}
	if cores := bench.AllowedCores(p.cmd.Process.Pid); d.serverCores != nil && cores != len(d.serverCores) {
		t.Errorf("the server may use %d cores, want %d", cores, len(d.serverCores))
	}
	if !p.alive() {
		t.Error("it does not live")
	}
	p.stop()
	if p.alive() || !gone(p.cmd.Process.Pid) {
		t.Error("it still runs")
	}
	e := p.engine()
	if e == nil || e.TickP99 != "262µs" || e.GCs != 3 || e.GCPauseMax != "1ms" {
		t.Errorf("it said %+v of itself: %s", e, p.output)
	}
}

func TestProcessBroken(t *testing.T) {
	d := testDriver(t, nil)
	s := stubServer("a", "broken")
	if _, err := d.startServer(s.run, s.env, ""); err == nil || !strings.Contains(err.Error(), "no such option") {
		t.Errorf("error %v, want what it said", err)
	}
	if _, err := d.startServer([]string{"/nowhere/server"}, nil, ""); err == nil {
		t.Error("a program that is not there was started")
	}
}

// TestProcessGroup ends what a server has started too.
func TestProcessGroup(t *testing.T) {
	d := testDriver(t, nil)
	cmd := exec.Command("sh", "-c", "sleep 1000 & echo $!; wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.launcher.start(cmd, nil); err != nil {
		t.Skipf("no shell: %v", err)
	}
	child := make([]byte, 16)
	n, err := out.Read(child)
	if err != nil {
		t.Fatal(err)
	}
	pid := 0
	for _, c := range strings.TrimSpace(string(child[:n])) {
		pid = 10*pid + int(c-'0')
	}
	p := &process{cmd: cmd, output: new(tail), ended: make(chan struct{})}
	go func() {
		cmd.Wait()
		close(p.ended)
	}()
	p.stop()
	wstest.Eventually(t, "the child to end", func() bool { return gone(pid) || zombie(pid) })
}

// zombie: the process that inherits it may take its time to wait for it.
func zombie(pid int) bool {
	u, err := bench.ProcessUsage(pid)
	return err != nil || u.RSS == 0
}

func TestEngineOfOthers(t *testing.T) {
	for _, said := range []string{"", "hello", "{\n", "x\n{\n \"a\": 1\n}"} {
		p := &process{output: new(tail)}
		p.output.Write([]byte(said))
		if e := p.engine(); e != nil {
			t.Errorf("%q: %+v", said, e)
		}
	}
}

func TestTail(t *testing.T) {
	var o tail
	for range 100 {
		o.Write([]byte(strings.Repeat("x", 1000)))
	}
	o.Write([]byte("end\n"))
	if s := o.String(); !strings.HasSuffix(s, "xend") || len(s) > 2*tailSize {
		t.Errorf("%d bytes kept", len(s))
	}
}

func TestSplit(t *testing.T) {
	server, client := split()
	if (server == nil) != (client == nil) || len(server) > 1 {
		t.Errorf("cores %v and %v", server, client)
	}
	for _, c := range client {
		if c == server[0] {
			t.Errorf("core %d is given to both", c)
		}
	}
}
