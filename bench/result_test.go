package bench

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func fullResult() *Result {
	return &Result{
		Mode: "storm", URL: "ws://h/", Conns: 12345, Opened: 7, Took: 9.84, Loops: 2, Size: 128, Depth: 4, Seconds: 2, Count: 1234567, Rate: 617283.5, Bytes: 79,
		Unsent: 5, Dropped: 2345, Pings: 6, ClientCPU: 1.9, ClientBound: true, Interrupted: true,
		Latency: &Latency{Count: 9, P50: 12.3, P99: 45_678.9, P999: 1.5e6, Max: 2e6}, Second: &Latency{Count: 1, Max: 3}, SendDelay: &Latency{Count: 1, Max: 4},
		Server:      &Server{PID: 1, Processes: 3, CPU: 0.5, PerCPUSecond: 1234567, RSS: 10 << 20, PerConn: 560},
		ErrorsTotal: 1003, Errors: map[string]uint64{"lost": 1001, "closed": 2},
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := fullResult().WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"12,345 at a time", "617,284/s", "(1,234,567 in all)", "p50 12.3µs", "p99 45.7ms", "p99.9 1.5s", "connect to closed", "client sent late by",
		"1,234,567 handshakes per second of its CPU", "10.0 MiB", "3 processes", "560 bytes resident per connection", "the client was the bottleneck",
		"5 messages were due and not sent", "the kernel dropped 2,345 packets", "interrupted", "1,003:  lost 1,001  closed 2",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table has no %q:\n%s", want, &b)
		}
	}
}

func TestCSV(t *testing.T) {
	var names []string
	for _, res := range []*Result{fullResult(), {Mode: "idle"}} {
		var b strings.Builder
		if err := res.WriteCSV(&b); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
		if err != nil || len(rows) != 2 {
			t.Fatalf("%d rows, error %v, want 2", len(rows), err)
		}
		if names != nil && !slices.Equal(rows[0], names) {
			t.Errorf("columns %q, want those of the other mode: %q", rows[0], names)
		}
		names = rows[0]
		if i := slices.Index(names, "mode"); rows[1][i] != res.Mode {
			t.Errorf("mode %q, want %q", rows[1][i], res.Mode)
		}
		if i := slices.Index(names, "errors_lost"); res.Server != nil && rows[1][i] != "1001" {
			t.Errorf("errors_lost %q, want 1001", rows[1][i])
		}
	}
}

func TestJSON(t *testing.T) {
	var b strings.Builder
	if err := fullResult().WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Errors  map[string]int
		Latency struct{ P999 float64 } `json:"latency_us"`
		Server  struct{ RSS int64 }
	}
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil || strings.Count(b.String(), "\n") != 1 {
		t.Errorf("error %v, %q, want one object on one line", err, &b)
	}
	if got.Errors["lost"] != 1001 || got.Latency.P999 != 1.5e6 || got.Server.RSS != 10<<20 {
		t.Errorf("read back %+v", got)
	}
}

func TestClientBound(t *testing.T) {
	for _, tt := range []struct {
		client float64
		loops  int
		server *Server
		want   bool
	}{
		{0.99, 1, nil, true},
		{0.99, 2, nil, false},
		{1.9, 2, &Server{CPU: 0.5, Cores: 1}, true},
		{0.99, 1, &Server{CPU: 0.99, Cores: 1}, false}, // both are busy
		{0.99, 1, &Server{CPU: 0.99, Cores: 2}, true},  // it could have used another
		{0.5, 1, &Server{CPU: 0.5, Cores: 1}, false},   // neither is
	} {
		if got := clientBound(tt.client, tt.loops, tt.server); got != tt.want {
			t.Errorf("%v cores of %d loops, server %+v: %v, want %v", tt.client, tt.loops, tt.server, got, tt.want)
		}
	}
}

// TestLatency puts histograms together that know the answer.
func TestLatency(t *testing.T) {
	a, b := newHistogram(), newHistogram()
	for i := range int64(10_000) {
		h := a
		if i%2 == 1 {
			h = b
		}
		h.add((i + 1) * int64(time.Microsecond))
	}
	b.add(int64(time.Hour)) // beyond the end
	a.add(-1)               // a clock that went back
	l := latency(a, b)
	near := func(what string, got, want float64) {
		if got < want*0.999 || got > want*1.001 {
			t.Errorf("%s: %v µs, want %v", what, got, want)
		}
	}
	near("p50", l.P50, 5000)
	near("p90", l.P90, 9000)
	near("p99", l.P99, 9900)
	near("max", l.Max, float64(maxLatency)/1e3)
	if l.Count != 10_002 {
		t.Errorf("%d counted, want 10,002", l.Count)
	}
	if got := latency(newHistogram()); got != (Latency{}) {
		t.Errorf("of nothing: %+v, want zeros", got)
	}
}

// TestUsage measures a process with a child that burns CPU time.
func TestDropped(t *testing.T) {
	if n := parseDropped("11b777a8 0000156d 00000029 0\n1068f4a3 000007d6 00000025 0\n"); n != 0x156d+0x7d6 {
		t.Errorf("%d packets, want those of both cores", n)
	}
	if n := parseDropped(""); n != 0 {
		t.Errorf("%d packets where the kernel does not tell", n)
	}
}

func TestUsage(t *testing.T) {
	cmd := exec.Command("sh", "-c", "sh -c 'while :; do :; done' & echo; wait")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that both can be killed
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("no shell: %v", err)
	}
	out.Read(make([]byte, 1)) // the child is there
	var u Usage
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) && (u.Processes != 2 || u.CPU < 2*ClockTick) {
		time.Sleep(time.Millisecond)
		if u, err = ProcessUsage(cmd.Process.Pid); err != nil {
			t.Fatal(err)
		}
	}
	if u.Processes != 2 || u.CPU < 2*ClockTick || u.RSS < int64(os.Getpagesize()) {
		t.Errorf("usage %+v, want two processes with CPU time and memory", u)
	}
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	cmd.Wait()
	if _, err := sample(cmd.Process.Pid); err == nil {
		t.Error("a process that is gone was sampled")
	}
	if m, err := sample(0); err != nil || m.client <= 0 || m.server != (Usage{}) {
		t.Errorf("sample %+v, error %v, want the client alone", m, err)
	}
}
