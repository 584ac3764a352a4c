package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/perchws/perch/bench/peers/roster"
)

// list is peers.json.
func list(t *testing.T) []roster.Peer {
	t.Helper()
	peers, err := roster.Load("peers.json")
	if err != nil {
		t.Fatal(err)
	}
	return peers
}

// built is where the peer is; it skips the test where it is not built, or fails it
// where everything must run.
func built(t *testing.T, p roster.Peer) (bin string) {
	t.Helper()
	bin = os.Getenv("PEERS_BIN")
	if bin == "" {
		bin = "bin"
	}
	if why := p.Missing(bin); why != "" {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI=true demands it: %s", why)
		}
		t.Skip(why)
	}
	return bin
}

// start runs a peer for the time of the test, if it is built.
func start(t *testing.T, p roster.Peer, more ...string) *roster.Server {
	t.Helper()
	s, err := p.Start(built(t, p), more...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop()
		if log := s.Log(); t.Failed() && log != "" {
			t.Logf("%s printed:\n%s", p.Name, log)
		}
	})
	return s
}

// TestServers has perchbench verify every answer of every peer.
func TestServers(t *testing.T) {
	perchbench := filepath.Join(t.TempDir(), "perchbench")
	build := exec.Command("go", "build", "-o", perchbench, "./cmd/perchbench")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, p := range list(t) {
		t.Run(p.Name, func(t *testing.T) {
			s := start(t, p)
			for _, load := range []string{
				"echo --conns 20 --size 128 --depth 16 --text",
				"echo --conns 4 --size 100000 --depth 2",
				"fanout --conns 50 --pubs 2 --exact",
			} {
				args := strings.Fields(load)
				path := map[string]string{"echo": "/ws", "fanout": "/fan"}[args[0]]
				args = append(args, "--url", "ws://"+s.Addr+path, "--warmup", "50ms", "--time", "300ms", "--json")
				cmd := exec.Command(perchbench, args...)
				var log strings.Builder
				cmd.Stderr = &log
				out, err := cmd.Output()
				var result struct {
					OK    bool
					Count int
				}
				if broken := json.Unmarshal(out, &result); err != nil || broken != nil || !result.OK || result.Count == 0 {
					t.Errorf("perchbench %s: %v %v\n%s%s", strings.Join(args, " "), err, broken, out, &log)
				}
			}
		})
	}
}

// TestList holds peers.json against what is installed and what is there.
func TestList(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	gomod, packages, lock, requirements := read("go.mod"), read("node/package.json"), read("node/package-lock.json"), read("python/requirements.txt")
	var names, ours []string
	for _, p := range list(t) {
		if slices.Contains(names, p.Name) {
			t.Errorf("%s is there twice", p.Name)
		}
		names = append(names, p.Name)
		quoted := regexp.QuoteMeta(p.Version)
		var found bool
		switch {
		case p.Lang == "go":
			ours = append(ours, p.Name)
			module := regexp.MustCompile(`^(golang\.org/x/net)/.*`).ReplaceAllString(p.Library, "$1")
			found = strings.Contains(gomod, "\t"+module+" "+p.Version+"\n")
			if q := peers[p.Name]; (q.deflate != (p.Deflate != nil)) || noTLS[p.Name] == (p.TLS != nil) {
				t.Errorf("%s: deflate, tls: not what the program says", p.Name)
			}
		case p.Needs[0] == "node":
			exact := fmt.Sprintf("%q: %q", p.Library, p.Version)
			found = strings.Contains(packages, exact) && strings.Contains(lock, exact)
		case p.Lang == "python":
			found = regexp.MustCompile(`(?m)^` + p.Library + `==` + quoted + `$`).MatchString(requirements)
		}
		if !found {
			t.Errorf("%s: %s %s is not what would be installed", p.Name, p.Library, p.Version)
		}
		if p.Settings == "" || p.Dir != "bench/peers" || len(p.Build) != 2 || p.Build[0] != "make" || !slices.Contains(p.Run, "127.0.0.1:{port}") {
			t.Errorf("%s: settings, dir, build or run is wrong", p.Name)
		}
	}
	for name := range peers {
		if !slices.Contains(ours, name) {
			t.Errorf("%s is in the program and not in peers.json", name)
		}
	}
	readme := read("README.md")
	for _, name := range names {
		if !strings.Contains(readme, "| `"+name+"` |") {
			t.Errorf("README.md has no line for %s", name)
		}
	}
}

// TestParse refuses what makes no sense.
func TestParse(t *testing.T) {
	for _, tt := range []struct {
		args string
		want string // part of the error
	}{
		{"", "want a peer"},
		{"--listen x", "want a peer"},
		{"nobody", "no peer"},
		{"gorilla --deflate perhaps", "want on or off"},
		{"gobwas --deflate on", "no permessage-deflate"},
		{"gorilla --tls-cert c", "go together"},
		{"gnet --tls-cert c --tls-key k", "not set up for TLS"},
		{"gorilla --threshold -1", "--threshold"},
		{"gorilla more", "unexpected"},
	} {
		if _, _, err := parse(strings.Fields(tt.args)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("peer %s: %v, want %q", tt.args, err, tt.want)
		}
	}
	name, o, err := parse(strings.Fields("gws --listen 127.0.0.1:1 --deflate on --threshold 7"))
	if err != nil || name != "gws" || o != (options{listen: "127.0.0.1:1", deflate: true, threshold: 7}) {
		t.Errorf("%s %+v %v", name, o, err)
	}
}
