package page

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/perchws/perch/bench/record"
	"github.com/perchws/perch/bench/stats"
)

// content is what the page shows.
type content struct {
	Title     string
	Reference string // the server that the others are compared with
	Lead      string
	Smoke     bool   // too few rounds to mean anything
	Busy      string // who else was on the machine, if they matter
	Headlines []headline
	Table     table
	Figures   []figure
	Verdicts  []verdict // of a comparison of commits
	Better    []others  // where a server is better than the reference
	Close     []others  // where the difference is within the spread
	Bound     []string  // where the client was the limit
	Generator *table
	Agreement string // whether the two in it agree
	Engine    *table
	Failed    []string
	Skipped   []record.Skip
	Method    []string
	Machine   [][2]string
	Servers   []record.Server
	Command   string
}

// figure is a plot with what it says and its numbers.
type figure struct {
	ID, Title, Note string
	SVG             template.HTML
	Table           table
}

// table has a heading for each column; the first cell of a row is its heading.
type table struct {
	Caption string
	Head    []string
	Rows    []tableRow
}

type tableRow struct {
	Class string
	Name  string
	Tag   string
	Cells []cell
}

// cell is a figure, its ratio to the reference, and the range it was measured in.
type cell struct {
	Text, Ratio, Range, Class string
}

// verdict is a line of a comparison.
type verdict struct {
	View, Text, Class string
	Ratio, Base, This string
}

// busyOthers is how many cores others may keep busy without being mentioned.
const busyOthers = 0.15

func newContent(r *record.Run) *content {
	c := &content{
		Title: "Perch against its peers", Reference: r.Reference(), Command: r.Command, Servers: r.Servers, Skipped: r.Skipped,
		Method: method(r), Machine: machine(r), Table: summaryTable(r), Smoke: mostRounds(r) < 3,
	}
	c.Lead = fmt.Sprintf("How much WebSocket servers get done with a second of CPU time, how soon they answer, and what a connection costs them in memory: "+
		"%d servers, given the same loads in turn on %s.", len(r.Servers), r.Started.Format("2 January 2006"))
	if o := r.Others(); o.Median > busyOthers {
		c.Busy = fmt.Sprintf("Other programs kept %.1f of %d cores busy while this was measured: compare servers, but trust no figure alone, and latencies least of all.", o.Median, r.Machine.Cores)
	}
	if r.Base != "" {
		c.Title = "Two commits compared"
		c.Lead = fmt.Sprintf("The engine of the working tree against that of an older commit, given the same loads in turn on %s.", r.Started.Format("2 January 2006"))
		c.Verdicts = verdicts(r)
	} else {
		c.Headlines = headlines(r)
		c.findings(r)
	}
	c.Bound = bounds(r)
	for _, v := range r.Summary() {
		if v.Key != "latency" {
			c.Figures = append(c.Figures, barFigure(r, v))
		} else {
			c.Figures = append(c.Figures, latencyFigure(r, v))
		}
	}
	c.Figures = append(c.Figures, curves(r)...)
	c.Generator, c.Agreement, c.Engine = generatorTable(r), agreement(r), engineTable(r)
	for i := range r.Cases {
		for _, s := range r.Cases[i].Failures() {
			c.Failed = append(c.Failed, fmt.Sprintf("%s, %s, round %d: %s", caseName(&r.Cases[i]), s.Server, s.Round, s.Error))
		}
	}
	return c
}

// mostRounds is the number of rounds of the case that had most.
func mostRounds(r *record.Run) (n int) {
	for i := range r.Cases {
		n = max(n, r.Cases[i].Rounds())
	}
	return n
}

// caseNames are the groups as headings.
var caseNames = map[string]string{
	record.Echo: "echo", record.Pipelined: "echo, 16 in flight", record.Latency: "echo at a fixed rate", record.Fanout: "fan-out",
	record.Deflate: "echo, compressed", record.TLS: "echo over TLS", record.Storm: "connects", record.Idle: "idle connections", record.Messages: "messages on many connections", record.Pings: "pings",
	record.Generator: "load generators",
}

func caseName(c *record.Case) string {
	name := caseNames[c.Group]
	if name == "" {
		name = c.Group
	}
	if c.X > 0 {
		name += " (" + record.Thousands(c.X) + ")"
	}
	return name
}

// method says in three sentences how the figures came about.
func method(r *record.Run) []string {
	where := "Servers and load generator share the cores of the machine"
	if m := r.Machine; m.ServerCores != nil {
		where = fmt.Sprintf("Each server runs on core %s and the load generator on core %s", list(m.ServerCores), list(m.ClientCores))
	}
	return []string{
		where + "; in every round all servers get the same load one after another, each round beginning with another of them, " +
			"and a figure is the median of the rounds, with the lowest, the highest and their number beside it (Node.js, which compiles while it runs, has one more round first that does not count).",
		"CPU time is that of the server's process and its children as the kernel counts it, because rates on a shared machine depend on who else is " +
			"there, and every byte that comes back is compared with what was sent: a measurement in which anything was wrong does not count and is listed below.",
		"Latency runs from the moment a message was due at a fixed rate, so that a stall is charged to every message that waited in it, " +
			"and ratios are taken round by round between neighbours in time, for what disturbs the machine disturbs both.",
	}
}

func list(cores []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(cores), " ", ", "), "[]")
}

func machine(r *record.Run) [][2]string {
	m := r.Machine
	rows := [][2]string{
		{"Processor", fmt.Sprintf("%s, %d cores", m.CPU, m.Cores)},
		{"Memory", fmt.Sprintf("%.1f GiB", float64(m.Memory)/(1<<30))},
		{"Kernel", "Linux " + m.Kernel},
		{"Go", m.Go},
		{"Descriptor limit", record.Thousands(m.Descriptors)},
		{"Commit", m.Commit},
		{"Date", r.Started.Format("2006-01-02 15:04 MST")},
		{"Took", time.Duration(r.Seconds * float64(time.Second)).Round(time.Second).String()},
	}
	if o := r.Others(); o.Max > 0 {
		rows = append(rows, [2]string{"Other programs", fmt.Sprintf("kept %.2f cores busy (median; %.2f–%.2f, %d measurements)", o.Median, o.Min, o.Max, o.N)})
	}
	return rows
}

// summaryTable has a row for each server and a column for each figure.
func summaryTable(r *record.Run) table {
	views := r.Summary()
	t := table{Caption: "Median; × how many times the figure of " + r.Reference() + "; lowest to highest, and the number of rounds"}
	cells := make(map[string][]cell)
	for i, v := range views {
		t.Head = append(t.Head, v.Short+less(v))
		for _, row := range r.Rows(v) {
			name := row.Server.Name
			if cells[name] == nil {
				cells[name] = make([]cell, len(views))
			}
			c := cell{Text: record.Figure(row.Median, v.Metric.Unit), Range: rangeOf(row, v.Metric.Unit)}
			if len(row.Ratios) > 0 {
				c.Ratio = "× " + record.Ratio(v.Metric.Times(row.Ratios).Median)
				if better(row.Ratios) && (!row.Server.Ours || r.Base != "") {
					c.Class = "better"
				}
			}
			cells[name][i] = c
		}
	}
	for _, s := range r.Servers {
		if cells[s.Name] != nil {
			t.Rows = append(t.Rows, tableRow{Class: class(s), Name: s.Name, Tag: tag(s), Cells: cells[s.Name]})
		}
	}
	return t
}

// better reports that ratios are on the better side, as far as one can tell: with
// too few rounds for an interval, all of them.
func better(ratios []float64) bool {
	s := stats.Of(ratios)
	switch stats.Compare(ratios, record.Tolerance) {
	case stats.Better:
		return true
	case stats.TooFew:
		return s.Min > 1 && s.Median > 1+record.Tolerance
	}
	return false
}

func class(s record.Server) string {
	switch {
	case s.Yardstick:
		return "limit"
	case s.Ours:
		return "ours"
	}
	return ""
}

// tag is what stands below a server's name.
func tag(s record.Server) string {
	if s.Yardstick {
		return s.Lang + ", the limit"
	}
	return s.Lang
}
