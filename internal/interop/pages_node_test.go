//go:build linux

package interop

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestPagesWithoutPage runs the connections of the pages without the pages: with a socket and a clock that the test
// holds in its hands. Their waits (backoff, refusals, the end of patience) take too long in a browser.
func TestPagesWithoutPage(t *testing.T) {
	node := need(t, "apt-get install nodejs", "node", "nodejs")
	modules, err := filepath.Glob("../server/web/static/*.js")
	if err != nil || len(modules) == 0 {
		t.Fatalf("%d modules of the pages, %v", len(modules), err)
	}
	dir := t.TempDir()
	tests := []string{"chat_connection.test.mjs", "console_wire.test.mjs"}
	for _, name := range tests {
		modules = append(modules, filepath.Join("testdata", name))
	}
	for _, name := range modules {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"type":"module"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range tests {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		cmd := exec.CommandContext(ctx, node, "--test", name)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "STATIC="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		cancel()
	}
}
