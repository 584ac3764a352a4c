package page

import (
	"fmt"
	"strings"
	"time"

	"github.com/perchws/perch/bench/record"
	"github.com/perchws/perch/bench/stats"
)

// headline is a figure of the summary in words: ours, and the best of the others.
type headline struct {
	Figure, Range string
	What          string
	Against       string // how it stands to the best of the others, with its range
}

// headlines has one for each figure that others have too.
func headlines(r *record.Run) (all []headline) {
	ref := r.Reference()
	for _, v := range r.Summary() {
		var ours, best *record.Row
		rows := r.Rows(v)
		for i := range rows {
			switch s := rows[i].Server; {
			case s.Name == ref:
				ours = &rows[i]
			case best == nil && !s.Ours && !s.Yardstick:
				best = &rows[i]
			}
		}
		if ours == nil || best == nil || len(best.Ratios) == 0 {
			continue
		}
		times := v.Metric.Times(v.Case.Ratios(ref, best.Server.Name, v.Metric))
		all = append(all, headline{
			Figure: record.Figure(ours.Median, v.Metric.Unit), Range: record.Range(ours.Spread, v.Metric.Unit), What: short(v),
			Against: fmt.Sprintf("%s of the best other, %s", record.Times(times), best.Server.Name),
		})
	}
	return all
}

// short says what a figure of a view is.
func short(v record.View) string {
	title := v.Title
	if !strings.HasPrefix(title, "CPU") {
		title = strings.ToLower(title[:1]) + title[1:]
	}
	if v.Metric.Unit == record.PerCPU.Unit {
		what, _, _ := strings.Cut(v.What, " per ")
		return what + " per CPU second: " + title
	}
	return title
}

// others lists servers that a figure has something in common for.
type others struct {
	View string
	All  []string
}

// addOther adds a server to those of its figure.
func addOther(list []others, view, text string) []others {
	if n := len(list); n == 0 || list[n-1].View != view {
		list = append(list, others{View: view})
	}
	last := &list[len(list)-1]
	last.All = append(last.All, text)
	return list
}

// findings says where the others are better, along the curves too, and where one
// cannot tell.
func (c *content) findings(r *record.Run) {
	for _, f := range r.Findings(append(r.Summary(), r.Points()...)) {
		s := f.Row.Server
		if s.Ours {
			continue
		}
		name, view := s.Name, f.View.Title
		if s.Yardstick {
			name += " (the limit)"
		}
		view += less(f.View)
		ratios := stats.Of(f.Row.Ratios)
		text := fmt.Sprintf("%s × %s (%s–%s, %d×)", name, record.Ratio(f.Times.Median), record.Ratio(f.Times.Min), record.Ratio(f.Times.Max), f.Times.N)
		switch {
		case better(f.Row.Ratios):
			c.Better = addOther(c.Better, view, text)
		case ratios.Max > 1 && ratios.Median > 1-2*record.Tolerance:
			c.Close = addOther(c.Close, view, text)
		}
	}
}

// bounds says where the client was the limit.
func bounds(r *record.Run) (all []string) {
	for _, s := range r.Servers {
		var in []string
		for i := range r.Cases {
			if bound, of := r.Cases[i].ClientBound(s.Name); bound > 0 {
				in = append(in, fmt.Sprintf("%s in %d of %d rounds", caseName(&r.Cases[i]), bound, of))
			}
		}
		if len(in) > 0 {
			all = append(all, s.Name+": "+strings.Join(in, "; "))
		}
	}
	return all
}

// less says that less of a figure is better, where it is.
func less(v record.View) string {
	if v.Metric.Lower {
		return " (less is better)"
	}
	return ""
}

// verdicts compares the two commits of a run.
func verdicts(r *record.Run) (all []verdict) {
	for _, f := range r.Findings(r.Summary()) {
		unit := f.View.Metric.Unit
		base := f.View.Case.Spread(r.Base, f.View.Metric)
		v := verdict{
			View: f.View.Title + less(f.View), Text: f.Verdict.String(),
			Ratio: fmt.Sprintf("%s, %d rounds", record.Times(f.Times), f.Times.N),
			Base:  fmt.Sprintf("%s (%s)", record.Figure(base.Median, unit), record.Range(base, unit)),
			This:  fmt.Sprintf("%s (%s)", record.Figure(f.Row.Median, unit), record.Range(f.Row.Spread, unit)),
		}
		switch f.Verdict {
		case stats.Better:
			v.Class = "better"
		case stats.Worse:
			v.Class = "worse"
		}
		all = append(all, v)
	}
	return all
}

// agreement says whether the two load generators measure the same, which is that
// the ratios of their rounds lie around 1, or within the tolerance of it.
func agreement(r *record.Run) string {
	c := r.Case(record.Generator, 0)
	if c == nil {
		return ""
	}
	s := stats.Of(c.Ratios(record.OurGenerator, record.OtherGenerator, record.PerCPU))
	switch {
	case s.N == 0:
		return ""
	case s.Min <= 1+record.Tolerance && s.Max >= 1-record.Tolerance:
		return fmt.Sprintf("They agree: the server's figure under ours is %s times that under the other, %d rounds.", strings.TrimPrefix(record.Times(s), "× "), s.N)
	}
	return fmt.Sprintf("They do not agree: the server's figure under ours is %s times that under the other, in each of %d rounds. Figures of this page are ours.", strings.TrimPrefix(record.Times(s), "× "), s.N)
}

// generatorTable compares the two load generators; nil if that was not measured.
func generatorTable(r *record.Run) *table {
	c := r.Case(record.Generator, 0)
	if c == nil {
		return nil
	}
	t := &table{Caption: "The same server under both load generators", Head: []string{"messages per CPU second of the server", "median latency", "99th percentile"}}
	metrics := []record.Metric{record.PerCPU, record.P50, record.P99}
	for _, g := range [][2]string{{record.OurGenerator, "ours, Go"}, {record.OtherGenerator, "bench/baseline, C"}} {
		row := tableRow{Name: g[0], Tag: g[1]}
		for _, m := range metrics {
			s := c.Spread(g[0], m)
			if s.N == 0 {
				return nil
			}
			row.Cells = append(row.Cells, cell{Text: record.Figure(s.Median, m.Unit), Range: record.Range(s, m.Unit)})
		}
		t.Rows = append(t.Rows, row)
	}
	ratio := tableRow{Name: record.OurGenerator + " / " + record.OtherGenerator, Tag: "round by round"}
	for _, m := range metrics {
		m.Lower = false
		s := stats.Of(c.Ratios(record.OurGenerator, record.OtherGenerator, m))
		if s.N == 0 {
			return nil
		}
		ratio.Cells = append(ratio.Cells, cell{Text: "× " + record.Ratio(s.Median), Range: fmt.Sprintf("%s–%s, %d×", record.Ratio(s.Min), record.Ratio(s.Max), s.N)})
	}
	t.Rows = append(t.Rows, ratio)
	return t
}

// duration is one as Go prints it, to three digits; empty for none.
func duration(s string) string {
	d, err := time.ParseDuration(s)
	if err != nil || d == 0 {
		return ""
	}
	return record.Figure(float64(d)/float64(time.Microsecond), "µs")
}

// engineTable is what our server said of itself at its ends; nil if it said
// nothing.
func engineTable(r *record.Run) *table {
	t := &table{Caption: "What the engine measured of itself, in all rounds of a load", Head: []string{"loop tick, median ≤", "loop tick, 99 % ≤", "collections", "pause, median ≤", "longest pause ≤"}}
	for i := range r.Cases {
		c := &r.Cases[i]
		for j := range c.Samples {
			s := &c.Samples[j]
			if e := s.Engine; e != nil && (s.Round == c.Rounds() || c.Group != record.Pings && c.Group != record.Idle) {
				t.Rows = append(t.Rows, tableRow{Name: s.Server, Tag: caseName(c), Cells: []cell{
					{Text: duration(e.TickP50)}, {Text: duration(e.TickP99)}, {Text: fmt.Sprint(e.GCs)}, {Text: duration(e.GCPauseP50)}, {Text: duration(e.GCPauseMax)}}})
			}
		}
	}
	if len(t.Rows) == 0 {
		return nil
	}
	return t
}
