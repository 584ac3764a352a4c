package config

import (
	"strings"
	"testing"
	"time"
)

// TestFlagForms: every way to write a flag.
func TestFlagForms(t *testing.T) {
	for args, want := range map[string]struct {
		loops    int
		deflate  bool
		takeover bool
		origins  string
	}{
		"--loops=3": {3, true, false, ""}, "--loops 3": {3, true, false, ""}, "-loops 3": {3, true, false, ""}, "-loops=3": {3, true, false, ""},
		"--loops 3 --loops=4":                                        {4, true, false, ""},
		"--permessage-deflate":                                       {0, true, false, ""},
		"--permessage-deflate=false":                                 {0, false, false, ""},
		"--permessage-deflate false":                                 {0, false, false, ""},
		"--permessage-deflate no --loops 3":                          {3, false, false, ""},
		"--permessage-deflate FALSE":                                 {0, false, false, ""},
		"--permessage-deflate off":                                   {0, false, false, ""},
		"--deflate-server-takeover true":                             {0, true, true, ""},
		"--deflate-server-takeover --loops 3 --permessage-deflate 0": {3, false, true, ""},
		"--deflate-server-takeover on -loops 3":                      {3, true, true, ""},
		"--origin https://a.example --origin=https://b.example":      {0, true, false, "https://a.example https://b.example"},
	} {
		c, err := Load(strings.Fields(args), nil)
		if err != nil {
			t.Errorf("%s: %v", args, err)
			continue
		}
		if got := strings.Join(c.Engine.Origins, " "); c.Engine.Loops != want.loops || c.Engine.Compression.Disabled == want.deflate ||
			c.Engine.Compression.ServerTakeover != want.takeover || got != want.origins {
			t.Errorf("%s: loops %d, deflate %v, takeover %v, origins %q", args, c.Engine.Loops, !c.Engine.Compression.Disabled, c.Engine.Compression.ServerTakeover, got)
		}
	}
}

// TestSuggests: errors about unknown keys name the key that was probably meant, as it would be written. If none is
// near they name none.
func TestSuggests(t *testing.T) {
	for _, tt := range []struct {
		args, env, file string
		says            string // "": no suggestion
	}{
		{args: "-lisen 127.0.0.1:1", says: "--lisen: unknown flag; did you mean --listen?"},
		{args: "--lisen=127.0.0.1:1", says: "did you mean --listen?"},
		{args: "--Listen :1", says: "did you mean --listen?"},
		{args: "--listne :1", says: "did you mean --listen?"},
		{args: "--max_connections 5", says: "did you mean --max-connections?"},
		{args: "--max-conections 5", says: "did you mean --max-connections?"},
		{args: "--auth-jwk-url x", says: "did you mean --auth-jwks-url?"},
		{args: "--confg x", says: "did you mean --config?"},
		{args: "--hepl", says: "did you mean --help?"},
		{args: "--verison", says: "did you mean --version?"},
		{args: "--no-permessage-deflate", says: "say --permessage-deflate=false"},
		{args: "--no-listen", says: ""},
		{args: "--database-url x", says: ""},
		{args: "--x", says: ""},
		{args: "--" + strings.Repeat("x", 1000), says: ""},
		{env: "PERCH_LISEN=:1", says: "PERCH_LISEN: unknown key; did you mean PERCH_LISTEN?"},
		{env: "PERCH_MAX_CONNECTION=1", says: "did you mean PERCH_MAX_CONNECTIONS?"},
		{env: "PERCH_CONFIGS=x", says: "did you mean PERCH_CONFIG?"},
		{env: "PERCH_SOMETHING_ELSE=1", says: ""},
		{file: "lisen = ':1'", says: "did you mean listen?"},
		{file: "max_connections = 1", says: "did you mean max-connections?"},
		{file: "Loops = 1", says: "did you mean loops?"},
		{file: "database = 1", says: ""},
		{args: "--log-level warning", says: `"warning": want debug or info or warn or error; did you mean warn?`},
		{args: "--log-level eror", says: "did you mean error?"},
		{args: "--log-level loud", says: ""},
		{args: "--log-format jsno", says: "did you mean json?"},
	} {
		args := strings.Fields(tt.args)
		if tt.file != "" {
			args = append(args, "--config", write(t, tt.file))
		}
		_, err := Load(args, []string{tt.env})
		switch {
		case err == nil:
			t.Errorf("%+v: no error", tt)
		case tt.says == "" && strings.Contains(err.Error(), "did you mean"), !strings.Contains(err.Error(), tt.says):
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

// TestFlagFaults: all faults are reported at once, each with its flag.
func TestFlagFaults(t *testing.T) {
	_, err := Load(strings.Fields("--nonsense 5 --loops x stray --listen --workers many --rooms"), nil)
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{"--nonsense: unknown", "loops (--loops)", `unexpected argument "stray"`,
		"listen (--listen): want a value, and there is the flag --workers", "rooms (--rooms): want a value: --rooms id"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("no %q in\n%v", part, err)
		}
	}
	if strings.Contains(err.Error(), `"5"`) {
		t.Errorf("the value of an unknown flag is reported as another fault:\n%v", err)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "65536": 65536, "64KiB": 65536, "64kib": 65536, "64K": 65536, "64k": 65536, "64KB": 65536, "64kb": 65536, "64 KiB": 65536, " 64 kb ": 65536,
		"1M": 1 << 20, "1MB": 1 << 20, "1mb": 1 << 20, "1 MiB": 1 << 20, "1.5MiB": 3 << 19, "0.5k": 512, "2G": 2 << 30, "2GB": 2 << 30, "10b": 10, "10 B": 10,
		"0.0009765625M": 1024, "1.0": 1, "8589934591G": 8589934591 << 30, "9223372036854775807": 1<<63 - 1, "007": 7,
	} {
		if got, err := size[int64]().parse(text); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", " ", "-1", "-1M", "+1", "M", "1T", "1.5", "1.3K", "1e3", "0x10", "1_000", "1,5M", ".5M", "5.M", "1..5M", "1 M B", "8589934592G",
		"9223372036854775808", "9223372036854775807K", strings.Repeat("9", 100), "1/2M", "∞", "64KiBx", "auto"} {
		if got, err := size[int64]().parse(text); err == nil || !strings.Contains(err.Error(), "64KiB") {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

func TestForms(t *testing.T) {
	for text, want := range map[string]time.Duration{"10s": 10 * time.Second, " 10s ": 10 * time.Second, "10 s": 10 * time.Second, "1h 30m": 90 * time.Minute, "0": 0, "1.5h": 90 * time.Minute} {
		if got, err := Duration(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for text, says := range map[string]string{"30": "as in 30s", "1.5": "as in 1.5s", "-1": "as in", "": "as in 500ms", "1d": "24h", "-1s": "as in 500ms", "soon": "as in 500ms", "1us": "500ms", "999999h": "", "99999999h": "24h"} {
		if got, err := Duration(text); says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%q: %v, %v, want %q", text, got, err, says)
		}
	}
	for args, want := range map[string]string{
		"--log-level INFO": "info", "--log-level Warn": "warn", "--log-level= debug ": "debug", "--log-format=JSON": "json", "--locale ZH": "zh",
		"--loops= 3 ": "3", "--loops AUTO": "auto", "--private-fds yes": "true", "--private-fds Off": "false", "--listen= 127.0.0.1:1 ": "127.0.0.1:1",
		"--trusted-proxies= 10.0.0.0/8 ": "10.0.0.0/8",
	} {
		flag, given, ok := strings.Cut(args, "=")
		if !ok {
			flag, given, _ = strings.Cut(args, " ")
		}
		c, err := Load([]string{flag, given}, nil)
		if err != nil {
			t.Errorf("%s: %v", args, err)
			continue
		}
		c.all(func(k key, v value) {
			if "--"+k.name == flag && strings.Trim(v.show(), `"[]`) != want {
				t.Errorf("%s: %s, want %s", args, v.show(), want)
			}
		})
	}
}

func TestNearest(t *testing.T) {
	names := []string{"listen", "loops", "log-level", "tls-cert", "tls-key"}
	for s, want := range map[string]string{
		"listen": "listen", "lisen": "listen", "listens": "listen", "lsiten": "listen", "loop": "loops", "loosp": "loops", "loglevel": "log-level", "LOG_LEVEL": "log-level",
		"tls-kye": "tls-key", "tls-crt": "tls-cert", "": "", "x": "", "database": "", "leveling": "", "list": "listen", "tls": "", "tls-c": "tls-cert", "log-level-of-all": "log-level", "lo": "",
	} {
		if got := Nearest(s, names); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", s, got, want)
		}
	}
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"ca", "abc", 3}, {"kitten", "sitting", 3}, {"abcd", "badc", 2}} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
