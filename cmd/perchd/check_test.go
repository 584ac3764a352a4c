package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/wstest"
)

// TestConfigRefusesWhatPerchdRefuses: perchd config reports every fault that would stop perchd from serving, in the
// same words, and still prints the values. A port that cannot be bound is the exception.
func TestConfigRefusesWhatPerchdRefuses(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	private, public, _ := keyPair(t)
	loose := file("loose.key", "x", 0o644)
	empty, nonsense := file("empty", "", 0o600), file("nonsense", "nonsense", 0o600)
	secret := file("secret", strings.Repeat("s", auth.MinSecret), 0o600)
	written := file("written", strings.Repeat("w", auth.MinSecret), 0o600)
	if err := os.Chmod(written, 0o646); err != nil { // so that the umask does not matter
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args string
		says []string
	}{
		{"--listen 0.0.0.0:0", []string{"listen (--listen)", "reached by other machines"}},
		{"--listen nowhere.invalid:0", []string{"listen (--listen)", "nowhere.invalid"}},
		{"--listen nowhere.invalid:0 --auth-key " + public, []string{"listen (--listen)", "nowhere.invalid"}},
		{"--admin-listen 0.0.0.0:0", []string{"admin-listen (--admin-listen)", "reached by other machines"}},
		{"--admin-listen nowhere.invalid:0 --auth-key " + public, []string{"admin-listen (--admin-listen)", "nowhere.invalid"}},
		{"--auth-key /nowhere/key", []string{"auth-key (--auth-key)", "/nowhere/key"}},
		{"--auth-key " + dir, []string{"auth-key (--auth-key)", "regular"}},
		{"--auth-key " + empty, []string{"auth-key (--auth-key)", "0 bytes"}},
		{"--auth-key " + private, []string{"auth-key (--auth-key)", "private key"}},
		{"--auth-key " + nonsense + " --auth-key /nowhere/key", []string{"8 bytes", "/nowhere/key"}},
		{"--auth-jwks-file /nowhere/jwks", []string{"auth-jwks-file (--auth-jwks-file)", "/nowhere/jwks"}},
		{"--auth-jwks-file " + nonsense, []string{"auth-jwks-file (--auth-jwks-file)", nonsense, "JSON"}},
		{"--auth-jwks-url http://192.0.2.1/jwks", []string{"auth-jwks-url (--auth-jwks-url)", "https"}},
		{"--auth-dev-key " + loose, []string{"auth-dev-key (--auth-dev-key)", "chmod"}},
		{"--auth-dev-key /proc/nowhere/dev.key", []string{"auth-dev-key (--auth-dev-key)"}},
		{"--auth-dev-key " + nonsense, []string{"auth-dev-key (--auth-dev-key)", "malformed"}},
		{"--metrics-key /nowhere/key", []string{"metrics-key (--metrics-key)", "/nowhere/key"}},
		{"--tls-cert a.pem", []string{"tls-key (default)", "not as many"}},
		{"--tls-self-signed --tls-cert a.pem --tls-key a.key", []string{"tls-self-signed (--tls-self-signed)", "want one"}},
		{"--tls-client-ca " + nonsense, []string{"tls-client-ca (--tls-client-ca)", "without tls-cert"}},
		{"--tls-cert /nowhere/a.pem --tls-key /nowhere/a.key", []string{"tls-cert (--tls-cert)", "/nowhere/a.pem"}},
		{"--tls-cert " + nonsense + " --tls-key " + private, []string{"tls-cert (--tls-cert)", nonsense}},
		{"--tls-self-signed --tls-client-ca /nowhere/ca", []string{"tls-client-ca (--tls-client-ca)", "/nowhere/ca"}},
		{"--tls-self-signed --tls-client-ca " + nonsense, []string{"tls-client-ca (--tls-client-ca)", "no certificate"}},
		{"--rooms general", []string{"rooms (--rooms)", "general"}},
		{"--rooms a --rooms a", []string{"rooms (--rooms)", "a"}},
		{"--ping-interval 2m --ping-timeout 1m", []string{"ping-timeout", "ping-interval"}},
		{"--trusted-proxies 0.0.0.0/0", []string{"trusted-proxies (--trusted-proxies)", "name the proxies"}},
		{"--max-output 1GiB --max-output-total 1MiB", []string{"max-output-total (--max-output-total)", "want at least twice max-output"}},
		{"--session-memory 1", []string{"session-memory (--session-memory)", "want at least 1MiB"}},
		{"--auth-audience a", []string{"auth-audience (--auth-audience)", "set auth-key"}},
		{"--auth-key k=" + public + " --auth-key k=" + secret, []string{"auth-key (--auth-key)", "kid k", "want a kid for each"}},
		{"--auth-key " + written, []string{"auth-key (--auth-key)", "mode 0646", "chmod o-w"}},
		{"--send-buffer 1", []string{"send-buffer (--send-buffer)", "4KiB"}},
		// all at once
		{"--listen 0.0.0.0:0 --rooms general --tls-cert /nowhere/a --tls-key /nowhere/b --auth-dev-key " + loose,
			[]string{"listen (--listen)", "rooms (--rooms)", "tls-cert (--tls-cert)", "auth-dev-key (--auth-dev-key)"}},
		{"--auth-key " + nonsense + " --auth-jwks-file " + nonsense + " --tls-cert a", []string{"auth-key (", "auth-jwks-file (", "tls-key ("}},
	} {
		args := strings.Fields(tt.args)
		if !strings.Contains(tt.args, "--listen") {
			args = append(args, "--listen", "127.0.0.1:0")
		}
		started := refuses(t, 2, args...)
		checked := refuses(t, 2, append([]string{"config"}, args...)...)
		for _, part := range tt.says {
			if !strings.Contains(checked, part) || !strings.Contains(started, part) {
				t.Errorf("%s: no %q in the output:\nconfig: %s\nperchd: %s", tt.args, part, checked, started)
			}
		}
	}

	// Good settings are accepted; perchd config neither sends requests nor makes files.
	for _, args := range []string{
		"", "--listen 127.0.0.1:1", "--auth-key k=" + public, "--auth-key " + secret, "--auth-jwks-url https://192.0.2.1/jwks", "--listen systemd --auth-key " + public,
		"--listen unix:/run/perch.sock", "--tls-self-signed", "--auth-dev-key " + filepath.Join(dir, "sub", "new.key"), "--listen systemd",
	} {
		p := perchd(t, append([]string{"config"}, strings.Fields(args)...)...)
		if code := p.wait(); code != 0 || !strings.Contains(p.output(), "max-connections =") {
			t.Errorf("%s: exit status %d: %s", args, code, p.output())
		}
		if made, _ := os.ReadDir(p.state); len(made) > 0 {
			t.Errorf("%s: made %v", args, made)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "sub")); err == nil {
		t.Error("a directory was made for the development key")
	}
}

// TestVerbs: words that may stand first on the command line, and the errors for all others.
func TestVerbs(t *testing.T) {
	for _, tt := range []struct {
		args   string
		status int
		says   string
	}{
		{"help", 0, "--max-connections"},
		{"help config", 0, "--max-connections"},
		{"help token", 0, "-ttl"},
		{"help version", 0, "perchd version"},
		{"version", 0, "perchd "},
		{"version extra", 2, `"extra"`},
		{"help help config", 2, `"config"`},
		{"help nonsense", 2, "nonsense"},
		{"confg", 2, "did you mean config?"},
		{"Config", 2, "did you mean config?"},
		{"hlep", 2, "did you mean help?"},
		{"versoin", 2, "did you mean version?"},
		{"tokn --sub ada", 2, "did you mean token?"},
		{"help tokn", 2, "did you mean token?"},
		{"serve", 2, "without a verb serves"},
		{"start --listen 127.0.0.1:0", 2, "without a verb serves"},
		{"migrate", 2, "config, help, token, version"},
		{"--loops 2 config", 2, `unexpected argument "config"`},
		{"-lisen 127.0.0.1:0", 2, "did you mean --listen?"},
		{"config -lisen 127.0.0.1:0", 2, "did you mean --listen?"},
		{"token --tll 1h", 2, "did you mean --ttl?"},
		{"token --kidd k", 2, "did you mean --kid?"},
		{"token --nonsense", 2, "--nonsense: unknown flag"},
		{"token --ttl 30", 2, "as in 30s"},
		{"token --help", 0, "-ttl"},
	} {
		p := perchd(t, strings.Fields(tt.args)...)
		if code := p.wait(); code != tt.status || !strings.Contains(p.output(), tt.says) {
			t.Errorf("%q: status %d, want %d and %q:\n%s", tt.args, code, tt.status, tt.says, p.output())
		}
	}
}

// TestNoHome: without a place for its key, open mode still serves, with a key for this run alone, and says so.
func TestNoHome(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Log("root may write everywhere: /proc stands for a file system that is read-only")
	}
	for name, env := range map[string][]string{
		"no HOME":            {"HOME=", "XDG_STATE_HOME="},
		"HOME is no path":    {"HOME=x", "XDG_STATE_HOME=y"},
		"HOME is not there":  {"HOME=/proc/nowhere", "XDG_STATE_HOME="},
		"HOME is a file":     {"HOME=" + os.Args[0], "XDG_STATE_HOME="},
		"state is read-only": {"XDG_STATE_HOME=/proc/self"},
		"state is too long":  {"XDG_STATE_HOME=/tmp/" + strings.Repeat("x", 300)},
	} {
		t.Run(name, func(t *testing.T) {
			p := serving(t, env...)
			p.t = t
			if said := p.output(); !strings.Contains(said, "cannot be kept") || !strings.Contains(said, "runs open") {
				t.Errorf("says nothing of the key:\n%s", said)
			}
			c := wstest.Dial(t, p.addr, "/ws/chat")
			c.Send(wstest.Text(`{}`))
			welcome(t, c)
		})
	}
}
