package bench

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/wstest"
)

func TestMain(m *testing.M) { wstest.Main(m) }

// serve runs a server with one loop and one handler, on /, until the test ends.
// What it returns is its address as a URL.
func serve(t *testing.T, h perch.Handler) string {
	t.Helper()
	wstest.NoLeaks(t)
	url, stop := listen(t, h)
	t.Cleanup(stop)
	return url
}

// during runs a server while load runs: what its handler keeps may be used
// again afterwards.
func during(t *testing.T, h perch.Handler, load func(url string) *Result) *Result {
	t.Helper()
	url, stop := listen(t, h)
	defer stop()
	return load(url)
}

func listen(t *testing.T, h perch.Handler) (url string, stop func()) {
	t.Helper()
	srv := perch.New(perch.Config{
		Addr: "127.0.0.1:0", Loops: 1, NewConnectionsPerSecond: -1, MaxMessageSize: 1 << 20,
		Rate: perch.Rate{Messages: -1, Burst: -1, Bytes: -1},
	})
	srv.Handle("/", h)
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	return "ws://" + srv.Addr().String() + "/", func() {
		srv.Close()
		if err := srv.Wait(); err != nil {
			t.Errorf("server ended with %v", err)
		}
	}
}

// target is a short run against url.
func target(t *testing.T, url string, conns int) Target {
	return Target{
		URL: url, Conns: conns, InFlight: 16, ConnectTimeout: 5 * time.Second,
		Time: 50 * time.Millisecond, Drain: 5 * time.Second, Log: testLog{t},
	}
}

// testLog writes to the log of a test.
type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("%s", strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

// runOf runs a mode.
func runOf(t *testing.T, o interface {
	Run(context.Context) (*Result, error)
}) *Result {
	t.Helper()
	res, err := o.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// runUntil runs a mode for longer and longer until enough says so: other programs
// may need the machine. It returns the last result.
func runUntil(t *testing.T, run func(time.Duration) *Result, enough func(*Result) bool) *Result {
	t.Helper()
	for d := 50 * time.Millisecond; ; d *= 2 {
		if res := run(d); enough(res) || d > 5*time.Second {
			return res
		}
	}
}

// hasFaults reports that all of these kinds are there.
func hasFaults(res *Result, kinds []Fault) bool {
	return !slices.ContainsFunc(kinds, func(k Fault) bool { return res.Errors[k.String()] == 0 })
}

// drainFor is how long to wait for the last answers: not long if some are to be
// lost.
func drainFor(kinds []Fault) time.Duration {
	if slices.Contains(kinds, Lost) {
		return 100 * time.Millisecond
	}
	return 10 * time.Second
}

// expectFaults demands faults of these kinds and no others; none: a clean run.
func expectFaults(t *testing.T, res *Result, kinds ...Fault) {
	t.Helper()
	want := make(map[string]bool)
	for _, k := range kinds {
		want[k.String()] = true
	}
	var total uint64
	for name, n := range res.Errors {
		if total += n; (n > 0) != want[name] {
			t.Errorf("%d faults %q", n, name)
		}
	}
	if res.ErrorsTotal != total || res.OK != (total == 0) {
		t.Errorf("ok %v, %d faults in all, want %d", res.OK, res.ErrorsTotal, total)
	}
}
