package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perchws/perch/bench"
	"github.com/perchws/perch/bench/record"
	"github.com/perchws/perch/bench/suite"
)

func TestSuiteUsage(t *testing.T) {
	for name, run := range commands {
		var out, errOut bytes.Buffer
		if status := run([]string{"--help"}, &out, &errOut); status != statusOK || !strings.Contains(out.String(), "Usage of perchbench "+name+":") {
			t.Errorf("%s --help: status %d, %s%s", name, status, &out, &errOut)
		}
		for _, args := range [][]string{{"--nonsense"}, {"extra"}} {
			errOut.Reset()
			if status := run(args, &out, &errOut); status != statusUsage || !strings.Contains(errOut.String(), strings.TrimLeft(args[0], "-")) {
				t.Errorf("%s %v: status %d, %s", name, args, status, &errOut)
			}
		}
		src, err := os.ReadFile("main.go")
		if err != nil || !bytes.Contains(src, []byte("//\tperchbench "+name+" ")) {
			t.Errorf("main.go does not say what %s is for", name)
		}
	}
}

func TestReport(t *testing.T) {
	dir := t.TempDir()
	var out, errOut bytes.Buffer
	if status := runReport([]string{"--runs", dir}, &out, &errOut); status != statusFaults || !strings.Contains(errOut.String(), "perchbench suite") {
		t.Errorf("no results: status %d, %s", status, &errOut)
	}
	run := &record.Run{Servers: []record.Server{{Name: "perch", Ours: true}}, Cases: []record.Case{{Group: record.Echo, Load: []string{"echo"},
		Samples: []record.Sample{{Server: "perch", Round: 1, Result: &bench.Result{Server: &bench.Server{PerCPUSecond: 5000}}}}}}}
	if err := run.Save(dir); err != nil {
		t.Fatal(err)
	}
	if status := runReport([]string{"--runs", dir, "--out", filepath.Join(dir, "new")}, &out, &errOut); status != statusOK {
		t.Fatalf("status %d, %s", status, &errOut)
	}
	if !strings.Contains(out.String(), "5.00 k") || !strings.Contains(out.String(), "1×") {
		t.Errorf("no figure with its rounds: %s", &out)
	}
	for _, name := range []string{"index.html", "echo.svg"} {
		if _, err := os.Stat(filepath.Join(dir, "new", name)); err != nil {
			t.Error(err)
		}
	}
}

// TestSuiteStatus: a commit that is worse than its base fails, and so does a smoke test with a failed measurement.
func TestSuiteStatus(t *testing.T) {
	c := record.Case{Group: record.Echo, Load: []string{"echo"}}
	for round := 1; round <= 6; round++ {
		for name, perCPU := range map[string]float64{"base": 1000, "this": 900} {
			c.Samples = append(c.Samples, record.Sample{Server: name, Round: round, Result: &bench.Result{Server: &bench.Server{PerCPUSecond: perCPU}}})
		}
	}
	run := &record.Run{Base: "base", Servers: []record.Server{{Name: "base"}, {Name: "this"}}, Cases: []record.Case{c}}
	var out bytes.Buffer
	if status := suiteStatus(run, suite.Options{Base: "main"}, &out); status != statusFaults || !strings.Contains(out.String(), "WORSE: Echo, one message at a time: × 0.90 (0.90–0.90), 6 rounds") {
		t.Errorf("status %d, %s", status, &out)
	}
	if status := suiteStatus(run, suite.Options{}, &out); status != statusOK {
		t.Errorf("status %d for peers that are slower", status)
	}
	run.Skipped = []record.Skip{{Name: "fastapi", Why: "no python"}}
	for ci, want := range map[string]int{"true": statusFaults, "": statusOK} {
		t.Setenv("CI", ci)
		if status := suiteStatus(run, suite.Options{Smoke: true}, &out); status != want {
			t.Errorf("a server is skipped, CI=%q: status %d", ci, status)
		}
	}
	run.Cases[0].Samples[0].Error = "lost"
	if status := suiteStatus(run, suite.Options{Smoke: true}, &out); status != statusFaults || !strings.Contains(out.String(), "FAILED: echo") {
		t.Errorf("status %d, %s", status, &out)
	}
}
