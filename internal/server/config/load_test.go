package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// write makes a configuration file.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "perchd.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPrecedence(t *testing.T) {
	path := write(t, "loops = 2\norigin = [\"https://file.example\"]")
	for _, tt := range []struct {
		args          string
		env           []string
		loops         int
		origins       string
		source, lists string
	}{
		{"", nil, 0, "", "default", "default"},
		{"--config " + path, nil, 2, "https://file.example", "file " + path, "file " + path},
		{"", []string{"PERCH_CONFIG=" + path}, 2, "https://file.example", "file " + path, "file " + path},
		{"--config " + path, []string{"PERCH_CONFIG=/nowhere", "PERCH_LOOPS=3"}, 3, "https://file.example", "PERCH_LOOPS", "file " + path},
		{"--loops 4", []string{"PERCH_CONFIG=" + path, "PERCH_LOOPS=3", "PERCH_ORIGIN=https://e.example"}, 4, "https://e.example", "--loops", "PERCH_ORIGIN"},
		{"--origin https://a.example --origin https://b.example", []string{"PERCH_CONFIG=" + path, "PERCH_ORIGIN=*"}, 2, "https://a.example https://b.example", "file " + path, "--origin"},
		{"--loops 4 --loops 5", nil, 5, "", "--loops", "default"},
		{"--loops auto --config " + path, nil, 0, "https://file.example", "--loops", "file " + path},
		// an empty variable counts as not set
		{"", []string{"PERCH_LOOPS=", "PERCH_ORIGIN=", "PERCH_CONFIG=", "LOOPS=9"}, 0, "", "default", "default"},
	} {
		c, err := Load(strings.Fields(tt.args), tt.env)
		if err != nil {
			t.Errorf("%q %q: %v", tt.args, tt.env, err)
			continue
		}
		if got := strings.Join(c.Engine.Origins, " "); c.Engine.Loops != tt.loops || got != tt.origins || c.Source("loops") != tt.source || c.Source("origin") != tt.lists {
			t.Errorf("%q %q: loops %d (%s), origin %q (%s)", tt.args, tt.env, c.Engine.Loops, c.Source("loops"), got, c.Source("origin"))
		}
	}
}

func TestRefuses(t *testing.T) {
	const pem = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n"
	for _, tt := range []struct {
		args []string
		env  string
		file string
		says []string // all of them must be in the message
		not  string   // this must not be in the message
	}{
		{args: []string{"--nonsense", "1"}, says: []string{"nonsense"}},
		{args: []string{"serve"}, says: []string{"serve"}},
		{args: []string{"--loops"}, says: []string{"loops"}},
		{args: []string{"--loops", "0"}, says: []string{"loops (--loops)", `"0"`, "whole number from 1"}},
		{args: []string{"--loops", "many"}, says: []string{"loops (--loops)", `"many"`}},
		{args: []string{"--max-connections", "-1"}, says: []string{"max-connections (--max-connections)"}},
		{args: []string{"--max-connections", "1073741825"}, says: []string{"max-connections"}},
		{args: []string{"--max-errors", "auto"}, says: []string{"max-errors"}},
		{args: []string{"--listen", "8000"}, says: []string{"listen (--listen)", "host:port"}},
		{args: []string{"--listen", "127.0.0.1:65536"}, says: []string{"listen"}},
		{args: []string{"--listen", "127.0.0.1:http"}, says: []string{"listen"}},
		{args: []string{"--listen", "unix:relative"}, says: []string{"listen", "unix:/path"}},
		{args: []string{"--listen", "unix:"}, says: []string{"listen", "unix:/path"}},
		{args: []string{"--socket-mode", "1777"}, says: []string{"socket-mode", "0660"}},
		{args: []string{"--socket-mode", "rw"}, says: []string{"socket-mode", "auto"}},
		{args: []string{"--proxy-protocol", "nginx"}, says: []string{"proxy-protocol", "or unix"}},
		{args: []string{"--private-fds=maybe"}, says: []string{"private-fds", "true or false"}},
		{args: []string{"--origin", "example.com"}, says: []string{"origin"}},
		{args: []string{"--origin", "https://example.com/"}, says: []string{"origin"}},
		{args: []string{"--trusted-proxies", "10.0.0.1/8"}, says: []string{"trusted-proxies", "10.0.0.0/8"}},
		{args: []string{"--trusted-proxies", "proxy"}, says: []string{"trusted-proxies"}},
		{args: []string{"--max-message-size", "64XB"}, says: []string{"max-message-size", "64KiB"}},
		{args: []string{"--max-message-size", "-1"}, says: []string{"max-message-size"}},
		{args: []string{"--max-message-size", "9223372036854775807KiB"}, says: []string{"max-message-size"}},
		{args: []string{"--shutdown-deadline", "10"}, says: []string{"shutdown-deadline", "10s"}},
		{args: []string{"--shutdown-deadline", "-1s"}, says: []string{"shutdown-deadline"}},
		{args: []string{"--close-timeout", "1ns"}, says: []string{"close-timeout"}},
		{args: []string{"--rooms", ""}, says: []string{"rooms"}},
		{args: []string{"--rooms", strings.Repeat("x", 65)}, says: []string{"rooms"}},
		{args: []string{"--locale", "fr"}, says: []string{"locale", "en or zh"}},
		{args: []string{"--log-format", "xml"}, says: []string{"log-format", "text or json"}},
		{args: []string{"--log-level", "loud"}, says: []string{"log-level"}},
		{args: []string{"--auth-key", "="}, says: []string{"auth-key"}},
		{args: []string{"--auth-key", pem}, says: []string{"auth-key"}, not: "c2VjcmV0"},
		{args: []string{"--auth-jwks-url", "ftp://u:c2VjcmV0@h/"}, says: []string{"auth-jwks-url"}, not: "c2VjcmV0"},
		{args: []string{"--auth-cookie", "a b"}, says: []string{"auth-cookie"}},
		{args: []string{"--auth-audience", ""}, says: []string{"auth-audience"}},
		{args: []string{"--auth-issuer", "a\x07b"}, says: []string{"auth-issuer"}},
		{args: []string{"--config", "/nowhere/perchd.toml"}, says: []string{"config", "/nowhere/perchd.toml"}},
		{env: "PERCH_LOOPS=x", says: []string{"loops (PERCH_LOOPS)"}},
		{args: []string{"--loops", "2"}, env: "PERCH_LOOPS=x", says: []string{"loops (PERCH_LOOPS)"}}, // overridden, too
		{env: "PERCH_ORIGIN=https://a.example,nonsense", says: []string{"origin (PERCH_ORIGIN)", `"nonsense"`}},
		{env: "PERCH_NONSENSE=1", says: []string{"PERCH_NONSENSE", "unknown key"}},
		{env: "PERCH_PORT=8000", says: []string{"PERCH_PORT", "unknown key"}},
		{env: "PERCH_VERSION=1", says: []string{"PERCH_VERSION", "unknown key"}},
		{file: "nonsense = 1", says: []string{"nonsense (file ", "unknown key"}},
		{file: "config = 'x'", says: []string{"config (file ", "unknown key"}},
		{file: "[limits]\nloops = 1", says: []string{"limits (file ", "unknown key"}},
		{file: "loops = 0", says: []string{"loops (file ", `"0"`}},
		{file: "loops = 1.5", says: []string{"loops (file "}},
		{file: "loops = [1]", says: []string{"loops (file "}},
		{file: "loops = ['1', '2']", says: []string{"loops (file ", "one value"}},
		{file: "close-timeout = 10", says: []string{"close-timeout (file ", "10s"}},
		{file: "loops = 1\nloops = 2", says: []string{"config (file ", "line 2", "loops"}},
		{file: "loops: 1", says: []string{"config (file ", "line 1"}},
		// every fault is reported
		{args: []string{"--workers", "x"}, env: "PERCH_LOOPS=x", file: "locale = 'x'\nrooms = 5.5", says: []string{"workers (--", "loops (PERCH", "locale (file", "rooms (file"}},
	} {
		args, env := tt.args, []string{tt.env}
		if tt.file != "" {
			args = append(args, "--config", write(t, tt.file))
		}
		_, err := Load(args, env)
		if err == nil {
			t.Errorf("%q %q %q: no error", tt.args, tt.env, tt.file)
			continue
		}
		for _, part := range tt.says {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q %q %q: error %q, want %q in it", tt.args, tt.env, tt.file, err, part)
			}
		}
		if tt.not != "" && strings.Contains(err.Error(), tt.not) {
			t.Errorf("%q: the error has the secret: %v", tt.args, err)
		}
	}
}

// TestServiceLinks: variables that Kubernetes sets for a service named perch are no errors.
func TestServiceLinks(t *testing.T) {
	env := []string{"PERCH_SERVICE_HOST=10.0.0.11", "PERCH_SERVICE_PORT=8000", "PERCH_SERVICE_PORT_HTTP=8000", "PERCH_PORT=tcp://10.0.0.11:8000",
		"PERCH_PORT_8000_TCP=tcp://10.0.0.11:8000", "PERCH_PORT_8000_TCP_PROTO=tcp", "PERCH_PORT_8000_TCP_PORT=8000", "PERCH_PORT_8000_TCP_ADDR=10.0.0.11",
		"PERCH_CHAT_SERVICE_HOST=10.0.0.12", "PERCH_CHAT_PORT=tcp://10.0.0.12:80", "PERCHED=1"}
	if _, err := Load(nil, env); err != nil {
		t.Error(err)
	}
}

func TestActions(t *testing.T) {
	for args, want := range map[string]error{"--help": flag.ErrHelp, "-h": flag.ErrHelp, "-help": flag.ErrHelp, "--version": ErrVersion, "-version": ErrVersion,
		"--loops 2 --version": ErrVersion, "--loops x --help": flag.ErrHelp, "--nonsense --help": flag.ErrHelp} {
		if _, err := Load(strings.Fields(args), nil); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", args, err, want)
		}
	}
}

// TestPingTimes: one of the two times alone gives the other, and Print shows where that comes from.
func TestPingTimes(t *testing.T) {
	for _, tt := range []struct {
		args              string
		interval, timeout time.Duration
		says              string
	}{
		{"", 30 * time.Second, 60 * time.Second, `ping-timeout = "1m" # default`},
		{"--ping-interval=2m", 2 * time.Minute, 4 * time.Minute, `ping-timeout = "4m" # from ping-interval`},
		{"--ping-timeout=30s", 15 * time.Second, 30 * time.Second, `ping-interval = "15s" # from ping-timeout`},
		{"--ping-interval=0s", -1, -1, `ping-timeout = "0s" # from ping-interval`},
		{"--ping-timeout=0s", 30 * time.Second, -1, `ping-interval = "30s" # default`},
		{"--ping-interval=1s --ping-timeout=9s", time.Second, 9 * time.Second, `ping-timeout = "9s" # --ping-timeout`},
	} {
		c, err := Load(strings.Fields(tt.args), nil)
		if err != nil {
			t.Errorf("%q: %v", tt.args, err)
			continue
		}
		if c.Engine.PingInterval != tt.interval || c.Engine.PingTimeout != tt.timeout {
			t.Errorf("%q: %v and %v, want %v and %v", tt.args, c.Engine.PingInterval, c.Engine.PingTimeout, tt.interval, tt.timeout)
		}
		var out strings.Builder
		c.Print(&out)
		if shown := strings.Join(strings.Fields(out.String()), " "); !strings.Contains(shown, tt.says) {
			t.Errorf("%q: %q is not printed:\n%s", tt.args, tt.says, &out)
		}
	}
}

// TestMessageSizeAndRate: the rate is high enough for the longest message, unless a rate is set.
func TestMessageSizeAndRate(t *testing.T) {
	for _, tt := range []struct {
		args   string
		rate   int // −1: none
		source string
	}{
		{"", 1 << 20, "default"},
		{"--max-message-size=8MiB", 8 << 20, "from max-message-size"},
		{"--max-message-size=0", -1, "from max-message-size"},
		{"--max-message-size=0 --bytes-per-second=2MiB", 2 << 20, "--bytes-per-second"},
		{"--max-message-size=8MiB --bytes-per-second=8MiB", 8 << 20, "--bytes-per-second"},
		{"--max-message-size=8MiB --bytes-per-second=0", -1, "--bytes-per-second"},
		{"--bytes-per-second=1KiB", 1 << 10, "--bytes-per-second"}, // 64 KiB are one read of a loop
	} {
		c, err := Load(strings.Fields(tt.args), nil)
		if err != nil || c.Engine.Rate.Bytes != tt.rate || c.Source("bytes-per-second") != tt.source {
			t.Errorf("%q: %v; %d, want %d, %s", tt.args, err, c.Engine.Rate.Bytes, tt.rate, tt.source)
		}
	}
}
