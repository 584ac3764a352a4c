package config

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// machine is a machine without faults.
var machine = Facts{Descriptors: 1000, CPUs: 2, Memory: 4 << 30}

func reached(f *Facts) { f.ListenReached = true }

func administered(f *Facts) { f.AdminReached = true }

// files have a file of each key, with a mode.
func files(mode os.FileMode, secret bool, keys ...string) func(*Facts) {
	return func(f *Facts) {
		for _, k := range keys {
			f.Files = append(f.Files, File{k, "/etc/" + k, mode, secret})
		}
	}
}

// verifiers have keys of auth-key and of auth-jwks-file with these kids.
func verifiers(own, set string) func(*Facts) {
	return func(f *Facts) {
		for i, id := range strings.Split(own, ",") {
			f.Verifiers = append(f.Verifiers, Verifier{"auth-key", fmt.Sprint("/etc/", i), id, "EdDSA"})
		}
		for _, id := range strings.Fields(set) {
			f.Verifiers = append(f.Verifiers, Verifier{"auth-jwks-file", "/etc/jwks", id, "EdDSA"})
		}
	}
}

// offences break rules. Each has the verdict and the first key of its rules, in the order of the table. It is mended
// by further arguments, or by another machine.
var offences = []struct {
	args   string
	facts  func(*Facts)
	breaks string
	mend   string
	mended func(*Facts)
}{
	{"", reached, "refused listen", "--auth-key k --tls-cert c --tls-key k2", reached},
	{"--admin-listen :9", administered, "refused admin-listen", "--auth-key k --metrics-key m", administered},
	{"--auth-key k --admin-listen :9", administered, "warned admin-listen", "--metrics-key m", administered},
	{"--listen 127.0.0.1:9 --admin-listen 127.0.0.1:9", nil, "refused admin-listen", "--admin-listen 127.0.0.1:10", nil},
	{"--listen unix:/a --admin-listen unix:/a", nil, "refused admin-listen", "--admin-listen unix:/b", nil},
	{"--auth-key k", reached, "warned listen", "--tls-cert c --tls-key k2", reached},
	{"--auth-key k", reached, "warned listen", "--trusted-proxies 10.0.0.1", reached},
	{"--socket-mode 0660", nil, "warned socket-mode", "--listen unix:/a", nil},
	{"--socket-mode 0660 --listen systemd", nil, "warned socket-mode", "--socket-mode auto", nil},
	{"--private-fds --listen systemd", nil, "warned private-fds", "--listen 127.0.0.1:9", nil},
	{"--loops 9", nil, "warned loops", "--loops 8", nil},
	{"--loops 9", nil, "warned loops", "--private-fds", nil},
	{"--loops 9", nil, "warned loops", "--max-connections 5000", nil},
	{"--auth-key k --auth-cookie c --origin *", nil, "refused origin warned origin", "", nil},
	{"--origin * --origin https://a.example", nil, "warned origin warned origin", "", nil},
	{"--trusted-proxies 0.0.0.0/0", nil, "refused trusted-proxies", "", nil},
	{"--trusted-proxies ::/0 --trusted-proxies 10.0.0.0/8 --trusted-proxies 0.0.0.0/1", nil, "refused trusted-proxies refused trusted-proxies", "", nil},
	{"--trusted-proxies 2000::/3 --trusted-proxies ::ffff:0.0.0.0/96", nil, "refused trusted-proxies refused trusted-proxies", "", nil},
	{"--proxy-protocol 0.0.0.0/0", nil, "refused proxy-protocol", "", nil},
	{"--trusted-proxies unix", nil, "warned trusted-proxies", "--listen unix:/a", nil},
	{"--proxy-protocol unix", nil, "warned proxy-protocol", "--listen systemd", nil},
	{"--listen unix:/a --trusted-proxies 10.0.0.1", nil, "warned trusted-proxies", "--trusted-proxies unix", nil},
	{"--listen unix:/a --trusted-proxies 10.0.0.1 --proxy-protocol 10.0.0.1", nil, "warned trusted-proxies warned proxy-protocol", "--proxy-protocol unix", nil},
	{"--listen unix:/a --auth-key k", nil, "warned listen", "--trusted-proxies unix", nil},
	{"--shutdown-deadline 2s", nil, "warned shutdown-deadline", "--close-timeout 1s", nil},
	{"--shutdown-deadline 0 --close-timeout 0", nil, "warned shutdown-deadline warned close-timeout", "--close-timeout 5s", nil},
	{"--metrics-key m --endpoints chat", nil, "warned metrics-key", "--admin-listen 127.0.0.1:9", nil},
	{"--rooms r --endpoints ws", nil, "warned rooms", "--endpoints room", nil},

	{"--max-connections 100", nil, "warned max-connections-per-ip", "--max-connections-per-ip 99", nil},
	{"--new-connections-per-second 100", nil, "warned new-connections-per-ip", "--new-connections-per-ip 99", nil},
	{"--max-connections 200 --max-http-connections 201", nil, "warned max-http-connections", "--max-http-connections 200", nil},
	{"--max-connections 64064", nil, "warned max-connections", "--max-connections 64000", nil},
	{"--max-connections 2002 --loops 2", nil, "warned max-connections", "--loops 3", nil},
	{"--max-connections 1001 --listen unix:/a", nil, "warned max-connections", "--max-connections 1000", nil},
	{"--max-head 255", nil, "refused max-head", "--max-head 256", nil},
	{"--max-head 61441", nil, "refused max-head", "--max-head 60KiB", nil},
	{"--send-buffer 1", nil, "refused send-buffer", "--send-buffer 0", nil},
	{"--receive-buffer 4095", nil, "refused receive-buffer", "--receive-buffer 4KiB", nil},
	{"--max-message-size 100", nil, "warned max-message-size", "--max-message-size 1KiB", nil},
	{"--max-message-size 8MiB --bytes-per-second 1MiB", nil, "refused bytes-per-second", "--bytes-per-second 8MiB", nil},
	{"--message-burst 9 --messages-per-second 0", nil, "warned message-burst", "--messages-per-second 9", nil},
	{"--message-burst 0", nil, "warned message-burst", "--message-burst 200", nil},
	{"--max-input-total 100KiB", nil, "refused max-input-total", "--max-input-total 128KiB", nil},
	{"--max-output 1GiB --max-output-total 1MiB", nil, "refused max-output-total", "--max-output 512KiB", nil},
	{"--max-output 200MiB", nil, "refused max-output-total", "--max-output-total 400MiB", nil},
	{"--room-history-total 1MiB", nil, "refused room-history-total", "--room-history-bytes 512KiB", nil},
	{"--session-memory 1", nil, "refused session-memory", "--session-memory 1MiB", nil},
	{"--message-id-memory 1023KiB", nil, "refused message-id-memory", "--message-id-memory 1MiB", nil},
	{"--max-input-total 0", nil, "warned max-input-total", "--max-input-total auto", nil},
	{"--max-output-total 0", nil, "warned max-output-total", "--max-output-total 1GiB", nil},
	{"--session-memory 0", nil, "warned session-memory", "--session-memory 1GiB", nil},
	{"--message-id-memory 0", nil, "warned message-id-memory", "--message-id-memory 1GiB", nil},
	{"--room-history-total 0", nil, "warned room-history-total", "--room-history-total 1GiB", nil},
	{"", func(f *Facts) { f.Memory = 1<<30 - 1 }, "warned max-output-total", "", nil},
	{"--max-message-size 1GiB", nil, "warned max-output-total", "--max-input-total 2GiB", nil},
	{"--permessage-deflate=false --deflate-threshold 9 --deflate-server-takeover --deflate-client-takeover --deflate-server-window 9 --deflate-client-window 9", nil,
		"warned deflate-threshold warned deflate-server-takeover warned deflate-client-takeover warned deflate-server-window warned deflate-client-window", "--permessage-deflate", nil},

	{"--ping-interval 30s --ping-timeout 30s", nil, "refused ping-timeout", "--ping-timeout 31s", nil},
	{"--ping-interval 0 --ping-timeout 60s", nil, "warned ping-timeout", "--ping-interval 30s", nil},
	{"--ping-interval 10s --ping-timeout 0", nil, "warned ping-timeout", "--ping-timeout 20s", nil},
	{"--ping-interval 10ms", nil, "warned ping-interval", "--ping-interval 1s", nil},
	{"--handshake-timeout 10ms", nil, "warned handshake-timeout", "--handshake-timeout 1s", nil},
	{"--first-frame-timeout 10ms", nil, "warned first-frame-timeout", "--first-frame-timeout 1s", nil},
	{"--message-timeout 10ms", nil, "warned message-timeout", "--message-timeout 1s", nil},
	{"--write-timeout 10ms", nil, "warned write-timeout", "--write-timeout 1s", nil},
	{"--handshake-timeout 0", nil, "warned handshake-timeout", "--handshake-timeout 1m", nil},
	{"--first-frame-timeout 0", nil, "warned first-frame-timeout", "--first-frame-timeout 1m", nil},
	{"--message-timeout 0", nil, "warned message-timeout", "--message-timeout 1m", nil},
	{"--write-timeout 0", nil, "warned write-timeout", "--write-timeout 1m", nil},
	{"--close-timeout 0", nil, "warned close-timeout", "--close-timeout 1s", nil},
	{"--http-idle-timeout 0", nil, "warned http-idle-timeout", "--http-idle-timeout 1m", nil},
	{"--session-ttl 1m", nil, "warned session-anonymous-ttl", "--session-anonymous-ttl 1m", nil},
	{"--session-anonymous-ttl 0", nil, "warned session-anonymous-ttl", "--session-ttl 0", nil},

	{"--max-rooms 3 --rooms a --rooms b", nil, "refused max-rooms", "--max-rooms 4", nil},
	{"--room-max-members 9 --create-rooms=false", nil, "warned room-max-members", "--create-rooms", nil},
	{"--room-history-bytes 1", nil, "warned room-history-bytes", "--room-history-bytes 32KiB", nil},

	{"--auth-audience a", nil, "refused auth-audience", "--auth-key k", nil},
	{"--auth-issuer a", nil, "refused auth-issuer", "--auth-key k", nil},
	{"--auth-cookie a", nil, "refused auth-cookie", "--auth-key k", nil},
	{"--auth-leeway 1m", nil, "warned auth-leeway", "--auth-key k", nil},
	{"--auth-dev-key d --auth-key k", nil, "warned auth-dev-key", "", nil},
	{"--auth-jwks-url https://a/ --auth-jwks-file f --auth-audience a", nil, "refused auth-jwks-url", "", nil},
	{"--auth-jwks-url https://a/", nil, "warned auth-audience", "--auth-audience a", nil},
	{"--auth-jwks-file f", nil, "warned auth-audience", "--auth-audience a", nil},
	{"--auth-key k --auth-leeway 6m", nil, "warned auth-leeway", "--auth-leeway 5m", nil},
	{"--auth-key k --auth-cookie session_id", nil, "refused auth-cookie", "--auth-cookie token", nil},
	{"--auth-key a", verifiers("a,b,a,a", ""), "refused auth-key", "", verifiers("a,b", "")},
	{"--auth-key a", verifiers("a", "a a"), "refused auth-key", "", verifiers("a", "b b")},
	{"--auth-key k=a --auth-key l=a", nil, "refused auth-key", "", nil},
	{"--auth-key a", verifiers(",,,,", ""), "refused auth-key", "", verifiers(",,,", "")},
	{"--auth-key a --metrics-key a", nil, "refused metrics-key", "--metrics-key b", nil},
	{"--auth-jwks-url https://u:p@a/ --auth-audience a", nil, "warned auth-jwks-url", "--auth-jwks-url https://a/", nil},
	{"--auth-jwks-url https://a/?key=1 --auth-audience a", nil, "warned auth-jwks-url", "--auth-jwks-url https://a/", nil},

	{"", files(0o646, false, "config", "auth-key", "auth-jwks-file", "metrics-key", "tls-cert", "tls-key", "tls-client-ca"),
		"refused config refused auth-key refused auth-jwks-file refused metrics-key refused tls-cert refused tls-key refused tls-client-ca", "",
		files(0o644, false, "config", "auth-key", "auth-jwks-file", "tls-cert", "tls-client-ca")},
	{"", files(0o640, true, "auth-key", "auth-jwks-file", "metrics-key", "tls-key"),
		"warned auth-key warned auth-jwks-file warned metrics-key warned tls-key", "",
		files(0o600, true, "auth-key", "auth-jwks-file", "metrics-key", "tls-key")},
	{"", files(0o604, true, "tls-key"), "warned tls-key", "", files(0o400, true, "tls-key")},
	{"", files(0o620, true, "tls-key"), "warned tls-key", "", files(0o711, true, "tls-key")},

	{"--tls-cert a", nil, "refused tls-key", "--tls-key b", nil},
	{"--tls-key a", nil, "refused tls-key", "--tls-cert b", nil},
	{"--tls-self-signed --tls-cert a --tls-key b", nil, "refused tls-self-signed", "--tls-self-signed=false", nil},
	{"--tls-client-ca a", nil, "refused tls-client-ca", "--tls-self-signed", nil},
	{"--max-tls-handshakes 9", nil, "warned max-tls-handshakes", "--tls-self-signed", nil},
	{"--tls-cert a --tls-key b", func(f *Facts) { f.Invalid = []string{"a until 2020"} }, "warned tls-cert", "", nil},
}

// judged returns the verdicts and keys for a configuration, in the form of offences, and the text.
func judged(t *testing.T, args string, change func(*Facts)) (broken, text string) {
	t.Helper()
	c, err := Load(strings.Fields(args), nil)
	if err != nil {
		t.Fatalf("%s: %v", args, err)
	}
	f := machine
	if change != nil {
		change(&f)
	}
	warnings, err := c.Judge(f)
	var all []string
	for _, r := range rules {
		for range r.broken(c, &f) {
			all = append(all, string(r.verdict)+" "+strings.Fields(r.keys)[0])
		}
	}
	if err != nil {
		text = err.Error()
	}
	return strings.Join(all, " "), strings.Join(append(warnings, text), "\n")
}

// TestRules: every rule has an offence that breaks this rule alone, is reported by its key, and is mended as the rule
// says.
func TestRules(t *testing.T) {
	covered := make(map[int]bool)
	for _, o := range offences {
		got, text := judged(t, o.args, o.facts)
		if got != o.breaks {
			t.Errorf("%q breaks %q, want %q\n%s", o.args, got, o.breaks, text)
		}
		for key := range strings.FieldsSeq(o.breaks) {
			if key != string(refused) && key != string(warned) && !strings.Contains("\n"+text, "\n"+key+" (") {
				t.Errorf("%q: %s is not named in\n%s", o.args, key, text)
			}
		}
		if o.mend != "" || o.mended != nil {
			if got, text := judged(t, o.args+" "+o.mend, o.mended); got != "" {
				t.Errorf("%q with %q still breaks %q\n%s", o.args, o.mend, got, text)
			}
		}
		c, _ := Load(strings.Fields(o.args), nil)
		f := machine
		if o.facts != nil {
			o.facts(&f)
		}
		for i, r := range rules {
			if len(r.broken(c, &f)) > 0 {
				covered[i] = true
			}
		}
	}
	for i, r := range rules {
		if !covered[i] {
			t.Errorf("nothing breaks the rule of %s: %s", r.keys, r.says)
		}
	}
}

// TestRulesOfDefaults: the defaults break no rule, nor do the usual ways to run perchd.
func TestRulesOfDefaults(t *testing.T) {
	for _, args := range []string{
		"", "--listen 127.0.0.1:0 --admin-listen 127.0.0.1:0", "--auth-key a=k --auth-key b=l", "--auth-key k --auth-audience a --auth-issuer i --auth-cookie c",
		"--listen unix:/run/perch.sock --socket-mode 0660 --trusted-proxies unix", "--trusted-proxies 10.0.0.0/8 --trusted-proxies fd00::/8 --trusted-proxies fc00::/7",
		"--trusted-proxies 2001:db8::/32 --proxy-protocol 192.0.2.0/24", "--tls-self-signed", "--loops 8 --private-fds --max-connections 8000",
		"--max-connections 0", "--max-connections-per-ip 0", "--messages-per-second 0 --bytes-per-second 0", "--permessage-deflate=false",
		"--ping-interval 0", "--origin https://a.example --auth-key k --auth-cookie c", "--max-message-size 16MiB",
	} {
		if got, text := judged(t, args, nil); got != "" {
			t.Errorf("%q breaks %q\n%s", args, got, text)
		}
	}
}

// TestRuleKeys: the keys of rules exist.
func TestRuleKeys(t *testing.T) {
	names := append(keyNames(), configKey)
	for _, r := range rules {
		for key := range strings.FieldsSeq(r.keys) {
			if !slices.Contains(names, key) {
				t.Errorf("no key %s: %s", key, r.says)
			}
		}
	}
}

var update = flag.Bool("update", false, "write the list of rules in docs/configuration.md anew")

// TestDocumentedRules holds the list in the document to the table.
func TestDocumentedRules(t *testing.T) {
	const file, heading = "../../../docs/configuration.md", "| keys | verdict | what is wrong, and what to write instead |\n|---|---|---|\n"
	var table strings.Builder
	for _, r := range Rules() {
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", strings.Join(r.Keys, "`, `"), r.Verdict, r.Says)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, list, ok := strings.Cut(string(b), heading)
	if !ok {
		t.Fatalf("%s has no table with the heading\n%s", file, heading)
	}
	list, after, _ := strings.Cut(list+"\n", "\n\n")
	if list+"\n" == table.String() {
		return
	}
	if !*update {
		t.Fatalf("%s is not up to date: go test -run TestDocumentedRules ./internal/server/config -update", file)
	}
	if after != "" {
		after = "\n" + strings.TrimSuffix(after, "\n")
	}
	if err := os.WriteFile(file, []byte(before+heading+table.String()+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
