package main

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

// ask sends a GET, with an Authorization unless it is "".
func ask(t *testing.T, c *http.Client, url, authorization string) (status int, header http.Header) {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode, resp.Header
}

// adminAddr waits for the admin listener and returns its address.
func (p *process) adminAddr() string {
	p.t.Helper()
	var line struct{ Address string }
	if err := json.Unmarshal([]byte(p.line("the admin listener answers")), &line); err != nil {
		p.t.Fatal(err)
	}
	return line.Address
}

// administered starts a perchd with an admin listener, and returns the URL of the listener.
func administered(t *testing.T, args ...string) (*process, string) {
	t.Helper()
	p := perchd(t, append([]string{"--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--log-format", "json"}, args...)...)
	at := p.adminAddr()
	p.serves()
	return p, "http://" + at
}

func metricsKey(t *testing.T) (path, key string) {
	t.Helper()
	path, key = filepath.Join(t.TempDir(), "metrics"), "a-key-of-metrics-0123"
	if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, key
}

// TestMetricsKey: once clients need tokens the metrics need the admin listener, or a key.
func TestMetricsKey(t *testing.T) {
	_, public, _ := keyPair(t)
	file, key := metricsKey(t)
	plain := http.DefaultClient

	p, admin := administered(t, "--auth-key", public)
	if status, _ := ask(t, plain, "http://"+p.addr+"/metrics", "Bearer "+key); status != 403 {
		t.Errorf("without a key for it: %d, want 403", status)
	}
	if status, _ := ask(t, plain, admin+"/metrics", ""); status != 200 {
		t.Errorf("on the admin listener: %d, want 200", status)
	}

	p, admin = administered(t, "--auth-key", public, "--metrics-key", file)
	for _, base := range []string{"http://" + p.addr, admin} {
		for authorization, want := range map[string]int{"": 401, "Bearer " + key + "4": 401, "Basic " + key: 401, "Bearer " + key: 200} {
			status, header := ask(t, plain, base+"/metrics", authorization)
			if status != want || (want == 401) != strings.HasPrefix(header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s with %q: %d, want %d; %v", base, authorization, status, want, header)
			}
		}
		for _, path := range []string{"/health", "/ready"} {
			if status, _ := ask(t, plain, base+path, ""); status != 200 {
				t.Errorf("%s%s: %d", base, path, status)
			}
		}
	}
	for _, content := range []string{"", "another-key-0123456"} { // an invalid key leaves the old one
		want := 200
		if content != "" {
			want = 401
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		p.signal(syscall.SIGHUP)
		p.line("reloaded; other")
		if status, _ := ask(t, plain, admin+"/metrics", "Bearer "+key); status != want {
			t.Errorf("after a reload of %q: %d, want %d", content, status, want)
		}
		if content == "" {
			continue
		}
		if status, _ := ask(t, plain, admin+"/metrics", "Bearer "+content); status != 200 {
			t.Errorf("the new key: %d", status)
		}
	}
	if strings.Contains(p.output(), key) {
		t.Error("the key is in the log")
	}

	for said, content := range map[string]string{"less than 16": "short", "letters, digits": "a key with blanks in it"} {
		bad := filepath.Join(t.TempDir(), "bad")
		if err := os.WriteFile(bad, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := refuses(t, 2, "--metrics-key", bad); !strings.Contains(got, "metrics-key (--metrics-key)") || !strings.Contains(got, said) {
			t.Errorf("%q: %s", content, got)
		}
	}
	if got := refuses(t, 2, "--metrics-key", "/nowhere/key"); !strings.Contains(got, "metrics-key (--metrics-key)") {
		t.Error(got)
	}
}

// TestAdminListener: it is apart from clients, answers only its own paths, and answers until the end.
func TestAdminListener(t *testing.T) {
	p, admin := administered(t, "--max-connections", "1", "--shutdown-deadline", "1m")
	c := wstest.Dial(t, p.addr, "/ws")
	for path, want := range map[string]int{"/health": 200, "/ready": 200, "/metrics": 200, "/": 404, "/chat": 404, "/ws": 404} {
		if status, _ := ask(t, http.DefaultClient, admin+path, ""); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	p.signal(syscall.SIGTERM) // c does not answer the close
	p.line("shutting down")
	if reason := closedWith(t, c, frame.CloseGoingAway); reason != "server going away" {
		t.Errorf("closed with %q", reason)
	}
	for path, want := range map[string]int{"/health": 200, "/ready": 503, "/metrics": 200} {
		if status, _ := ask(t, http.DefaultClient, admin+path, ""); status != want {
			t.Errorf("while it shuts down, %s: %d, want %d", path, status, want)
		}
	}
	c.Close()
	if code := p.wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// TestAdminListenerOverUnix: the socket has its mode, and perchd removes it at the end.
func TestAdminListenerOverUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	_, public, _ := keyPair(t)
	for range 2 { // the second perchd replaces the socket that the first, which was killed, has left
		p := perchd(t, "--listen", "127.0.0.1:0", "--admin-listen", "unix:"+path, "--log-format", "json", "--auth-key", public)
		p.adminAddr()
		if status, _ := ask(t, overUnix(path), "http://localhost/metrics", ""); status != 200 {
			t.Errorf("status %d", status)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != adminMode {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		p.signal(syscall.SIGKILL)
		p.wait()
	}
	p := perchd(t, "--listen", "127.0.0.1:0", "--admin-listen", "unix:"+path, "--log-format", "json")
	p.line("perchd serves")
	p.signal(syscall.SIGTERM)
	p.wait()
	if _, err := os.Stat(path); err == nil {
		t.Error("the file is left behind")
	}
}

// TestAdminListenerThatCannotBe: the error names the key.
func TestAdminListenerThatCannotBe(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for addr, status := range map[string]int{
		"systemd": 2, "nonsense": 2, "unix:": 2, "127.0.0.1:99999": 2, taken.Addr().String(): 1,
		"0.0.0.0:0": 2, ":0": 2, "unix:/nowhere/admin.sock": 1, // open mode is for this machine alone
	} {
		if said := refuses(t, status, "--listen", "127.0.0.1:0", "--admin-listen", addr); !strings.Contains(said, "admin-listen (--admin-listen)") {
			t.Errorf("%s: %s", addr, said)
		}
	}
}

// TestAdminListenerToOthers: with keys the listener may be open to other machines, and perchd warns.
func TestAdminListenerToOthers(t *testing.T) {
	_, public, _ := keyPair(t)
	file, _ := metricsKey(t)
	const warning = "whoever reaches the admin listener reads the metrics"
	p := perchd(t, "--listen", "127.0.0.1:0", "--admin-listen", "0.0.0.0:0", "--auth-key", public)
	p.line(warning)
	p.line("perchd serves")
	p = perchd(t, "--listen", "127.0.0.1:0", "--admin-listen", "0.0.0.0:0", "--auth-key", public, "--metrics-key", file)
	p.line("perchd serves")
	if strings.Contains(p.output(), warning) {
		t.Error("warns although there is a key")
	}
}

// TestAdminListenerChecksHost: in open mode a page whose name was made to resolve to us cannot read the metrics.
func TestAdminListenerChecksHost(t *testing.T) {
	_, admin := administered(t)
	for host, want := range map[string]int{"localhost": 200, "evil.example": 403} {
		req, err := http.NewRequest("GET", admin+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host, req.Close = host, true
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", host, resp.StatusCode, want)
		}
	}
}

// TestEndpointsOff: each endpoint can be switched off alone, and the others go on.
func TestEndpointsOff(t *testing.T) {
	upgrades := map[string]string{
		"ws": "/ws", "chat": "/ws/chat", "room": "/ws/room/general", "with-session": "/ws/with-session", "reliable": "/ws/reliable?client_id=1",
		"client-id": "/ws/7", "safe": "/ws/safe", "monitored": "/ws/monitored?client_id=1",
	}
	pages := map[string][]string{"pages": {"/", "/chat", "/static/console.js"}, "metrics": {"/metrics"}, "chat": {"/chat"}}
	for _, on := range []string{"ws", "chat,pages", "room,pages", "with-session", "reliable", "client-id", "safe", "monitored", "pages", "metrics", "all"} {
		p := perchd(t, "--listen", "127.0.0.1:0", "--log-format", "json", "--endpoints", on)
		var line struct{ Address, Endpoints string }
		if err := json.Unmarshal([]byte(p.line("perchd serves")), &line); err != nil {
			t.Fatal(err)
		}
		p.addr = line.Address
		is := func(name string) bool { return on == "all" || slices.Contains(strings.Split(on, ","), name) }
		if got := strings.Fields(line.Endpoints); on != "all" && !slices.Equal(got, strings.Split(on, ",")) {
			t.Errorf("%s: perchd says %q", on, line.Endpoints)
		}
		for name, target := range upgrades {
			c := wstest.Connect(t, p.addr)
			c.Write(wstest.Request("localhost", target))
			want := 404
			if is(name) {
				want = 101
			}
			if r := c.ReadResponse(); r.Status != want {
				t.Errorf("%s: upgrade at %s: %d, want %d", on, target, r.Status, want)
			}
			c.Reset()
		}
		for name, paths := range pages {
			for _, path := range paths {
				want := 404
				if is(name) && (path != "/chat" || is("chat") && is("pages")) {
					want = 200
				}
				if status, _ := p.get("localhost", path); status != want {
					t.Errorf("%s: GET %s: %d, want %d", on, path, status, want)
				}
			}
		}
		for _, path := range []string{"/health", "/ready"} {
			if status, _ := p.get("localhost", path); status != 200 {
				t.Errorf("%s: GET %s: %d", on, path, status)
			}
		}
	}
	if said := refuses(t, 2, "--endpoints", "chatt"); !strings.Contains(said, "endpoints (--endpoints)") || !strings.Contains(said, "chat, room") {
		t.Errorf("perchd said %q", said)
	}
}

// TestStartSaysWhatIsOpen: with a key, the log names the endpoints that need no token.
func TestStartSaysWhatIsOpen(t *testing.T) {
	_, public, _ := keyPair(t)
	for endpoints, want := range map[string]string{"all": "ws pages", "chat,pages": "pages", "chat": ""} {
		p := perchd(t, "--listen", "127.0.0.1:0", "--log-format", "json", "--auth-key", public, "--endpoints", endpoints)
		var line map[string]any
		if err := json.Unmarshal([]byte(p.line("perchd serves")), &line); err != nil {
			t.Fatal(err)
		}
		if got, ok := line["open_to_all"]; !ok || got != want {
			t.Errorf("%s: %v, want %q", endpoints, got, want)
		}
	}
}
