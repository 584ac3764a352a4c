package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perchws/perch/bench/peers/roster"
)

// bin is where the peers were built.
func bin(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("PEERS_BIN"); dir != "" {
		return dir
	}
	return filepath.Join("..", "bin")
}

// golden is the table of FAULTS.md: cells by row and column.
func golden(t *testing.T) map[string]map[string]string {
	t.Helper()
	b, err := os.ReadFile("../FAULTS.md")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	cells := make(map[string]map[string]string)
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		fields := strings.Split(strings.Trim(line, "|\n"), "|")
		row := strings.TrimSpace(fields[0])
		if names == nil {
			names = fields
			continue
		}
		cells[row] = make(map[string]string)
		for i, name := range names {
			if i > 0 && i < len(fields) {
				cells[row][strings.TrimSpace(name)] = strings.TrimSpace(fields[i])
			}
		}
	}
	return cells
}

// TestFaults sends what FAULTS.md has, as far as it is answered at once.
func TestFaults(t *testing.T) {
	if !strings.HasPrefix(string(must(os.ReadFile("../FAULTS.md"))), intro) {
		t.Error("FAULTS.md does not begin with intro.md: make -C bench/peers faults")
	}
	want := golden(t)
	for _, p := range must(roster.Load("../peers.json")) {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			if why := p.Missing(bin(t)); why != "" {
				if os.Getenv("CI") == "true" {
					t.Fatalf("CI=true demands it: %s", why)
				}
				t.Skip(why)
			}
			if got := want["version"][p.Name]; got != p.Version {
				t.Errorf("FAULTS.md is about version %s, peers.json has %s: make -C bench/peers faults", got, p.Version)
			}
			var got table
			if err := got.protocol(p, bin(t)); err != nil {
				t.Fatal(err)
			}
			for _, row := range got.rows {
				if got, want := got.cells[row][p.Name], want[row][p.Name]; got != want {
					t.Errorf("%s: %s; FAULTS.md has %q", row, got, want)
				}
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
