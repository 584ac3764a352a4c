package page

import (
	"fmt"
	"html/template"

	"github.com/perchws/perch/bench/plot"
	"github.com/perchws/perch/bench/record"
)

// growth is a figure drawn against the number of connections or members.
type growth struct {
	key, title, note  string
	group             string
	metric            record.Metric
	axis, xAxis, desc string
	log               bool
}

var growths = []growth{
	{"completion", "Fan-out: until the last member has it", "one publisher, 128 bytes; each message waits for the one before to reach everyone",
		record.Fanout, record.Completion, "Vertical: time until the last delivery (median), logarithmic; lower is better.",
		"Members of the room, logarithmic", "Time until a published message has reached the last member, against the size of the room.", true},
	{"fanout-cost", "Fan-out: cost of a delivery", "the same rooms: what the server spends on each member",
		record.Fanout, record.PerMessage, "Vertical: CPU time of the server for each delivery; lower is better.",
		"Members of the room, logarithmic", "CPU time for each delivery, against the size of the room.", false},
	{"messages", "Cost of a message as connections grow", "5,000 messages per second in all; rounds in which a server did not keep up are left out",
		record.Messages, record.PerMessage, "Vertical: CPU time of the server for each echo; lower is better.",
		"Connections, logarithmic", "CPU time for each echoed message, against the number of connections.", false},
	{"pings", "Cost of a ping as connections grow", "idle connections, each pinged every 5 seconds",
		record.Pings, record.PerPing, "Vertical: CPU time of the server for each ping and pong; lower is better.",
		"Connections, logarithmic", "CPU time for each ping, against the number of connections.", false},
	{"memory", "Memory of a connection as connections grow", "idle connections; above the memory of the empty server, divided by their number",
		record.Pings, record.PerConn, "Vertical: resident bytes of the server for each; lower is better.",
		"Connections, logarithmic", "Resident memory for each connection, against the number of connections.", false},
}

// curves are the plots of what grows, as far as it was measured for more than one
// number.
func curves(r *record.Run) (all []figure) {
	for _, g := range growths {
		if f, ok := g.figure(r); ok {
			all = append(all, f)
		}
	}
	return all
}

func (g *growth) figure(r *record.Run) (figure, bool) {
	unit := g.metric.Unit
	p := plot.Curves{
		Head: plot.Head{ID: g.key, Title: g.title, Axis: g.axis}, XAxis: g.xAxis, LogY: g.log,
		XTick: func(x float64) string { return record.Thousands(int(x)) },
		YTick: func(y float64) string { return record.Tick(y, unit) },
	}
	cases := r.Group(g.group)
	t := table{Caption: g.title}
	for _, c := range cases {
		t.Head = append(t.Head, record.Thousands(c.X))
	}
	longest := 0
	for _, s := range r.Servers {
		line := plot.Curve{Name: s.Name, Kind: kind(s)}
		row := tableRow{Class: class(s), Name: s.Name, Tag: tag(s)}
		for _, c := range cases {
			sp := c.Spread(s.Name, g.metric)
			if sp.N == 0 {
				row.Cells = append(row.Cells, cell{Text: "–"})
				continue
			}
			line.Points = append(line.Points, plot.Point{X: float64(c.X), Y: sp.Median, Low: sp.Min, High: sp.Max, Text: record.Figure(sp.Median, unit)})
			row.Cells = append(row.Cells, cell{Text: record.Figure(sp.Median, unit), Range: record.Range(sp, unit)})
		}
		if len(line.Points) > 0 {
			p.Lines = append(p.Lines, line)
			t.Rows = append(t.Rows, row)
			longest = max(longest, len(line.Points))
		}
	}
	p.Desc = fmt.Sprintf("%s One curve for each of %d servers; lines up and down show the lowest and highest round.", g.desc, len(p.Lines))
	return figure{ID: g.key, Title: g.title, Note: g.note, SVG: template.HTML(p.SVG(false)), Table: t}, longest > 1
}
