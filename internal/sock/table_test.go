//go:build linux

package sock_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/sock"
)

// TestPrivateTable: on a thread with a table of its own, files keep their
// numbers, sockets are gone but for the one named, and what is free below the
// first socket's number refuses all I/O.
func TestPrivateTable(t *testing.T) {
	if err := sock.Prepare(); err != nil {
		t.Fatal(err)
	}
	kept, other := pair(t)
	file, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	number := int(file.Fd())
	errs := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread and its table go with the goroutine
		errs <- func() error {
			if err := sock.PrivateTable(kept); err != nil {
				return err
			}
			if err := unix.Fstat(number, new(unix.Stat_t)); err != nil {
				return fmt.Errorf("an open file is gone: %w", err)
			}
			if err := unix.Fstat(kept, new(unix.Stat_t)); err != nil {
				return fmt.Errorf("the socket to keep is gone: %w", err)
			}
			// other was closed, and a guard stands in its place.
			if n, err := unix.Write(other, []byte("stray")); err != unix.EBADF {
				return fmt.Errorf("a stray write of %d bytes: %v, want EBADF", n, err)
			}
			if n, err := unix.Read(other, make([]byte, 1)); err != unix.EBADF {
				return fmt.Errorf("a stray read of %d bytes: %v, want EBADF", n, err)
			}
			fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			if fds[0] < 256 {
				return errors.New("a socket has a number that files of the shared table may have")
			}
			open, err := sock.OpenDescriptors()
			if err != nil || len(open) < 256 {
				return fmt.Errorf("the guard has holes: %d descriptors, %v", len(open), err)
			}
			return nil
		}()
	}()
	if err := <-errs; errors.Is(err, unix.EPERM) {
		t.Skipf("not permitted here: %v", err)
	} else if err != nil {
		t.Error(err)
	}
	// The shared table has not changed.
	if n, e := sock.Send(other, []byte("x")); n != 1 || e != 0 {
		t.Errorf("our own socket: %d, %v", n, e)
	}
	if n, e := sock.Recv(kept, make([]byte, 9)); n != 1 || e != 0 {
		t.Errorf("our own socket: %d, %v: the stray bytes of the other table?", n, e)
	}
}

// TestGrowTable leaves nothing open, and makes room for as many as are asked for, within
// what can be.
func TestGrowTable(t *testing.T) {
	before, err := sock.OpenDescriptors()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{math.MinInt, -1, 0, 1, 5000, math.MaxInt} {
		sock.GrowTable(n)
	}
	if room := fdSize(t); room < 5000 || room > 1<<21 {
		t.Errorf("room for %d descriptors", room)
	}
	after, err := sock.OpenDescriptors()
	if err != nil {
		t.Fatal(err)
	}
	if len(after) > len(before) {
		t.Errorf("%v open, %v before", after, before)
	}
	if n := sock.DescriptorLimit(); n < 16 || n > 1<<30 {
		t.Errorf("limit %d", n)
	}
}

// fdSize is for how many descriptors the calling thread's table has a place. Others may
// have tables of their own.
func fdSize(t *testing.T) int {
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if n, ok := strings.CutPrefix(line, "FDSize:"); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(n))
			return n
		}
	}
	t.Fatal("no FDSize")
	return 0
}
