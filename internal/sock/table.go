//go:build linux

package sock

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// guardBelow is the first descriptor number that a private table uses for
// sockets: numbers below are filled with a descriptor that refuses all I/O, so
// that a write meant for a file of the shared table cannot land in a client's
// socket. It is the share of RLIMIT_NOFILE that each private table gives up.
const guardBelow = 256

// DescriptorLimit is the soft RLIMIT_NOFILE: the descriptors one table holds.
func DescriptorLimit() int {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 1024
	}
	return int(min(r.Cur, 1<<30))
}

// GrowTable grows the descriptor table at once to n descriptors, or to its limit, or
// to a million: a place takes eight bytes, used or not. Growing it under load waits for
// every other thread at each doubling: stalls of up to 20 ms.
func GrowTable(n int) {
	limit := min(n, DescriptorLimit(), 1<<20)
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return // only slower
	}
	if fd, err := unix.FcntlInt(uintptr(null), unix.F_DUPFD_CLOEXEC, limit-1); err == nil {
		unix.Close(fd)
	}
	unix.Close(null)
}

// OpenDescriptors lists the numbers open in the calling thread's table.
func OpenDescriptors() ([]int, error) {
	dir, err := os.Open("/proc/thread-self/fd")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	fds := make([]int, 0, len(names))
	for _, name := range names {
		if fd, err := strconv.Atoi(name); err == nil && fd != int(dir.Fd()) {
			fds = append(fds, fd)
		}
	}
	return fds, nil
}

// PrivateTable gives the calling thread, whose goroutine must be locked to it
// and end locked, a descriptor table of its own: RLIMIT_NOFILE then counts for
// this thread alone. Open files stay open under the same number, but for
// sockets that keep does not name: their duplicates would keep connections of
// others alive. The runtime's own poller must be running before (see Prepare).
func PrivateTable(keep ...int) error {
	if err := unix.Unshare(unix.CLONE_FILES); err != nil {
		return fmt.Errorf("private descriptor table: %w", os.NewSyscallError("unshare", err))
	}
	fds, err := OpenDescriptors()
	if err != nil {
		return fmt.Errorf("private descriptor table: %w", err)
	}
	kept := make(map[int]bool, len(keep))
	for _, fd := range keep {
		kept[fd] = true
	}
	for _, fd := range fds {
		var st unix.Stat_t
		if !kept[fd] && unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFSOCK {
			unix.Close(fd)
		}
	}
	guard, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("private descriptor table: %w", os.NewSyscallError("open", err))
	}
	for guard < guardBelow { // dup takes the lowest free number
		if guard, err = unix.FcntlInt(uintptr(guard), unix.F_DUPFD_CLOEXEC, 0); err != nil {
			return fmt.Errorf("private descriptor table: %w", os.NewSyscallError("fcntl", err))
		}
	}
	unix.Close(guard)
	return nil
}

// PrivateReserve is how many descriptors of a private table are not for
// connections: the guard, the poller's, the listener and some to refuse with.
const PrivateReserve = guardBelow + 64

// Prepare starts the runtime's own poller. It must run before the first
// PrivateTable: the runtime would otherwise open its descriptors under numbers
// that mean a client's socket on a loop's thread, and die of it.
func Prepare() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	r.Close()
	return w.Close()
}
