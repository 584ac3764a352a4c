package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

func TestReachable(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:8000": "127.0.0.1:8000",
		"0.0.0.0:80":     "127.0.0.1:80",
		"[::]:80":        "[::1]:80",
		"[::1]:9":        "[::1]:9",
		"192.0.2.7:9":    "192.0.2.7:9",
	} {
		a, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if page, try := reachable(a, true); page != "https://"+want+"/" || try != "websocat -k wss://"+want+"/ws" {
			t.Errorf("reachable(%q) with TLS = %q, %q, want %q", addr, page, try, want)
		}
		if page, try := reachable(a, false); page != "http://"+want+"/" || try != "websocat ws://"+want+"/ws" {
			t.Errorf("reachable(%q) = %q, %q, want %q", addr, page, try, want)
		}
	}
	if page, try := reachable(&net.UnixAddr{Name: "/run/p", Net: "unix"}, false); !strings.Contains(page, "--unix-socket /run/p") || !strings.Contains(try, "ws-c:unix:/run/p") {
		t.Errorf("unix: %q, %q", page, try)
	}
}

// overUnix is an HTTP client whose every connection goes to a unix socket.
func overUnix(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
}

func health(t *testing.T, c *http.Client, host string) int {
	t.Helper()
	resp, err := c.Get("http://" + host + "/health")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// TestListenUnix: other machines cannot reach a unix socket, so perchd may be open on it; the Host rule still holds.
func TestListenUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "perchd.sock")
	p := perchd(t, "--listen", "unix:"+path, "--socket-mode", "0600")
	if said := p.line("perchd serves"); !strings.Contains(said, path) {
		t.Errorf("said %q", said)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	c := overUnix(path)
	if got := health(t, c, "localhost"); got != 200 {
		t.Errorf("health: %d", got)
	}
	if got := health(t, c, "evil.example"); got != 403 {
		t.Errorf("health of another host: %d", got)
	}
	if said := refuses(t, 1, "--listen", "unix:"+path); !strings.Contains(said, path) || !strings.Contains(said, "in use") {
		t.Errorf("a second perchd said %q", said)
	}
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the file is left: %v", err)
	}
}

// activated runs perchd as systemd runs a service with sockets: they are descriptors 3 and up, and
// LISTEN_PID is the process itself.
func activated(t *testing.T, sockets ...*os.File) *process {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=$0 exec "$@"`, string('0'+rune(len(sockets))), os.Args[0], "--listen", "systemd")
	cmd.ExtraFiles = sockets
	return run(t, cmd, "--listen", "systemd")
}

// TestListenSystemd: perchd serves the socket that systemd opened, TCP or unix. The socket outlives perchd: clients
// that connect during a restart wait and are not refused.
func TestListenSystemd(t *testing.T) {
	tcp := wstest.Listen(t)
	file, err := tcp.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	addr := tcp.Addr().String()
	p := activated(t, file)
	if said := p.line("perchd serves"); !strings.Contains(said, addr) {
		t.Errorf("said %q", said)
	}
	c := wstest.Dial(t, addr, "/ws")
	c.Send(wstest.Text("hello"))
	c.ExpectText("Echo: hello")
	p.signal(syscall.SIGTERM)
	c.ExpectClose(frame.CloseGoingAway)
	c.Send(wstest.Close(frame.CloseGoingAway, ""))
	if code := p.wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	late := wstest.Connect(t, addr)
	late.Write(wstest.Request(addr, "/ws"))
	next := activated(t, file)
	next.line("perchd serves")
	late.ExpectUpgraded()

	path := filepath.Join(t.TempDir(), "s")
	unix, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close()
	file, err = unix.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p = activated(t, file)
	p.line("perchd serves")
	if got := health(t, overUnix(path), "localhost"); got != 200 {
		t.Errorf("health: %d", got)
	}
	p.signal(syscall.SIGTERM)
	p.wait()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("systemd's file: %v", err)
	}
}

// TestListenSystemdRefused: sockets that are missing, too many, or open to other machines without a key.
func TestListenSystemdRefused(t *testing.T) {
	if said := refuses(t, 2, "--listen", "systemd"); !strings.Contains(said, "listen (--listen)") || !strings.Contains(said, "no socket") {
		t.Errorf("without a socket: %q", said)
	}
	all, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	file, err := all.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, tt := range []struct {
		files []*os.File
		says  string
	}{
		{[]*os.File{file, file}, "2 sockets"},
		{[]*os.File{null}, "what systemd has passed"},
		{[]*os.File{file}, "auth-key"},
	} {
		p := activated(t, tt.files...)
		if code := p.wait(); code != 2 || !strings.Contains(p.output(), tt.says) {
			t.Errorf("exit status %d, said %q, want %q", code, p.output(), tt.says)
		}
	}
}
