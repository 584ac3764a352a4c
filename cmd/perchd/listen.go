package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"github.com/perchws/perch/internal/server/config"
)

// firstInherited is the descriptor at which systemd's sockets begin: sd_listen_fds(3).
const firstInherited = 3

// inherit takes the socket that systemd has opened for us as the engine's listener, and returns its address.
func inherit(c *config.Config) (net.Addr, error) {
	pid, n := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	switch {
	case n == "" || pid != strconv.Itoa(os.Getpid()):
		return nil, c.Errorf("listen", "systemd has passed no socket (LISTEN_PID=%s, LISTEN_FDS=%s): is there a .socket unit?", pid, n)
	case n != "1":
		return nil, c.Errorf("listen", "systemd has passed %s sockets: want one", n)
	}
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		os.Unsetenv(name) // not for children of ours
	}
	syscall.CloseOnExec(firstInherited)
	f := os.NewFile(firstInherited, "systemd")
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, c.Errorf("listen", "what systemd has passed: %w", err)
	}
	defer ln.Close() // a duplicate
	if unix, ok := ln.(*net.UnixListener); ok {
		unix.SetUnlinkOnClose(false)
	}
	c.Engine.Listener = f
	return ln.Addr(), nil
}

// reachable returns the URL at which a program on this machine finds a server that listens on addr,
// and a command that talks to it.
func reachable(addr net.Addr, secure bool) (page, try string) {
	if addr.Network() == "unix" {
		return fmt.Sprintf("curl --unix-socket %s http://localhost/", addr), fmt.Sprintf("websocat --ws-c-uri ws://localhost/ws - ws-c:unix:%s", addr)
	}
	at := addr.String()
	if ap, err := netip.ParseAddrPort(at); err == nil && ap.Addr().IsUnspecified() {
		loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if ap.Addr().Is6() {
			loopback = netip.IPv6Loopback()
		}
		at = netip.AddrPortFrom(loopback, ap.Port()).String()
	}
	if secure {
		return "https://" + at + "/", "websocat -k wss://" + at + "/ws"
	}
	return "http://" + at + "/", "websocat ws://" + at + "/ws"
}
