package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// module writes a module and returns its directory.
func module(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	files["go.mod"] = "module example\n\ngo 1.24\n"
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	passes = "func TestPasses(t *testing.T) { t.Log(\"quiet\") }\n"
	skips  = "func TestSkips(t *testing.T) {\n\tt.Log(\"before\")\n\tt.Skip(\"peer is missing: apt-get install peer\")\n}\n" +
		"func TestMore(t *testing.T) {\n\tt.Run(\"sub\", func(t *testing.T) { t.Skip(\"peer is missing: apt-get install peer\") })\n\tt.Run(\"fine\", func(t *testing.T) {})\n}\n" +
		"func TestSilent(t *testing.T) { t.SkipNow() }\n"
	fails  = "func TestFails(t *testing.T) {\n\tt.Log(\"loud\")\n\tt.Run(\"sub\", func(t *testing.T) { t.Error(\"wrong\") })\n}\n"
	panics = "func TestPanics(t *testing.T) { panic(\"ouch\") }\n"
	dies   = "func TestDies(t *testing.T) { println(\"last words\"); os.Exit(3) }\n"
	head   = "package x\n\nimport \"testing\"\n\n"
)

// TestRun compares with go test itself: the status, and what it prints, and behind it what was skipped.
func TestRun(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("go is missing")
	}
	summary := "\n4 skipped:\n  no reason given\n      example/a TestSilent\n  peer is missing: apt-get install peer\n" +
		"      example/a TestMore/sub\n      example/a TestSkips\n      example/b TestSkips\n"
	for name, tt := range map[string]struct {
		files   map[string]string
		summary string
	}{
		"all pass": {map[string]string{"a/a_test.go": head + passes}, ""},
		"skips": {map[string]string{"a/a_test.go": head + passes + skips, "c/c.go": "package c\n",
			"b/b_test.go": head + strings.Split(skips, "func TestMore")[0]}, summary},
		"fails":          {map[string]string{"a/a_test.go": head + passes + fails + skips, "b/b_test.go": head + strings.Split(skips, "func TestMore")[0]}, summary},
		"panics":         {map[string]string{"a/a_test.go": head + passes + panics}, ""},
		"dies":           {map[string]string{"a/a_test.go": strings.Replace(head, "\"testing\"", "(\n\t\"os\"\n\t\"testing\"\n)", 1) + dies}, ""},
		"does not build": {map[string]string{"a/a_test.go": head + passes + "var _ = nothing\n", "b/b_test.go": head + passes}, ""},
		"does not vet":   {map[string]string{"a/a_test.go": head + "func TestX(t *testing.T) { t.Errorf(\"%d\", \"x\") }\n"}, ""},
		"no packages":    {map[string]string{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(module(t, tt.files))
			t.Setenv("GOFLAGS", "")
			want, wantErr := exec.Command("go", "test", "-count=1", "./...").CombinedOutput()
			var out strings.Builder
			err := run([]string{"go", "test", "-count=1", "./..."}, &out, &out)
			if (err == nil) != (wantErr == nil) {
				t.Errorf("error %v, that of go test %v", err, wantErr)
			}
			got, had := comparable(out.String()), comparable(string(want))
			if got, ok := strings.CutSuffix(got, comparable(tt.summary)); !ok || sorted(got) != sorted(had) {
				t.Errorf("printed:\n%s\ngo test printed:\n%s\nand the summary should be\n%s", out.String(), want, tt.summary)
			}
		})
	}
}

var varies = regexp.MustCompile(`0x[0-9a-f]+|goroutine \d+|[\d.]+s\b|\+0x|example\.test\d*|\{[^}]*\}\??`)

func comparable(text string) string { return varies.ReplaceAllString(text, "_") }

// sorted is text with its lines in order: packages end as they like, and go test -json puts build errors
// elsewhere.
func sorted(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line != "FAIL" && !strings.HasPrefix(line, "created by") && !strings.HasPrefix(line, "/") {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// TestRunRefuses what is no test.
func TestRunRefuses(t *testing.T) {
	for _, command := range [][]string{nil, {"go"}, {"go", "build"}} {
		if err := run(command, os.Stdout, os.Stdout); err == nil {
			t.Errorf("%q is run", command)
		}
	}
	if err := run([]string{"/nowhere/go", "test"}, os.Stdout, os.Stdout); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no go: %v", err)
	}
}
