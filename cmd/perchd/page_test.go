package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// page is docs/protocol.md, taken apart so that it can be compared with the code.
type page []section

// section is the text under one heading of the second level.
type section struct {
	title    string
	body     string
	rows     []row
	examples []example
}

// row is a line of a table: the heading of the first column, and the cells.
type row struct {
	table string
	cells []string
}

const (
	pagePath   = "../../docs/protocol.md"
	sharedPart = "What all endpoints share"
)

var (
	quoted    = regexp.MustCompile("`([^`]+)`")
	separator = regexp.MustCompile(`^\|[ :|-]+\|$`)
)

func readPage(t *testing.T) page {
	t.Helper()
	text, err := os.ReadFile(pagePath)
	if err != nil {
		t.Fatal(err)
	}
	var p page
	at := &section{}
	var table string
	var block *example
	line := 0
	for l := range strings.Lines(string(text)) {
		line++
		l = strings.TrimRight(l, "\n")
		if title, ok := strings.CutPrefix(l, "## "); ok && block == nil {
			p = append(p, section{title: title})
			at = &p[len(p)-1]
		}
		at.body += l + "\n"
		switch {
		case block != nil && l == "```":
			at.examples = append(at.examples, *block)
			block = nil
		case block != nil:
			block.add(t, line, l)
		case l == "```ws":
			block = &example{line: line}
		case !strings.HasPrefix(l, "|"):
			table = ""
		case separator.MatchString(l):
		default:
			cells := strings.Split(strings.Trim(l, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			if table == "" {
				table = cells[0]
			} else {
				at.rows = append(at.rows, row{table, cells})
			}
		}
	}
	if block != nil {
		t.Fatalf("the example of line %d has no end", block.line)
	}
	return p
}

// section returns the section about a path, or with a title.
func (p page) section(t *testing.T, name string) *section {
	t.Helper()
	for i := range p {
		if p[i].title == name || strings.HasPrefix(p[i].title, "`"+name+"`") {
			return &p[i]
		}
	}
	t.Fatalf("no section %q in %s", name, pagePath)
	return nil
}

// table returns the rows of the section's tables whose first column has that heading.
func (s *section) table(heading string) (rows []row) {
	for _, r := range s.rows {
		if r.table == heading {
			rows = append(rows, r)
		}
	}
	return rows
}

// names are the subjects of a row: the words in code in its first cell.
func (r row) names() (names []string) {
	for _, m := range quoted.FindAllStringSubmatch(r.cells[0], -1) {
		names = append(names, m[1])
	}
	return names
}

// The headings of the tables of messages.
const (
	clientSends = "client sends"
	serverSends = "server sends"
)

// about returns all that tables with that heading say about a type. The type "" selects messages without a type, or
// of any type.
func (s *section) about(heading, typ string) (text string) {
	for _, r := range s.table(heading) {
		names := r.names()
		if typ == "" && len(names) == 0 {
			text += strings.Join(r.cells, " | ") + "\n"
		}
		for _, n := range names {
			if n == typ {
				text += strings.Join(r.cells, " | ") + "\n"
			}
		}
	}
	return text
}
