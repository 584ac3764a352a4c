//go:build linux

package listen_test

import (
	"context"
	"net"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// forbidIPv6 makes this process, a child, one whose kernel knows no IPv6, as systemd's
// RestrictAddressFamilies does.
func forbidIPv6(t *testing.T) {
	t.Helper()
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the system call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_SOCKET, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 16}, // the lower half of its first argument
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.AF_INET6, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EAFNOSUPPORT)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(&filter)
	if e != 0 {
		t.Skipf("no seccomp here: %v", e)
	}
	if fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM, 0); err != unix.EAFNOSUPPORT {
		t.Fatalf("a socket of IPv6: %d, %v", fd, err)
	}
}

// Without IPv6 an address without a host is all of IPv4, and one of IPv6 is an error
// that says so.
func TestNoIPv6(t *testing.T) {
	if !enginetest.InChild(t, nil) {
		return
	}
	forbidIPv6(t)
	srv := enginetest.StartRoute(t, perch.Config{Addr: ":0"}, enginetest.Echo())
	addr := srv.Addr().(*net.TCPAddr)
	if !addr.IP.Equal(net.IPv4zero) {
		t.Errorf("listens on %v, want all of IPv4", addr)
	}
	c := enginetest.NewClient()
	if err := srv.Dial(context.Background(), strings.Replace(enginetest.URL(addr), "0.0.0.0", "localhost", 1), c.Handler); err != nil {
		t.Fatal(err)
	}
	wstest.Receive(t, "OnOpen", c.Opened).SendText("hello")
	if got := wstest.Receive(t, "the echo", c.Messages); got != "hello" {
		t.Errorf("%q", got)
	}
	for _, addr := range []string{"[::]:0", "[::1]:0"} {
		if err := perch.New(perch.Config{Addr: addr}).Start(); err == nil || !strings.Contains(err.Error(), "address family not supported") {
			t.Errorf("%s: %v", addr, err)
		}
	}
}
