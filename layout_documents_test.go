package perch_test

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"
)

// maxColumns is the longest line of a document and of a comment.
const maxColumns = 120

// TestLayoutLines holds the length of lines in documents and comments. Code, tables and
// lines that are one long word (an address, a command) may be longer.
func TestLayoutLines(t *testing.T) {
	faults, documents, err := longLines(os.DirFS("."))
	reportFaults(t, faults, err)
	if documents < 5 {
		t.Errorf("only %d documents seen: not the root of the repository?", documents)
	}
}

// longLines returns the lines under root that are too long, and how many documents it looked at.
func longLines(root fs.FS) (faults []string, documents int, err error) {
	err = eachDocument(root, func(name, text string) {
		documents++
		for n, line := range prose(text) {
			if utf8.RuneCountInString(line) > maxColumns && strings.ContainsRune(strings.TrimSpace(line), ' ') {
				faults = append(faults, fmt.Sprintf("%s:%d: %d characters, %d is the ceiling: wrap it", name, n, utf8.RuneCountInString(line), maxColumns))
			}
		}
	})
	if err != nil {
		return nil, 0, err
	}
	err = eachGoFile(root, func(f sourceFile) {
		lines := strings.Split(string(f.src), "\n")
		for _, group := range f.Comments {
			for _, c := range group.List {
				first := f.fset.Position(c.Pos()).Line
				for n := range strings.Split(c.Text, "\n") {
					line := lines[first+n-1]
					words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "//"))
					if k := utf8.RuneCountInString(line); k > maxColumns && len(words) > 1 && !strings.HasPrefix(c.Text, "//go:") {
						faults = append(faults, fmt.Sprintf("%s:%d: a line with a comment has %d characters, %d is the ceiling: wrap it, or set the comment above", f.name, first+n, k, maxColumns))
					}
				}
			}
		}
	})
	slices.Sort(faults)
	return faults, documents, err
}

// prose yields the lines of a Markdown text that are neither code nor part of a table, by
// their numbers from 1.
func prose(text string) func(yield func(n int, line string) bool) {
	return func(yield func(int, string) bool) {
		code := false
		for n, line := range strings.Split(text, "\n") {
			switch trimmed := strings.TrimSpace(line); {
			case strings.HasPrefix(trimmed, "```"):
				code = !code
				continue
			case code, strings.HasPrefix(trimmed, "|"):
				continue
			}
			if !yield(n+1, line) {
				return
			}
		}
	}
}

// TestLayoutLinesFinds plants long lines: a check that cannot fail checks nothing.
func TestLayoutLinesFinds(t *testing.T) {
	long := strings.Repeat("word ", maxColumns/5) + "more"
	for _, tt := range []struct {
		name, file, text string
		want             []string // where each fault is
	}{
		{"document", "a.md", "# A\n\n" + long + "\n", []string{"a.md:3:"}},
		{"as long as may be", "a.md", long[:maxColumns] + "\n", nil},
		{"characters, not bytes", "a.md", strings.Repeat("– ", maxColumns/2) + "\n", nil},
		{"table", "a.md", "| " + long + " |\n", nil},
		{"code", "a.md", "```\n" + long + "\n```\n" + long + "\n", []string{"a.md:4:"}},
		{"one word", "a.md", "https://example.com/" + strings.Repeat("x", maxColumns) + "\n", nil},
		{"comment", "a.go", "package perch\n\n// A is " + long + "\nconst A = 1\n", []string{"a.go:3:"}},
		{"comment behind code", "a.go", "package perch\n\nconst A = 1 // " + long + "\n", []string{"a.go:3:"}},
		{"code without a comment", "a.go", "package perch\n\nconst A = \"" + long + "\"\n", nil},
		{"comment of many lines", "a.go", "package perch\n\n/*\n" + long + "\n\n" + long + "\n*/\n", []string{"a.go:4:", "a.go:6:"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			faults, _, err := longLines(fstest.MapFS{tt.file: {Data: []byte(tt.text)}})
			expectFaults(t, faults, err, tt.want...)
		})
	}
}
