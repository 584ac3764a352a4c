//go:build linux

package enginetest

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// childEnv marks the process that [InChild] starts.
const childEnv = "PERCH_TEST_CHILD"

// InChild reports whether this process is the child of the test. If it is not, it
// runs the test again in one, as a process whose limits may be changed, and calls
// meanwhile with its standard output. A child that has to wait until meanwhile has
// returned calls [AwaitParent]. It gets namespaces of its own by their flags
// (CLONE_NEWNET), or the test is skipped.
func InChild(t *testing.T, meanwhile func(say io.Reader), namespaces ...uintptr) bool {
	t.Helper()
	if os.Getenv(childEnv) == t.Name() {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=60s")
	cmd.SysProcAttr = new(syscall.SysProcAttr)
	for _, flag := range namespaces {
		cmd.SysProcAttr.Cloneflags |= flag
	}
	cmd.Env = append(os.Environ(), childEnv+"="+t.Name())
	var errs strings.Builder
	cmd.Stderr = &errs
	done, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	say, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		if len(namespaces) > 0 && errors.Is(err, syscall.EPERM) {
			t.Skipf("no namespaces of our own: %v; they need CAP_SYS_ADMIN", err)
		}
		t.Fatal(err)
	}
	defer func() {
		done.Close()
		rest, _ := io.ReadAll(say)
		if err := cmd.Wait(); err != nil {
			t.Errorf("child: %v\n%s%s", err, rest, errs.String())
		} else if strings.Contains(string(rest), "--- SKIP") {
			t.Skipf("child:\n%s", rest)
		}
	}()
	if meanwhile != nil {
		meanwhile(say)
	}
	return false
}

// AwaitParent waits, in a child, until the parent has done its part.
func AwaitParent() { io.Copy(io.Discard, os.Stdin) }

// Crowd is what the parent of a child that measures memory does meanwhile. It connects n clients to the address that
// the child says, and leaves them open until the test ends; use has each do its part. It logs what the child then says
// of its memory.
func Crowd(t *testing.T, say io.Reader, n int, use func(c net.Conn) error) {
	t.Helper()
	lines := bufio.NewScanner(say)
	await := func(what string) (rest string) {
		for found := false; !found && lines.Scan(); {
			rest, found = strings.CutPrefix(lines.Text(), what+" ")
		}
		return rest
	}
	addr := await("address")
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for k := g; k < n; k += 8 {
				c, err := net.Dial("tcp", addr)
				if err == nil {
					t.Cleanup(func() { c.Close() })
					err = use(c)
				}
				if err != nil {
					t.Errorf("client %d: %v", k, err)
					return
				}
			}
		})
	}
	all.Wait()
	if !t.Failed() {
		t.Log(await("memory"))
	}
}

// LimitDescriptors sets RLIMIT_NOFILE of this process, a child.
func LimitDescriptors(t *testing.T, n uint64) {
	t.Helper()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
		t.Fatal(err)
	}
}

// FillDescriptors uses up all descriptors but spare ones. The function it returns
// gives them back.
func FillDescriptors(t *testing.T, spare int) (empty func()) {
	t.Helper()
	var fds []int
	for {
		fd, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err == syscall.EMFILE {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
	}
	for _, fd := range fds[:spare] {
		syscall.Close(fd)
	}
	fds = fds[spare:]
	return func() {
		for _, fd := range fds {
			syscall.Close(fd)
		}
	}
}

// NeedPrivateTables skips the test where the system does not let us.
func NeedPrivateTables(t *testing.T) {
	t.Helper()
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread goes with the goroutine
		result <- syscall.Unshare(syscall.CLONE_FILES)
	}()
	if err := <-result; err != nil {
		t.Skipf("unshare(CLONE_FILES): %v; it needs CAP_SYS_ADMIN in a container", err)
	}
}
