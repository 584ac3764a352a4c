//go:build linux

package interop

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestChatConnection runs the connection of the chat page without a page: with a socket and a clock that the
// test holds in its hands. What it waits for in earnest (backoff, refusals, the end of patience) takes too long
// in a browser.
func TestChatConnection(t *testing.T) {
	node := need(t, "apt-get install nodejs", "node", "nodejs")
	modules, err := filepath.Glob("../server/web/static/chat-*.js")
	if err != nil || len(modules) == 0 {
		t.Fatalf("%d modules of the page, %v", len(modules), err)
	}
	dir := t.TempDir()
	for _, name := range append(modules, "testdata/chat_connection.test.mjs") {
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
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "--test", "chat_connection.test.mjs")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "STATIC="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
