package child

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	startTime = 20 * time.Second // until a server listens
	stopTime  = 10 * time.Second // until it has ended after SIGTERM
)

// Server is how a server is started.
type Server struct {
	Command []string // {port} in it is replaced by a port that is free
	Env     []string // beside ours
	Dir     string
	Cores   []int     // nil: all that we have
	Output  io.Writer // nil: the Output of the Process
}

// Process is a process that runs.
type Process struct {
	Cmd    *exec.Cmd
	Addr   string        // of a server: where it listens
	Output *Tail         // what it has said
	Ended  chan struct{} // closed when it has
}

// Watch waits for the end of a command that was started. output is what it writes to.
func Watch(cmd *exec.Cmd, output *Tail) *Process {
	p := &Process{Cmd: cmd, Output: output, Ended: make(chan struct{})}
	go func() {
		cmd.Wait()
		close(p.Ended)
	}()
	return p
}

// Serve starts a server, and waits until it listens.
func (l *Launcher) Serve(s Server) (*Process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	args := make([]string, len(s.Command))
	for i, a := range s.Command {
		args[i] = strings.ReplaceAll(a, "{port}", strconv.Itoa(port))
	}
	output := new(Tail)
	cmd := exec.Command(args[0], args[1:]...)
	// What configures perchd elsewhere must not change it here.
	clean := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PERCH_") })
	cmd.Dir, cmd.Env = s.Dir, append(clean, s.Env...)
	cmd.Stdout, cmd.Stderr = io.Writer(output), io.Writer(output)
	if s.Output != nil {
		cmd.Stdout, cmd.Stderr = s.Output, s.Output
	}
	cmd.WaitDelay = time.Second // a grandchild may hold the output open
	if err := l.Start(cmd, s.Cores); err != nil {
		return nil, err
	}
	p := Watch(cmd, output)
	p.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	return p, p.listens()
}

// listens waits until the server listens.
func (p *Process) listens() error {
	for deadline := time.Now().Add(startTime); ; {
		conn, err := net.DialTimeout("tcp", p.Addr, time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.Ended:
			return fmt.Errorf("%s ended: %s", p.Cmd.Args[0], p.Output)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			p.Stop()
			return fmt.Errorf("%s does not listen after %v: %s", p.Cmd.Args[0], startTime, p.Output)
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

// PID is the process's id.
func (p *Process) PID() int { return p.Cmd.Process.Pid }

// Stop ends the process, and whatever it has started.
func (p *Process) Stop() {
	p.Cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.Ended:
	case <-time.After(stopTime):
	}
	syscall.Kill(-p.PID(), syscall.SIGKILL) // its group, which only we use
	<-p.Ended
}

// Alive reports that the process has not ended by itself.
func (p *Process) Alive() bool {
	select {
	case <-p.Ended:
		return false
	default:
		return true
	}
}
