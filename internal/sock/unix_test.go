//go:build linux

package sock_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/sock"
)

// listenUnix opens a listener that is closed when the test ends.
func listenUnix(t *testing.T, path string, mode fs.FileMode) (int, sock.File) {
	t.Helper()
	fd, f, err := sock.ListenUnix(path, mode)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd, f
}

func TestListenUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, f := listenUnix(t, path, 0o640)
	st, err := os.Stat(path)
	if err != nil || st.Mode() != fs.ModeSocket|0o640 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if fd, peer := accept(t, l); peer.IsValid() || sock.PeerAddr(fd).IsValid() {
		t.Errorf("a unix peer has address %v", peer)
	}
	if got, ok := sock.UnixPath(l); got != path || !ok {
		t.Errorf("UnixPath %q, %v", got, ok)
	}
	if fd, _, err := sock.ListenUnix(path, 0); !errors.Is(err, unix.EADDRINUSE) || !strings.Contains(err.Error(), path) {
		unix.Close(fd)
		t.Errorf("where somebody listens: %v, want EADDRINUSE", err)
	}
	if f.Remove(); exists(path) {
		t.Error("the file is still there")
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// A server that is gone leaves its file: it is replaced. Another file than a
// socket is not, and a file that another server has made since is not removed.
func TestListenUnixStale(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	fd, old, err := sock.ListenUnix(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd) // killed
	_, f := listenUnix(t, path, 0)
	if old.Remove(); !exists(path) {
		t.Error("the file of another server is removed")
	}
	if c, err := net.Dial("unix", path); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
	f.Remove()

	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := sock.ListenUnix(path, 0); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("where a file is: %v", err)
	}
	if b, err := os.ReadFile(path); string(b) != "precious" {
		t.Errorf("it is %q now, %v", b, err)
	}
}

// Of many that find the same dead server one takes its place.
func TestListenUnixRace(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), "s")
		fd, _, err := sock.ListenUnix(path, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
		var all sync.WaitGroup
		got := make(chan int, 8)
		for range cap(got) {
			all.Go(func() {
				fd, _, err := sock.ListenUnix(path, 0)
				if err == nil {
					got <- fd
				} else if !errors.Is(err, unix.EADDRINUSE) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if close(got); len(got) != 1 {
			t.Errorf("%d listen on one path", len(got))
		}
		for fd := range got {
			unix.Close(fd)
		}
	}
}

func TestListenUnixErrors(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct{ path, says string }{
		{"", "no path"},
		{filepath.Join(dir, strings.Repeat("x", 108)), "107"},
		{filepath.Join(dir, "none", "s"), "no such file"},
		{filepath.Join(dir, "none"), ""},
	} {
		fd, f, err := sock.ListenUnix(tt.path, 0)
		if err == nil {
			unix.Close(fd)
			f.Remove()
		}
		if (err != nil) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%.40q: %v, want %q", tt.path, err, tt.says)
		}
	}
	abstract := "@perch-test-" + strings.ReplaceAll(filepath.Base(dir), "/", "-") + t.Name()
	listenUnix(t, abstract, 0)
	if _, _, err := sock.ListenUnix(abstract, 0); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("twice in the abstract namespace: %v", err)
	}
}

func TestInherit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, _ := listenUnix(t, path, 0)
	tcp, _ := listen(t, "127.0.0.1:0", false)
	unix.SetNonblock(tcp, false) // as systemd does
	unix.SetsockoptInt(tcp, unix.IPPROTO_TCP, unix.TCP_NODELAY, 0)
	for _, fd := range []int{l, tcp} {
		dup, err := sock.Inherit(fd)
		if err != nil {
			t.Fatal(err)
		}
		flags, _ := unix.FcntlInt(uintptr(dup), unix.F_GETFL, 0)
		own, _ := unix.FcntlInt(uintptr(dup), unix.F_GETFD, 0)
		if dup == fd || flags&unix.O_NONBLOCK == 0 || own&unix.FD_CLOEXEC == 0 {
			t.Errorf("descriptor %d of %d, flags %#x, %#x", dup, fd, flags, own)
		}
		unix.Close(dup)
	}
	if v, _ := unix.GetsockoptInt(tcp, unix.IPPROTO_TCP, unix.TCP_NODELAY); v == 0 {
		t.Error("TCP_NODELAY is off")
	}
	a, _ := pair(t)
	udp, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(udp)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, fd := range []int{a, udp, int(null.Fd()), 1 << 30} {
		if dup, err := sock.Inherit(fd); err == nil {
			unix.Close(dup)
			t.Errorf("descriptor %d is taken for a listener", fd)
		}
	}
}
