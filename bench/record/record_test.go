package record

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/perchws/perch/bench"
	"github.com/perchws/perch/bench/stats"
)

// result is one with the figures that the tests look at.
func result(perCPU, perConn, p99 float64) *bench.Result {
	return &bench.Result{OK: true, Server: &bench.Server{PerCPUSecond: perCPU, PerConn: perConn}, Latency: &bench.Latency{P99: p99}}
}

// testRun has two servers: the second echoes half as much, with half the latency,
// and fails once.
func testRun() *Run {
	c := Case{Group: Echo, Load: []string{"echo"}}
	l := Case{Group: Latency}
	for round := 1; round <= 7; round++ {
		f := float64(round)
		c.Samples = append(c.Samples, Sample{Server: "a", Round: round, Result: result(1000*f, 0, 0)}, Sample{Server: "b", Round: round, Result: result(500*f, 0, 0)})
		l.Samples = append(l.Samples, Sample{Server: "a", Round: round, Result: result(0, 0, 100+f)}, Sample{Server: "b", Round: round, Result: result(0, 0, (100+f)/2)})
	}
	c.Samples[13].Error = "lost"
	c.Samples[0].Result.ClientBound = true
	c.Samples[2].Result.Unsent = 3
	return &Run{Servers: []Server{{Name: "a", Ours: true}, {Name: "b"}, {Name: "c"}}, Cases: []Case{c, l}}
}

func TestSaveLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	if err := testRun().Save(dir); err != nil {
		t.Fatal(err)
	}
	r, err := Load(dir)
	if err != nil || len(r.Cases) != 2 || r.Cases[0].Samples[1].Result.Server.PerCPUSecond != 500 || r.Cases[0].Samples[13].Error != "lost" {
		t.Errorf("read back %+v, error %v", r, err)
	}
	for text, want := range map[string]string{`{"format":99}`: "format 99", `{`: "unexpected end"} {
		os.WriteFile(filepath.Join(dir, Name), []byte(text), 0o644)
		if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
	if _, err := Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "perchbench suite") {
		t.Errorf("nothing there: error %v, want an advice", err)
	}
}

func TestRows(t *testing.T) {
	r := testRun()
	views := r.Summary()
	if len(views) != 2 {
		t.Fatalf("%d figures, want the two that were measured", len(views))
	}
	rows := r.Rows(views[0])
	if len(rows) != 2 || rows[0].Server.Name != "a" || rows[0].Spread != (stats.Spread{N: 7, Min: 1000, Median: 4000, Max: 7000}) || rows[0].ClientBound != 2 {
		t.Fatalf("rows %+v", rows)
	}
	if b := rows[1]; b.N != 6 || len(b.Ratios) != 6 || slices.Max(b.Ratios) != 0.5 || slices.Min(b.Ratios) != 0.5 {
		t.Errorf("row %+v, want six ratios of 0.5: the failed round does not count", b)
	}
	latency := r.Rows(views[1]) // less is better
	if latency[0].Server.Name != "b" || slices.Min(latency[0].Ratios) != 2 {
		t.Errorf("rows %+v, want b first, twice as good", latency)
	}
	if times := views[1].Metric.Times(latency[0].Ratios); times.Median != 0.5 || times.N != 7 {
		t.Errorf("%+v times the figure, want half of it", times)
	}
}

// TestPoints: what a message costs along the curves, but for what the summary has.
func TestPoints(t *testing.T) {
	r := &Run{Servers: []Server{{Name: "a", Ours: true}, {Name: "b"}}}
	for _, c := range []Case{{Group: Echo}, {Group: Fanout, X: 10}, {Group: Fanout, X: 1000}, {Group: Messages, X: 1000}, {Group: Messages, X: 10_000}, {Group: Pings, X: 1000}} {
		for round := 1; round <= 6; round++ {
			c.Samples = append(c.Samples, Sample{Server: "a", Round: round, Result: result(1000, 0, 0)}, Sample{Server: "b", Round: round, Result: result(1250, 0, 0)})
		}
		r.Cases = append(r.Cases, c)
	}
	want := []string{"CPU time of a delivery, in a room of 10", "CPU time of a message at a light load, 10,000 connections"}
	for i, f := range r.Findings(r.Points()) {
		if i >= len(want) || f.View.Title != want[i] || f.Row.Server.Name != "b" || f.Verdict != stats.Better || f.Times.Median != 0.8 {
			t.Errorf("finding %d: %s of %s is %v, × %v", i, f.View.Title, f.Row.Server.Name, f.Verdict, f.Times.Median)
		}
	}
	if n := len(r.Points()); n != len(want) {
		t.Errorf("%d points, want %d", n, len(want))
	}
}

func TestFindings(t *testing.T) {
	r := testRun()
	r.Base = "a"
	all := r.Findings(r.Summary())
	if len(all) != 2 || all[0].Verdict != stats.Worse || all[1].Verdict != stats.Better {
		t.Fatalf("findings %+v", all)
	}
	if worse := r.Regressions(); len(worse) != 1 || worse[0].View.Key != "echo" {
		t.Errorf("regressions %+v, want that of the echo", worse)
	}
	var b strings.Builder
	if err := r.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"4.00 k", "(1.00–7.00 k, 7×)", "× 0.50 (0.50–0.50)", "worse", "client was the limit in 2 of 7 rounds", "not counted: echo, b, round 7: lost"} {
		if !strings.Contains(b.String(), s) {
			t.Errorf("the table has no %q:\n%s", s, &b)
		}
	}
}

// TestMemoryNoise: a few bytes for each connection are no regression.
func TestMemoryNoise(t *testing.T) {
	for extra, want := range map[float64]int{30: 0, 300: 1} {
		c := Case{Group: Idle}
		for round := 1; round <= 8; round++ {
			c.Samples = append(c.Samples, Sample{Server: "a", Round: round, Result: result(0, 50, 0)}, Sample{Server: "b", Round: round, Result: result(0, 50+extra, 0)})
		}
		r := &Run{Base: "a", Servers: []Server{{Name: "a"}, {Name: "b"}}, Cases: []Case{c}}
		if got := r.Regressions(); len(got) != want {
			t.Errorf("%v bytes more: %d regressions, want %d", extra, len(got), want)
		}
	}
}

func TestFigure(t *testing.T) {
	for _, tt := range []struct {
		v    float64
		unit string
		want string
	}{
		{0, "", "0"}, {1234, "/CPU s", "1.23 k"}, {999.6, "", "1.00 k"}, {1.948e6, "", "1.95 M"}, {5.126, "µs", "5.13 µs"},
		{1345, "µs", "1.34 ms"}, {2.5e6, "µs", "2.50 s"}, {42.4, "bytes", "42 B"}, {-12, "bytes", "-12 B"}, {12_345, "bytes", "12.3 kB"}, {99.96, "", "100"},
	} {
		if got := Figure(tt.v, tt.unit); got != tt.want {
			t.Errorf("%v %s: %q, want %q", tt.v, tt.unit, got, tt.want)
		}
	}
	for want, v := range map[string]float64{"15 µs": 15, "1 ms": 1000, "2.5 µs": 2.5, "0 µs": 0, "100 µs": 100} {
		if got := Tick(v, "µs"); got != want {
			t.Errorf("tick %v: %q, want %q", v, got, want)
		}
	}
	for want, s := range map[string]stats.Spread{"1.00–2.00 k, 3×": {N: 3, Min: 1000, Max: 2000}, "900–1.20 k, 1×": {N: 1, Min: 900, Max: 1200}} {
		if got := Range(s, ""); got != want {
			t.Errorf("%+v: %q, want %q", s, got, want)
		}
	}
	if got := Ratio(0.127) + " " + Ratio(0.0345) + " " + Ratio(12.34) + " " + Ratio(456.7); got != "0.13 0.03 12.3 457" {
		t.Errorf("ratios %q", got)
	}
	if got := Thousands(1234567); got != "1,234,567" {
		t.Errorf("thousands %q", got)
	}
}

func TestThisMachine(t *testing.T) {
	m := ThisMachine(1000)
	if m.Cores < 1 || m.Memory < 1<<20 || m.Kernel == "" || m.Go == "" || m.CPU == "" || m.Descriptors != 1000 {
		t.Errorf("machine %+v", m)
	}
}

// TestMetrics: what a result does not have is no figure, and no panic.
func TestMetrics(t *testing.T) {
	for _, m := range []Metric{PerCPU, PerConn, PerMessage, PerPing, P50, P90, P99, P999, Completion} {
		if v := m.Of(new(bench.Result)); v != 0 || math.IsNaN(v) {
			t.Errorf("%s of nothing: %v", m.Name, v)
		}
	}
	if v := PerMessage.Of(result(500_000, 0, 0)); v != 2 {
		t.Errorf("%v µs for each of 500,000 in a second, want 2", v)
	}
	for p90, want := range map[float64]float64{90_000: 2, 110_000: 0} { // the rate was too much for the server
		r := result(500_000, 0, 0)
		r.Seconds, r.Offer, r.Latency.P90 = 1, 5000, p90
		if v := PerMessage.Of(r); v != want {
			t.Errorf("%v µs with answers %v µs late, want %v", v, p90, want)
		}
	}
}
