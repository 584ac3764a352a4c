package page

import (
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/perchws/perch/bench/plot"
	"github.com/perchws/perch/bench/record"
	"github.com/perchws/perch/bench/stats"
)

func kind(s record.Server) plot.Kind {
	switch {
	case s.Yardstick:
		return plot.Limit
	case s.Ours:
		return plot.Ours
	}
	return plot.Peer
}

// direction says which way is better.
func direction(m record.Metric) string {
	if m.Lower {
		return "shorter is better"
	}
	return "longer is better"
}

// barsOf draws a figure of the summary.
func barsOf(r *record.Run, v record.View) plot.Bars {
	p := plot.Bars{Head: plot.Head{ID: v.Key, Title: v.Title, Axis: strings.ToUpper(v.What[:1]) + v.What[1:] + "; " + direction(v.Metric) + "."}}
	rows := r.Rows(v)
	for _, row := range rows {
		p.Rows = append(p.Rows, plot.Bar{
			Name: row.Server.Name, Tag: tag(row.Server), Kind: kind(row.Server), Value: row.Median, Low: row.Min, High: row.Max,
			Text: record.Figure(row.Median, v.Metric.Unit), Range: rangeOf(row, v.Metric.Unit),
		})
	}
	p.Desc = fmt.Sprintf("Bars of %d servers, the best on top: %s; %s. Lines show the lowest and highest round.", len(rows), v.What, direction(v.Metric))
	return p
}

// rangeOf is the range of a row, with a mark if the client was the limit.
func rangeOf(row record.Row, unit string) string {
	if row.ClientBound > 0 {
		return record.Range(row.Spread, unit) + " †"
	}
	return record.Range(row.Spread, unit)
}

func barFigure(r *record.Run, v record.View) figure {
	return figure{ID: v.Key, Title: v.Title, Note: load(v.Case), SVG: template.HTML(barsOf(r, v).SVG(false)), Table: rowsTable(r, v)}
}

// load says in words what a case's load is.
func load(c *record.Case) string {
	option := func(name string) string {
		if i := slices.Index(c.Load, name); i >= 0 && i+1 < len(c.Load) {
			return c.Load[i+1]
		}
		return ""
	}
	parts := []string{option("--conns") + " connections"}
	switch c.Group {
	case record.Storm:
		parts[0] = option("--conns") + " at a time"
	case record.Fanout:
		parts[0] = option("--conns") + " members, one publisher"
	}
	if s := option("--size"); s != "" {
		parts = append(parts, s+" bytes")
	}
	if s := option("--depth"); s != "" {
		parts = append(parts, s+" in flight on each")
	}
	if s := option("--rate"); s != "" {
		parts = append(parts, s+" messages per second in all")
	}
	return strings.Join(parts, ", ")
}

// rowsTable has the numbers of a bar plot.
func rowsTable(r *record.Run, v record.View) table {
	t := table{Caption: v.Title + ": " + v.What, Head: []string{"median", "lowest", "highest", "rounds", "ratio to " + r.Reference()}}
	for _, row := range r.Rows(v) {
		ratio := "1"
		if row.Server.Name != r.Reference() {
			ratio = "–"
		}
		if s := v.Metric.Times(row.Ratios); s.N > 0 {
			ratio = record.Times(s)
		}
		unit := v.Metric.Unit
		t.Rows = append(t.Rows, tableRow{Class: class(row.Server), Name: row.Server.Name, Tag: tag(row.Server), Cells: []cell{
			{Text: record.Figure(row.Median, unit)}, {Text: record.Figure(row.Min, unit)}, {Text: record.Figure(row.Max, unit)}, {Text: fmt.Sprint(row.N)}, {Text: ratio}}})
	}
	return t
}

func latencyFigure(r *record.Run, v record.View) figure {
	p := plot.Latencies{
		Head: plot.Head{ID: v.Key, Title: v.Title, Axis: "From the moment a message was due, logarithmic; further left is better.",
			Desc: "Median, 99th and 99.9th percentile of the latency of each server, the best 99th percentile on top; further left is better."},
		Tick: func(us float64) string { return record.Tick(us, "µs") },
	}
	t := table{Caption: v.Title, Head: []string{"median", "90 %", "99 %", "99.9 %", "rounds"}}
	for _, row := range r.Rows(v) {
		spreadOf := func(m record.Metric) stats.Spread { return v.Case.Spread(row.Server.Name, m) }
		p50, p90, p999 := spreadOf(record.P50), spreadOf(record.P90), spreadOf(record.P999)
		p.Rows = append(p.Rows, plot.LatencyRow{
			Name: row.Server.Name, Tag: tag(row.Server), Kind: kind(row.Server), P50: p50.Median, P99: row.Median, P999: p999.Median,
			Low: row.Min, High: row.Max, Text: record.Figure(row.Median, "µs"), Range: record.Range(row.Spread, "µs"),
		})
		full := func(s stats.Spread) cell {
			return cell{Text: record.Figure(s.Median, "µs"), Range: record.Range(s, "µs")}
		}
		t.Rows = append(t.Rows, tableRow{Class: class(row.Server), Name: row.Server.Name, Tag: tag(row.Server),
			Cells: []cell{full(p50), full(p90), full(row.Spread), full(p999), {Text: fmt.Sprint(row.N)}}})
	}
	return figure{ID: v.Key, Title: v.Title, Note: load(v.Case), SVG: template.HTML(p.SVG(false)), Table: t}
}
