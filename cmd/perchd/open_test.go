package main

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

func TestOpenListensOnLoopbackAlone(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", "[::]:0", ":0", "192.0.2.1:0"} {
		said := refuses(t, 2, "--listen", listen)
		for _, part := range []string{"listen (--listen)", listen, "auth-key"} {
			if !strings.Contains(said, part) {
				t.Errorf("%s: said %q, want %q in it", listen, said, part)
			}
		}
	}
	for _, listen := range []string{"localhost:0", "127.0.0.1:0"} {
		p := perchd(t, "--listen", listen)
		p.line("perchd runs open") // the warning
		p.line("perchd serves")
	}
}

// TestOpenChecksHost: a page whose name was made to resolve to 127.0.0.1 gets nothing, upgrade or not.
func TestOpenChecksHost(t *testing.T) {
	p := serving(t)
	_, port, err := net.SplitHostPort(p.addr)
	if err != nil {
		t.Fatal(err)
	}
	for host, ok := range map[string]bool{
		"localhost": true, "LOCALHOST:" + port: true, "127.0.0.1": true, p.addr: true, "[::1]:" + port: true,
		"localhost.": true, "foo.localhost:" + port: true, "foo.localhost.": true,
		"evil.example": false, "evil.example:" + port: false, "localhost.evil.example": false, "127.0.0.2": false, "192.0.2.1": false, "127.0.0.1.nip.io:" + port: false,
	} {
		for _, path := range []string{"/", "/health", "/ready", "/metrics", "/static/console.js", "/nothing"} {
			want := 403
			if ok {
				want = map[string]int{"/nothing": 404}[path]
				want = max(want, 200)
			}
			if status, _ := p.get(host, path); status != want {
				t.Errorf("GET %s of %s: %d, want %d", path, host, status, want)
			}
		}
		for _, target := range append(targets(), "/ws") {
			c := wstest.Connect(t, p.addr)
			// Origin and Host agree, so only the check of Host can refuse the request.
			c.Write(wstest.Request(host, target, "Origin: http://"+host))
			want := 403
			if ok {
				want = 101
			}
			if r := c.ReadResponse(); r.Status != want {
				t.Errorf("upgrade %s of %s: %d, want %d", target, host, r.Status, want)
			}
			c.Reset()
		}
	}
}

// endpoints is a request target of every WebSocket endpoint but /ws, with a first message that is welcome there.
var endpoints = []struct{ target, first string }{
	{"/ws/chat", `{"username":"ann"}`},
	{"/ws/room/general", `{"type":"join"}`},
	{"/ws/with-session", `{"type":"get_session"}`},
	{"/ws/reliable?client_id=1", `{"type":"ping"}`},
	{"/ws/safe", `{"type":"hello"}`},
	{"/ws/monitored?client_id=1", `{"type":"hello"}`},
	{"/ws/7", `{"type":"ping"}`},
}

func targets() (all []string) {
	for _, e := range endpoints {
		all = append(all, e.target)
	}
	return all
}

// TestOpenIsAnonymous: no token is needed, but a token that is shown must be good, and perchd token makes good ones.
func TestOpenIsAnonymous(t *testing.T) {
	p := serving(t)
	t.Setenv("XDG_STATE_HOME", p.state)
	good := token(t, "--sub", "7")
	for _, e := range endpoints {
		for _, header := range []string{"X-No: token", "Authorization: Bearer " + good} {
			c := wstest.Dial(t, p.addr, e.target, header)
			c.Send(wstest.Text(e.first))
			welcome(t, c)
		}
		c := wstest.Dial(t, p.addr, e.target, "Authorization: Bearer "+good[:len(good)-4]+"AAAA")
		closedWith(t, c, frame.ClosePolicyViolation)
	}
}

func TestOpenUsesTheKeyItIsGiven(t *testing.T) {
	path := t.TempDir() + "/dev.key"
	p := serving(t, "--auth-dev-key", path)
	c := wstest.Dial(t, p.addr, "/ws/7", "Authorization: Bearer "+token(t, "--sub", "7", "--dev-key", path))
	c.Send(wstest.Text("hello"))
	welcome(t, c)

	said := refuses(t, 2, "--listen", "127.0.0.1:0", "--auth-dev-key", "/proc/nowhere/dev.key")
	if !strings.Contains(said, "auth-dev-key (--auth-dev-key)") {
		t.Errorf("said %q, want the key named", said)
	}
}

// welcome demands an answer that is no error.
func welcome(t *testing.T, c *wstest.Conn) {
	t.Helper()
	if _, p := c.NextMessage(); strings.Contains(string(p), `"error"`) {
		t.Errorf("got %s", p)
	}
}

// closedWith reads until the peer closes, which must be with this code, and returns the reason.
func closedWith(t *testing.T, c *wstest.Conn, code frame.CloseCode) string {
	t.Helper()
	for end := time.Now().Add(wstest.DefaultTimeout); time.Now().Before(end); {
		f, err := c.Next()
		if err != nil {
			t.Fatalf("got %v, want close %d", err, code)
		}
		if f.Op != frame.OpClose {
			continue
		}
		got, reason := f.CloseInfo()
		if got != code {
			t.Errorf("closed with %d %q, want %d", got, reason, code)
		}
		return reason
	}
	t.Fatalf("not closed, want close %d", code)
	return ""
}
