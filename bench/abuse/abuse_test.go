package abuse

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/perchws/perch/internal/wstest"
)

// asAttacker makes a process of this test binary the process of an attack.
const asAttacker = "RUN_AS_ATTACKER"

func TestMain(m *testing.M) {
	if os.Getenv(asAttacker) == "" {
		wstest.Main(m)
	}
	var a Attack
	a.Flags(flag.CommandLine)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := a.Run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestShort plays the short form of what is mended. It judges memory and losses, not times.
func TestShort(t *testing.T) {
	if os.Getenv("PERCH_TEST_ABUSE") == "" {
		t.Skip("attacks take a minute, and all ports that other tests need: set PERCH_TEST_ABUSE=1")
	}
	program := filepath.Join(t.TempDir(), "perchd")
	if out, err := exec.Command("go", "build", "-pgo=off", "-o", program, "../../cmd/perchd").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Setenv(asAttacker, "yes")
	report, err := Run(t.Context(), Options{Program: program, Attacker: []string{os.Args[0]}, Only: mended, Short: true, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		if len(r.Attack) == 0 {
			t.Errorf("%s: the attack has counted nothing", r.Name)
		}
		for _, f := range r.Faults {
			t.Errorf("%s: %s", r.Name, f)
		}
	}
	if len(report.Results) != len(mended) {
		t.Errorf("%d scenarios were played, want %d", len(report.Results), len(mended))
	}
}

// mended are the scenarios whose short form holds. The long forms of A6, B1 and B7 do not: see bench/RESULTS.md.
var mended = []string{"A1", "A6", "B1", "B6", "B7"}

func TestChoose(t *testing.T) {
	chosen, err := choose([]string{"b3", "A4"}, true)
	if err != nil || len(chosen) != 2 || chosen[0].Name != "A4" || chosen[1].Time != chosen[1].Short {
		t.Errorf("%+v, %v", chosen, err)
	}
	if all, err := choose(nil, false); err != nil || len(all) != len(Names()) {
		t.Errorf("%d of %d, %v", len(all), len(Names()), err)
	}
	if _, err := choose([]string{"A4", "Z9"}, false); err == nil || !strings.Contains(err.Error(), `"Z9"`) {
		t.Errorf("error %v", err)
	}
	names := Names()
	if slices.Sort(names); len(slices.Compact(names)) != len(Names()) {
		t.Errorf("a name is there twice: %q", names)
	}
}

// TestJudge has a fault of each kind.
func TestJudge(t *testing.T) {
	good := func() *Result {
		served := Served{Talk: Latency{P99: 1}, Echo: Latency{P99: 1}, Health: Latency{Max: 1}}
		return &Result{Name: "X", Seconds: 1, Quiet: served, During: served, Empty: Memory{RSS: 10 * mib}, Peak: Memory{RSS: 26 * mib},
			RSSLimit: bound(10*mib, 10*mib), Back: 1}
	}
	for want, spoil := range map[string]func(r *Result){
		"ok":                           func(*Result) {},
		"lost: a cart":                 func(r *Result) { r.Lost = []string{"a cart"} },
		"RSS 27 MiB, 26 MiB are":       func(r *Result) { r.Peak.RSS = 27 * mib },
		"a minute later":               func(r *Result) { r.Back = 0 },
		"p99 10.1 ms, quiet 1.0 ms":    func(r *Result) { r.During.Echo.P99 = 10.1 },
		"p99 21.0 ms, quiet 5.0 ms":    func(r *Result) { r.Quiet.Talk.P99, r.During.Talk.P99 = 5, 21 },
		"/health 101 ms":               func(r *Result) { r.During.Health.Max = 101 },
		"lost: a cart; /health 101 ms": func(r *Result) { r.Lost, r.During.Health.Max = []string{"a cart"}, 101 },
	} {
		r := good()
		spoil(r)
		r.judge()
		report := Report{Results: []Result{*r}}
		if got := r.verdict(); !strings.Contains(got, want) || report.OK() != (want == "ok") {
			t.Errorf("%q, want %q", got, want)
		}
		for _, write := range []func(*bytes.Buffer) error{func(b *bytes.Buffer) error { return report.WriteTable(b) },
			func(b *bytes.Buffer) error { return report.WriteMarkdown(b) }, func(b *bytes.Buffer) error { return report.WriteJSON(b) }} {
			var b bytes.Buffer
			if err := write(&b); err != nil || !strings.Contains(b.String(), "X") {
				t.Errorf("%s, %v", &b, err)
			}
		}
	}
}

func TestLatencies(t *testing.T) {
	var l latencies
	for i := range 100 {
		l.add(attack, time.Duration(100-i)*time.Millisecond)
	}
	if got, want := l.of(attack), (Latency{N: 100, P50: 50, P99: 99, Max: 100}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := l.of(quiet); got != (Latency{}) {
		t.Errorf("%+v of nothing", got)
	}
}

func TestSockstat(t *testing.T) {
	const said = "sockets: used 17\nTCP: inuse 1 orphan 0 tw 3 alloc 1 mem 127\nUDP: inuse 0 mem 5\n"
	if n := parseSockstat(said); n != 127 {
		t.Errorf("%d pages", n)
	}
	if m := readMemory(os.Getpid()); m.RSS < mib {
		t.Errorf("this process has %d bytes", m.RSS)
	}
}

// TestSent has messages lost, and one come twice.
func TestSent(t *testing.T) {
	var s sent
	for i := range 4 {
		s.add(mark{number: i})
	}
	for _, tt := range []struct {
		number, missing int
		ok              bool
	}{{0, 0, true}, {2, 1, true}, {2, 0, false}, {3, 0, true}} {
		if m, missing, ok := s.take(tt.number); ok != tt.ok || ok && (missing != tt.missing || m.number != tt.number) {
			t.Errorf("message %d: %+v, %d missing, %v", tt.number, m, missing, ok)
		}
	}
	if s.left() != 0 {
		t.Errorf("%d are left", s.left())
	}
}
