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
	reportFaults(t, faults, err)
	if rows < 24 {
		t.Errorf("%d rows are found: is the table there?", rows)
	}
}

// where returns what is wrong with the table, and how many rows it has.
func where(root fs.FS) (faults []string, rows int, err error) {
	text, err := section(root, "docs/architecture.md", "Where to look")
	for line := range tableRows(text) {
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
	return faults, rows, err
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
	expectFaults(t, faults, err, "a.go has no ping", "a.go has no pon", "b.go", "another form")
	if rows != 5 {
		t.Errorf("%d rows, want 5", rows)
	}
}
