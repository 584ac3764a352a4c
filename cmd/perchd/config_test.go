package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestConfigCommand: perchd config prints the values of every source, without secrets.
func TestConfigCommand(t *testing.T) {
	path := filepath.Join(t.TempDir(), "perchd.toml")
	if err := os.WriteFile(path, []byte("# why\nloops = 2\nworkers = 9"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errOut strings.Builder
	status := command([]string{"config", "--config", path, "--loops", "3", "--auth-audience", "a", "--auth-jwks-url", "https://u:hunter2@id.example/?k=hunter2"},
		[]string{"PERCH_MAX_ERRORS=4"}, &out, &errOut)
	if status != 0 || strings.Count(errOut.String(), "\n") != 1 || !strings.Contains(errOut.String(), "other users can read a command line") {
		t.Fatalf("status %d, %s", status, &errOut)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{"loops = 3 # --loops", "workers = 9 # file " + path, "max-errors = 4 # PERCH_MAX_ERRORS", `listen = "127.0.0.1:8000" # default`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if strings.Contains(text+errOut.String(), "hunter2") {
		t.Errorf("a secret is printed:\n%s\n%s", &out, &errOut)
	}
}

func TestCommand(t *testing.T) {
	for _, tt := range []struct {
		args, env string
		status    int
		says      string
	}{
		{"--help", "", 0, "--max-connections"},
		{"config --help", "", 0, "--max-connections"},
		{"--version", "", 0, "perchd "},
		{"--nonsense", "", 2, "nonsense"},
		{"config --nonsense", "", 2, "nonsense"},
		{"config --loops 0", "", 2, "loops (--loops)"},
		{"", "PERCH_LOOPS=none", 2, "loops (PERCH_LOOPS)"},
		{"", "PERCH_NONSENSE=1", 2, "PERCH_NONSENSE"},
		{"--config /nowhere/perchd.toml", "", 2, "/nowhere/perchd.toml"},
	} {
		var out strings.Builder
		if status := command(strings.Fields(tt.args), []string{tt.env}, &out, &out); status != tt.status || !strings.Contains(out.String(), tt.says) {
			t.Errorf("%q %s: status %d, %q, want %d and %q", tt.args, tt.env, status, &out, tt.status, tt.says)
		}
	}
}
