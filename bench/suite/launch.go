package suite

import (
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// launcher starts processes from a thread of its own: they run on the cores they
// are given, which they inherit from it, and the kernel kills them should this
// process die first, which it ties to the thread that started them
// (PR_SET_PDEATHSIG).
type launcher struct {
	starts chan start
	done   chan struct{}
}

type start struct {
	cmd    *exec.Cmd
	cores  []int // nil: all that we have
	result chan error
}

func newLauncher() *launcher {
	l := &launcher{starts: make(chan start), done: make(chan struct{})}
	go l.loop()
	return l
}

// start starts cmd in a process group of its own.
func (l *launcher) start(cmd *exec.Cmd, cores []int) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	s := start{cmd: cmd, cores: cores, result: make(chan error, 1)}
	l.starts <- s
	return <-s.result
}

// close ends the launcher. All that it has started has ended.
func (l *launcher) close() {
	close(l.starts)
	<-l.done
}

func (l *launcher) loop() {
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

// split gives one core to the server and one, or all the others, to the client.
// With one core there is nothing to give.
func split() (server, client []int) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil, nil
	}
	var cores []int
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			cores = append(cores, i)
		}
	}
	if len(cores) < 2 {
		return nil, nil
	}
	return cores[:1], cores[1:]
}
