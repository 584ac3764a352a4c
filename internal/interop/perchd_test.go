//go:build linux

package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"
)

// closeTimeout is how long the engine waits for the answer to its close, by default.
const closeTimeout = 5 * time.Second

func TestPerchdPlainHTTP(t *testing.T) {
	d := startPerchd(t)
	for _, tt := range []struct {
		path   string
		status int
		body   string // part of it
	}{
		{"/", 200, "<title>Perch"},
		{"/health", 200, `{"status":"ok"}`},
		{"/static/console-wire.js", 200, "new WebSocket"},
		{"/nothing", 404, ""},
		{"/ws", 426, ""},
	} {
		// Twice, with one client: it keeps connections alive if it is allowed to.
		for range 2 {
			resp, err := http.Get(d.http(tt.path))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != tt.status || !strings.Contains(string(body), tt.body) {
				t.Errorf("GET %s: %v, %d %.100q, want %d with %q", tt.path, err, resp.StatusCode, body, tt.status, tt.body)
			}
			if tt.status == 426 && resp.Header.Get("Sec-WebSocket-Version") != "13" {
				t.Errorf("GET %s: no Sec-WebSocket-Version: 13 (RFC 6455 4.4)", tt.path)
			}
		}
	}
}

func TestPerchdEcho(t *testing.T) {
	websocat := needWebsocat(t)
	d := startPerchd(t)
	for _, tt := range []struct{ path, mode, in, want string }{
		{"/ws", "--text", "hello", "Echo: hello"},
		{"/ws?raw=1", "--text", "hello", "hello"},
		{"/ws?raw=0", "--text", "hello", "Echo: hello"},
		{"/ws", "--binary", "hello", "hello"},
	} {
		got := output(t, strings.NewReader(tt.in), websocat, tt.mode, "--no-close", "--one-message", d.ws(tt.path))
		if strings.TrimSpace(string(got)) != tt.want {
			t.Errorf("%s %s: %q came back as %q, want %q", tt.path, tt.mode, tt.in, got, tt.want)
		}
	}
}

// TestPerchdEchoHasNoRateLimit sends more than a connection may by default.
func TestPerchdEchoHasNoRateLimit(t *testing.T) {
	d := startPerchd(t)
	c := dialPerchd(t, d, "/ws?raw=1", nil)
	const messages = 1000
	go func() {
		for range messages {
			if c.WriteMessage(gorilla.TextMessage, []byte("again")) != nil {
				return // the reader will say why
			}
		}
	}()
	for i := range messages {
		if _, _, err := c.ReadMessage(); err != nil {
			t.Fatalf("after %d messages: %v", i, err)
		}
	}
}

func TestPerchdOrigins(t *testing.T) {
	d := startPerchd(t, "--origin", "https://a.example", "--origin", "https://b.example")
	for origin, want := range map[string]int{
		"https://a.example": 101,
		"https://b.example": 101,
		"https://c.example": 403,
		"":                  101, // not a browser
	} {
		header := http.Header{}
		if origin != "" {
			header.Set("Origin", origin)
		}
		c, resp, err := gorilla.DefaultDialer.Dial(d.ws("/ws"), header)
		if resp == nil {
			t.Fatal(err)
		}
		if resp.StatusCode != want {
			t.Errorf("origin %q: %d, want %d", origin, resp.StatusCode, want)
		}
		if c != nil {
			c.Close()
		}
	}
}

// TestPerchdShutdown asks for the end under load: every client sees 1001, the exit code is 0.
func TestPerchdShutdown(t *testing.T) {
	for _, args := range [][]string{{}, {"--loops", "2", "--private-fds"}} {
		t.Run(fmt.Sprint(args), func(t *testing.T) {
			for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
				d := startPerchd(t, args...)
				const clients = 20
				closed := make(chan error, clients)
				for range clients {
					c := dialPerchd(t, d, "/ws", nil)
					go func() {
						for c.WriteMessage(gorilla.TextMessage, []byte("busy")) == nil {
						}
					}()
					go func() {
						for {
							if _, _, err := c.ReadMessage(); err != nil {
								closed <- err
								return
							}
						}
					}()
				}
				d.signal(s)
				for range clients {
					if err := receive(t, closed, "close"); !gorilla.IsCloseError(err, gorilla.CloseGoingAway) {
						t.Errorf("%v: a client saw %v, want 1001", s, err)
					}
				}
				if code := d.wait(); code != 0 {
					t.Errorf("%v: exit code %d, want 0", s, code)
				}
			}
		})
	}
}

// TestPerchdShutdownDeadline has a client that never answers the close.
func TestPerchdShutdownDeadline(t *testing.T) {
	d := startPerchd(t, "--shutdown-deadline", "300ms")
	dialSilent(t, d)
	began := time.Now()
	d.signal(syscall.SIGTERM)
	if code := d.wait(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	// Without the deadline the engine gives up on such a client after its close timeout.
	if took := time.Since(began); took < 300*time.Millisecond || took > closeTimeout-time.Second {
		t.Errorf("perchd ended after %v, want the deadline of 300 ms", took)
	}
}

// TestPerchdSecondSignal repeats the signal: within a second it is the same wish, afterwards the wish for haste.
func TestPerchdSecondSignal(t *testing.T) {
	d := startPerchd(t, "--shutdown-deadline", "1h")
	dialSilent(t, d)
	d.signal(syscall.SIGTERM)
	d.line("shutting down")
	time.Sleep(1100 * time.Millisecond) // no event tells that a wish has grown old
	began := time.Now()
	d.signal(syscall.SIGTERM)
	if code := d.wait(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if took := time.Since(began); took > closeTimeout-time.Second {
		t.Errorf("perchd ended %v after the second signal, want at once", took)
	}
}

func TestPerchdRefusesToStart(t *testing.T) {
	d := startPerchd(t)
	path := binary(t, "perchd")
	for _, tt := range []struct {
		args, env []string
		code      int
		message   string
	}{
		{[]string{"--nonsense"}, nil, 2, "nonsense"},
		{[]string{"--loops", "none"}, nil, 2, "loops"},
		{nil, []string{"PERCH_LOG_FORMAT=xml"}, 2, "PERCH_LOG_FORMAT"},
		{[]string{"--listen", d.addr}, nil, 1, "address already in use"},
	} {
		p := start(t, nil, tt.env, path, tt.args...)
		if code := p.wait(); code != tt.code {
			t.Errorf("%q: exit code %d, want %d", tt.args, code, tt.code)
		}
		p.line(tt.message)
	}
	if got := string(output(t, nil, path, "--version")); !strings.HasPrefix(got, "perchd ") {
		t.Errorf("--version prints %q", got)
	}
}

func TestPerchbench(t *testing.T) {
	p := start(t, nil, nil, binary(t, "perchbench"), "serve", "--listen", "127.0.0.1:0", "--loops", "2")
	_, at, _ := strings.Cut(p.line("perchbench serves"), "fan-out=")
	fan := strings.Trim(at, `"`)

	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	raw, err := dialGorilla(false)(ctx, strings.TrimSuffix(fan, "/fan")+"/ws")
	if err != nil {
		t.Fatal(err)
	}
	defer raw.abandon()
	for _, want := range messages() {
		if err := raw.send(want); err != nil {
			t.Fatal(err)
		}
		if got, err := raw.receive(); err != nil || got.String() != want.String() {
			t.Fatalf("got %v, %v, want %v", got, err, want)
		}
	}

	var members []client
	for range 5 {
		m, err := dialGorilla(false)(ctx, fan)
		if err != nil {
			t.Fatal(err)
		}
		defer m.abandon()
		members = append(members, m)
	}
	for i, m := range members {
		want := message{1, fmt.Appendf(nil, "from %d", i)}
		if err := m.send(want); err != nil {
			t.Fatal(err)
		}
		for j, other := range members {
			if got, err := other.receive(); err != nil || got.String() != want.String() {
				t.Fatalf("member %d got %v, %v, want %v", j, got, err, want)
			}
		}
	}

	p.signal(syscall.SIGTERM)
	for _, c := range append(members, raw) {
		_, err := c.receive()
		if code, _ := c.closedWith(err); code != 1001 {
			t.Errorf("a client saw %v, want 1001", err)
		}
	}
	p.succeed()
	_, object, _ := strings.Cut(p.output(), "{")
	stats := map[string]any{}
	if err := json.Unmarshal([]byte("{"+object), &stats); err != nil || len(stats) == 0 {
		t.Errorf("no counters as JSON at the end: %v\n%s", err, p.output())
	}
}

// dialPerchd opens a gorilla client that is closed with the test.
func dialPerchd(t *testing.T, d *daemon, path string, header http.Header) *gorilla.Conn {
	t.Helper()
	c, _, err := gorilla.DefaultDialer.Dial(d.ws(path), header)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.NetConn().SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// dialSilent opens a client that has done its handshake and will never say anything again.
func dialSilent(t *testing.T, d *daemon) {
	t.Helper()
	c := dialPerchd(t, d, "/ws", nil)
	if err := c.WriteMessage(gorilla.TextMessage, []byte("last words")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ReadMessage(); err != nil { // so perchd has it open
		t.Fatal(err)
	}
}
