package web

import (
	"regexp"
	"strings"
	"testing"

	"github.com/perchws/perch/docs"
)

// table returns the first cells, with or without backquotes, of the table under a heading of docs/protocol.md.
func table(t *testing.T, heading string, cell *regexp.Regexp) []string {
	t.Helper()
	_, rest, found := strings.Cut(string(docs.Protocol), "\n"+heading+"\n")
	if !found {
		t.Fatalf("docs/protocol.md has no %q", heading)
	}
	rest, _, _ = strings.Cut(rest, "\n#")
	var cells []string
	for _, m := range cell.FindAllStringSubmatch(rest, -1) {
		cells = append(cells, m[1])
	}
	if len(cells) < 5 {
		t.Fatalf("%s: only %q", heading, cells)
	}
	return cells
}

// TestWords: the pages have plain words for every error and every close code of the protocol.
func TestWords(t *testing.T) {
	for _, tt := range []struct {
		file, heading string
		cell          *regexp.Regexp
	}{
		{"chat-words.js", "## Error codes", regexp.MustCompile("(?m)^\\| `(\\w+)` \\|")},
		{"close-code.js", "## Close codes", regexp.MustCompile(`(?m)^\| (\d{4}) \|`)},
	} {
		text, err := static.ReadFile("static/" + tt.file)
		if err != nil {
			t.Fatal(err)
		}
		for _, code := range table(t, tt.heading, tt.cell) {
			if !regexp.MustCompile(`(?m)^\s+` + code + `: '|'` + code + `'`).Match(text) {
				t.Errorf("%s has no words for %s", tt.file, code)
			}
		}
	}
}
