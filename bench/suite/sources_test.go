package suite

import (
	"context"
	"crypto/tls"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch/bench"
	"github.com/perchws/perch/bench/record"
	"github.com/perchws/perch/bench/stats"
)

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestPeers(t *testing.T) {
	t.Setenv(binVariable, "")
	d := testDriver(t, nil)
	if all, err := d.peers(t.Context()); err != nil || len(all) != 0 || len(d.run.Skipped) != 1 {
		t.Errorf("without a table: %v, error %v, skipped %v", all, err, d.run.Skipped)
	}
	d.run.Skipped = nil
	write(t, filepath.Join(d.Root, "bench/peers/peers.json"), `[
		{"name": "good", "lang": "go", "library": "example.com/ws", "version": "v1", "dir": "bench/peers", "build": ["sh", "-c", "mkdir -p {bin} && echo built >> {bin}/log && touch {bin}/peer"],
		 "run": ["{bin}/peer", "good", "--listen", "127.0.0.1:{port}"], "deflate": ["--deflate", "from={threshold}"], "tls": ["{cert}", "{key}"], "needs": ["sh"], "settings": "best", "single_threaded": true},
		{"name": "again", "lang": "python", "dir": "bench/peers", "build": ["sh", "-c", "mkdir -p {bin} && echo built >> {bin}/log && touch {bin}/peer"], "run": ["x"]},
		{"name": "half", "dir": "bench/peers", "run": ["x", "{bin}/not-there"]},
		{"name": "missing", "run": ["x"], "needs": ["no-such-program-here"]},
		{"name": "unbuildable", "run": ["x"], "build": ["sh", "-c", "echo this is why; exit 1"]},
		{"name": "nothing"},
		{"name": "other", "run": ["x"]}]`)
	d.Only = []string{"good", "again", "missing", "unbuildable", "nothing", "half"}
	all, err := d.peers(t.Context())
	if err != nil || len(all) != 2 {
		t.Fatalf("peers %+v, error %v", all, err)
	}
	bin := filepath.Join(d.Root, "bench/peers/bin")
	if s := all[0]; s.run[0] != bin+"/peer" || s.run[3] != "127.0.0.1:{port}" || s.Lang != "Go" || s.Version != "example.com/ws v1" || !s.SingleThreaded || s.fanPath != "/fan" {
		t.Errorf("peer %+v", s)
	}
	if c := all[0].instead[record.Deflate]; !slices.Equal(c, append(slices.Clone(all[0].run), "--deflate", "from=1024")) {
		t.Errorf("compressing: %q", c)
	}
	c := all[0].instead[record.TLS]
	if _, err := tls.LoadX509KeyPair(c[len(c)-2], c[len(c)-1]); err != nil {
		t.Errorf("TLS: %q, %v", c, err)
	}
	if who := started(record.TLS); !who(&all[0]) || who(&all[1]) {
		t.Error("TLS is not measured of who has it, or of who has not")
	}
	if log, _ := os.ReadFile(bin + "/log"); string(log) != "built\n" {
		t.Errorf("built %q, want once", log)
	}
	why := make(map[string]string)
	for _, s := range d.run.Skipped {
		why[s.Name] = s.Why
	}
	for name, text := range map[string]string{"missing": "no-such-program-here", "unbuildable": "this is why", "nothing": "how to run", "half": "not-there was not built"} {
		if !strings.Contains(why[name], text) {
			t.Errorf("%s skipped because %q, want %q", name, why[name], text)
		}
	}
	t.Setenv(binVariable, filepath.Join(d.Root, "elsewhere"))
	if all, err := d.peers(t.Context()); err != nil || len(all) != 2 || all[0].run[0] != filepath.Join(d.Root, "elsewhere", "peer") || !exists(all[0].run[0]) {
		t.Errorf("built elsewhere: %+v, error %v", all, err)
	}
	write(t, filepath.Join(d.Root, "bench/peers/peers.json"), `{`)
	if _, err := d.peers(t.Context()); err == nil {
		t.Error("a broken table was read")
	}
}

// TestPeersTable reads the table of this repository.
func TestPeersTable(t *testing.T) {
	d := testDriver(t, nil)
	d.Root = filepath.Join("..", "..")
	d.Only = []string{"none"}
	if _, err := d.peers(t.Context()); err != nil {
		t.Error(err)
	}
}

// tiny is a module with a cmd/perchbench that only listens.
const tiny = `package main

import ("net"; "os")

func main() {
	ln, err := net.Listen("tcp", os.Args[3])
	if err != nil { panic(err) }
	for {
		c, err := ln.Accept()
		if err != nil { return }
		c.Close()
	}
}
`

// TestCommits compares two commits of a tiny repository: builds, measures in turn,
// judges, and leaves no work tree behind.
func TestCommits(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git: apt-get install git")
	}
	served := make(map[string]int)
	d := testDriver(t, func(_ context.Context, s *subject, _ *process, _ []string) (*bench.Result, error) {
		served[s.Name]++
		if s.Name == "base" {
			return good(1000), nil
		}
		return good(800), nil
	})
	git := func(args ...string) string {
		cmd := exec.Command("git", append([]string{"-C", d.Root, "-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %q: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	write(t, filepath.Join(d.Root, "go.mod"), "module example.com/tiny\n\ngo 1.26\n")
	write(t, filepath.Join(d.Root, "cmd/perchbench/main.go"), tiny)
	git("init", "-q")
	git("add", ".")
	git("commit", "-q", "-m", "one")
	base := git("rev-parse", "--short=10", "HEAD")
	git("commit", "-q", "--allow-empty", "-m", "two")
	build := exec.Command("go", "build", "-o", "bin/perchbench", "./cmd/perchbench")
	build.Dir = d.Root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	d.Base = "HEAD~1"
	if err := d.addCommits(t.Context()); err != nil {
		t.Fatal(err)
	}
	if trees := git("worktree", "list"); strings.Count(trees, "\n") != 0 {
		t.Errorf("work trees left: %s", trees)
	}
	run, err := d.measureAll(t.Context(), []workload{{group: record.Echo, load: []string{"echo"}, most: 6, who: anyone}})
	if err != nil {
		t.Fatal(err)
	}
	if run.Base != "base" || run.Servers[0].Lang != base || served["base"] != 6 || served["this"] != 6 {
		t.Errorf("base %q, served %v", run.Base, served)
	}
	worse := run.Regressions()
	if len(worse) != 1 || worse[0].Verdict != stats.Worse || worse[0].Times.Median != 0.8 {
		t.Errorf("regressions %+v, want the echo at 0.8", worse)
	}
	d.Base = "no-such-commit"
	if err := d.addCommits(t.Context()); err == nil || !strings.Contains(err.Error(), "no-such-commit") {
		t.Errorf("error %v, want one that names the commit", err)
	}
}

func TestReadWsload(t *testing.T) {
	said := "OPEN 200\nSTART\nEND\necho: 200 connections\n" +
		`{"mode":"echo","ok":true,"secs":2.0,"rate":1000,"client_cpu":0.9,"lat_us":{"n":5,"p50":10,"p99":20},"errors_total":0}` + "\n"
	n := 0
	res, err := readWsload(strings.NewReader(said), func() (bench.Usage, error) {
		n++
		return bench.Usage{CPU: time.Second, RSS: 7}, nil
	})
	if err != nil || n != 2 || !res.OK || res.Rate != 1000 || res.Latency.P99 != 20 || res.Server != nil {
		t.Errorf("result %+v, error %v, %d samples", res, err, n)
	}
	n = 0
	res, err = readWsload(strings.NewReader(said), func() (bench.Usage, error) {
		n++
		return bench.Usage{CPU: time.Duration(n) * time.Second}, nil
	})
	if err != nil || res.Server.PerCPUSecond != 2000 || res.Server.CPU != 0.5 {
		t.Errorf("server %+v, error %v, want 2,000 messages in one of two seconds", res.Server, err)
	}
	if _, err := readWsload(strings.NewReader("usage: wsload\n"), nil); err == nil || !strings.Contains(err.Error(), "usage") {
		t.Errorf("error %v, want what it said", err)
	}
}
