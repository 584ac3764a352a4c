package perch_test

import (
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

// A row of the table "Where to look" in docs/architecture.md: | a question | `file` | `name` |.
var whereRow = regexp.MustCompile("^\\| [^|]+ \\| `([^`|]+)` \\| `([^`|]+)` \\|$")

// TestLayoutWhere holds the table to what there is: each file exists and has the name.
func TestLayoutWhere(t *testing.T) {
	faults, rows, err := where(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	if rows < 24 {
		t.Errorf("%d rows are found: is the table there?", rows)
	}
	for _, f := range faults {
		t.Error(f)
	}
}

// where returns what is wrong with the table, and how many rows it has.
func where(root fs.FS) (faults []string, rows int, err error) {
	doc, err := fs.ReadFile(root, "docs/architecture.md")
	if err != nil {
		return nil, 0, err
	}
	_, section, _ := strings.Cut(string(doc), "\n## Where to look\n")
	section, _, _ = strings.Cut(section, "\n## ")
	head := true
	for line := range strings.Lines(section) {
		line = strings.TrimSpace(line)
		switch {
		case !strings.HasPrefix(line, "|"):
			continue
		case head:
			head = !strings.HasPrefix(line, "|---")
			continue
		}
		rows++
		m := whereRow.FindStringSubmatch(line)
		if m == nil {
			faults = append(faults, fmt.Sprintf("a row in another form: %.60q", line))
			continue
		}
		src, err := fs.ReadFile(root, m[1])
		if err != nil {
			faults = append(faults, err.Error())
			continue
		}
		// A method is named without its type: the file says func (l *loop) pong.
		name := m[2][strings.LastIndex(m[2], ".")+1:]
		if !regexp.MustCompile(`\b` + regexp.QuoteMeta(name) + `\b`).Match(src) {
			faults = append(faults, fmt.Sprintf("%s has no %s", m[1], m[2]))
		}
	}
	return faults, rows, nil
}

// TestLayoutWhereFinds plants each fault.
func TestLayoutWhereFinds(t *testing.T) {
	doc := "# x\n\n## Where to look\n\nWords.\n\n| question | file | name |\n|---|---|---|\n" +
		"| good | `a.go` | `loop.pong` |\n| no name | `a.go` | `ping` |\n| part of a name | `a.go` | `pon` |\n" +
		"| no file | `b.go` | `pong` |\n| no form | a.go | `pong` |\n\n## Other\n\n| x |\n"
	tree := fstest.MapFS{
		"docs/architecture.md": {Data: []byte(doc)},
		"a.go":                 {Data: []byte("package perch\nfunc (l *loop) pong() {}\n")},
	}
	faults, rows, err := where(tree)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a.go has no ping", "a.go has no pon", "b.go", "another form"}
	if rows != 5 || len(faults) != len(want) {
		t.Fatalf("%d rows, faults %q", rows, faults)
	}
	for i := range want {
		if !strings.Contains(faults[i], want[i]) {
			t.Errorf("fault %q, want %q", faults[i], want[i])
		}
	}
}
