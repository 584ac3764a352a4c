package record

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/perchws/perch/bench/stats"
)

// WriteTable writes the summary for people: every figure with its range and
// rounds, and as a ratio to the reference's, taken round by round.
func (r *Run) WriteTable(w io.Writer) error {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	ref := r.Reference()
	for _, v := range r.Summary() {
		less := ""
		if v.Metric.Lower {
			less = "; less is better"
		}
		fmt.Fprintf(t, "%s: %s%s\n", v.Title, v.What, less)
		for _, row := range r.Rows(v) {
			ratio := "1"
			if row.Server.Name != ref {
				ratio = "–"
			}
			if len(row.Ratios) > 0 {
				ratio = Times(v.Metric.Times(row.Ratios))
				if r.Base != "" {
					ratio += "  " + stats.Compare(row.Ratios, Tolerance).String()
				}
			}
			note := ""
			if row.ClientBound > 0 {
				note = fmt.Sprintf("client was the limit in %d of %d rounds", row.ClientBound, row.N)
			}
			fmt.Fprintf(t, "  %s\t%s\t%s\t(%s)\t%s\t%s\n", row.Server.Name, row.Server.Lang, Figure(row.Median, v.Metric.Unit), Range(row.Spread, v.Metric.Unit), ratio, note)
		}
		fmt.Fprintln(t)
	}
	for i := range r.Cases {
		for _, s := range r.Cases[i].Failures() {
			fmt.Fprintf(t, "not counted: %s, %s, round %d: %s\n", r.Cases[i].Group, s.Server, s.Round, s.Error)
		}
	}
	for _, s := range r.Skipped {
		fmt.Fprintf(t, "skipped: %s: %s\n", s.Name, s.Why)
	}
	fmt.Fprintf(t, "× is how many times the figure of %s, round by round: median, lowest, highest.\n", ref)
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, b.String())
	return err
}
