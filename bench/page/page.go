// Package page makes the report of a run of the suite: one HTML file that needs
// nothing else, and the main plots as files of their own.
package page

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/perchws/perch/bench/plot"
	"github.com/perchws/perch/bench/record"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// apart are the plots that stand in the README, by their keys.
var apart = []string{"echo", "idle"}

// Write writes index.html and the main plots into a directory, and returns their
// names.
func Write(r *record.Run, dir string) (names []string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	write := func(name, text string) {
		name = filepath.Join(dir, name)
		names = append(names, name)
		if err == nil {
			err = os.WriteFile(name, []byte(text), 0o644)
		}
	}
	var b strings.Builder
	if err := render(&b, r); err != nil {
		return nil, err
	}
	write("index.html", b.String())
	for _, v := range r.Summary() {
		for _, key := range apart {
			if v.Key == key {
				bars := barsOf(r, v)
				bars.Note = "Median and range of " + roundsOf(r.Rows(v)) + ", " + r.Machine.CPU + ", " + r.Started.Format("January 2006") + "."
				write(key+".svg", bars.SVG(true)+"\n")
			}
		}
	}
	return names, err
}

// render writes the page.
func render(w io.Writer, r *record.Run) error {
	return pageTemplate.Execute(w, struct {
		Style template.CSS
		*content
	}{template.CSS(pageCSS + plot.Style), newContent(r)})
}

// roundsOf says how many rounds some rows come from.
func roundsOf(rows []record.Row) string {
	least, most := 0, 0
	for i, row := range rows {
		if i == 0 || row.N < least {
			least = row.N
		}
		most = max(most, row.N)
	}
	if least == most {
		return fmt.Sprintf("%d rounds", most)
	}
	return fmt.Sprintf("%d to %d rounds", least, most)
}
