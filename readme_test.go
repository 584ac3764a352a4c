package perch_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadmeCompiles vets the Go code of README.md: the program as it stands, and the other piece
// within a function that has what it speaks of.
func TestReadmeCompiles(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)\n```go\n(.*?)\n```\n").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 2 {
		t.Fatalf("%d pieces of Go code", len(blocks))
	}
	for n, block := range blocks {
		code := block[1] + "\n"
		if !strings.HasPrefix(code, "package ") {
			code = "package main\n\nimport (\n\t\"net/http\"\n\n\t\"" + module + "\"\n)\n\nfunc main() {\n\tmux := http.NewServeMux()\n" + code + "}\n"
		}
		file := filepath.Join(t.TempDir(), "main.go")
		if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("go", "vet", file).CombinedOutput(); err != nil {
			t.Errorf("piece %d of README.md: %v\n%s\n%s", n+1, err, out, code)
		}
	}
}
