package child

import (
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Launcher starts processes from a thread of its own: they run on the cores they
// are given, which they inherit from it, and the kernel kills them should this
// process die first, which it ties to the thread that started them
// (PR_SET_PDEATHSIG).
type Launcher struct {
	starts chan start
	done   chan struct{}
}

type start struct {
	cmd    *exec.Cmd
	cores  []int // nil: all that we have
	result chan error
}

// NewLauncher returns a Launcher, which takes one thread until it is closed.
func NewLauncher() *Launcher {
	l := &Launcher{starts: make(chan start), done: make(chan struct{})}
	go l.loop()
	return l
}

// Start starts cmd in a process group of its own, on these cores; nil: on all that we have.
func (l *Launcher) Start(cmd *exec.Cmd, cores []int) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	s := start{cmd: cmd, cores: cores, result: make(chan error, 1)}
	l.starts <- s
	return <-s.result
}

// Close ends the launcher. All that it has started has ended.
func (l *Launcher) Close() {
	close(l.starts)
	<-l.done
}

func (l *Launcher) loop() {
	defer close(l.done)
	runtime.LockOSThread()
	var all unix.CPUSet
	known := unix.SchedGetaffinity(0, &all) == nil
	for s := range l.starts {
		set := all
		if s.cores != nil {
			set.Zero()
			for _, c := range s.cores {
				set.Set(c)
			}
		}
		var err error
		if known {
			err = unix.SchedSetaffinity(0, &set)
		}
		if err == nil {
			err = s.cmd.Start()
		}
		s.result <- err
	}
	if known && unix.SchedSetaffinity(0, &all) == nil {
		runtime.UnlockOSThread() // else the thread ends, which is as good
	}
}
