package child

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/perchws/perch/bench"
	"github.com/perchws/perch/internal/wstest"
)

func TestMain(m *testing.M) { wstest.Main(m) }

// TestProcessGroup ends what a server has started too.
func TestProcessGroup(t *testing.T) {
	l := NewLauncher()
	t.Cleanup(l.Close)
	cmd := exec.Command("sh", "-c", "sleep 1000 & echo $!; wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(cmd, nil); err != nil {
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
	Watch(cmd, nil).Stop()
	wstest.Eventually(t, "the child to end", func() bool { return gone(pid) || zombie(pid) })
}

// zombie: the process that inherits it may take its time to wait for it.
func zombie(pid int) bool {
	u, err := bench.ProcessUsage(pid)
	return err != nil || u.RSS == 0
}

// gone reports that a process of ours has ended and was waited for.
func gone(pid int) bool { return syscall.Kill(pid, 0) == syscall.ESRCH }

func TestTail(t *testing.T) {
	var o Tail
	for range 100 {
		o.Write([]byte(strings.Repeat("x", 1000)))
	}
	o.Write([]byte("end\n"))
	if s := o.String(); !strings.HasSuffix(s, "xend") || len(s) > 2*tailSize {
		t.Errorf("%d bytes kept", len(s))
	}
}
