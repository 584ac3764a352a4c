//go:build linux

package sock

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// File is a socket's file, as it was made: another may have its name by now.
type File struct {
	path string
	is   fileID
}

// fileID tells files apart, also one that has the inode of another that is gone.
type fileID struct {
	major, minor uint32
	inode        uint64
	born         unix.StatxTimestamp // zero where the file system does not know
}

func identify(path string) (id fileID, mode uint16, err error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st); err != nil {
		return id, 0, os.NewSyscallError("statx", err)
	}
	id = fileID{major: st.Dev_major, minor: st.Dev_minor, inode: st.Ino}
	if st.Mask&unix.STATX_BTIME != 0 {
		id.born = st.Btime
	}
	return id, st.Mode, nil
}

// Remove removes the file, if it is still the one that was made.
func (f File) Remove() {
	if f.path == "" {
		return
	}
	if is, _, err := identify(f.path); err == nil && is == f.is {
		unix.Unlink(f.path)
	}
}

// ListenUnix opens a non-blocking listener on a unix socket. Its file gets mode,
// or what the umask leaves if that is 0, before anybody can connect. The file of
// a server that is gone is replaced; if one is listening there the error wraps
// EADDRINUSE. A path that begins with "@" is in the abstract namespace, which has
// no files.
func ListenUnix(path string, mode fs.FileMode) (fd int, f File, err error) {
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, f, os.NewSyscallError("socket", err)
	}
	if f, err = listenUnix(fd, path, mode); err != nil {
		unix.Close(fd)
		f.Remove()
		return -1, File{}, fmt.Errorf("listen unix:%s: %w", path, err)
	}
	return fd, f, nil
}

func listenUnix(fd int, path string, mode fs.FileMode) (f File, err error) {
	if path == "" {
		return f, errors.New("no path")
	}
	if path[0] == '@' {
		if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
			return f, os.NewSyscallError("bind", err)
		}
		return f, os.NewSyscallError("listen", unix.Listen(fd, backlog))
	}
	// From finding that a server is gone until we listen in its place nobody else may
	// try the same: a socket that is bound and does not listen yet looks like a dead
	// one.
	dir, err := unix.Open(filepath.Dir(path), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return f, &fs.PathError{Op: "open", Path: filepath.Dir(path), Err: err}
	}
	defer unix.Close(dir) // and the lock with it
	if err := unix.Flock(dir, unix.LOCK_EX); err != nil {
		return f, os.NewSyscallError("flock", err)
	}
	sa := &unix.SockaddrUnix{Name: path}
	err = unix.Bind(fd, sa)
	if err == unix.EADDRINUSE && stale(path) {
		if err := unix.Unlink(path); err != nil {
			return f, os.NewSyscallError("unlink", err)
		}
		err = unix.Bind(fd, sa)
	}
	if err == unix.EINVAL {
		return f, fmt.Errorf("%w: a path may have 107 bytes", unix.EINVAL)
	}
	if err != nil {
		return f, os.NewSyscallError("bind", err)
	}
	id, _, err := identify(path)
	if err != nil {
		return f, err
	}
	f = File{path, id}
	if mode != 0 { // nobody can connect before listen
		if err := os.Chmod(path, mode.Perm()); err != nil {
			return f, err
		}
	}
	return f, os.NewSyscallError("listen", unix.Listen(fd, backlog))
}

// stale reports that path is a socket that nobody listens on.
func stale(path string) bool {
	if _, mode, err := identify(path); err != nil || mode&unix.S_IFMT != unix.S_IFSOCK {
		return false
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return unix.Connect(fd, &unix.SockaddrUnix{Name: path}) == unix.ECONNREFUSED
}

// Inherit readies a duplicate of a listening stream socket that somebody else
// has opened.
func Inherit(fd int) (dup int, err error) {
	option := func(o int) int {
		v, e := unix.GetsockoptInt(fd, unix.SOL_SOCKET, o)
		if e != nil {
			err = os.NewSyscallError("getsockopt", e)
		}
		return v
	}
	kind, listens, family := option(unix.SO_TYPE), option(unix.SO_ACCEPTCONN), option(unix.SO_DOMAIN)
	switch {
	case err != nil:
		return -1, err
	case listens == 0:
		return -1, errors.New("socket does not listen")
	case kind != unix.SOCK_STREAM || family != unix.AF_INET && family != unix.AF_INET6 && family != unix.AF_UNIX:
		return -1, errors.New("socket is neither TCP nor a unix stream")
	}
	if dup, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3); err != nil {
		return -1, os.NewSyscallError("fcntl", err)
	}
	if err = unix.SetNonblock(dup, true); err == nil && family != unix.AF_UNIX {
		err = unix.SetsockoptInt(dup, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // accepted sockets have it from here
	}
	if err != nil {
		unix.Close(dup)
		return -1, err
	}
	return dup, nil
}

// Multipath reports that a listener accepts MPTCP, as those of package net do. Sockets that it accepts over plain TCP
// have not inherited all of SetBuffers.
func Multipath(fd int) bool {
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	return err == nil && protocol == unix.IPPROTO_MPTCP
}

// UnixPath is the path that a unix socket is bound to; ok is false if it is no
// unix socket.
func UnixPath(fd int) (path string, ok bool) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return "", false
	}
	u, ok := sa.(*unix.SockaddrUnix)
	if !ok {
		return "", false
	}
	return u.Name, true
}
