package record

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/perchws/perch/bench/stats"
)

// View is one of the figures that the summary has for every server.
type View struct {
	Key    string
	Title  string
	Short  string // heading of a column
	What   string // what the numbers count, for an axis
	Case   *Case
	Metric Metric
}

// view is a figure and the case that it is of.
type view struct {
	View
	group string
	x     int
}

// The cases of the groups with an X that the summary shows.
const (
	MainRoom        = 1000 // members, of the fan-out
	MainConnections = 1000 // of the light load
)

// summary lists the figures of the summary. X 0: of a case without.
var summary = []view{
	{View{Key: "echo", Title: "Echo, one message at a time", Short: "echo", What: "messages per second of server CPU", Metric: PerCPU}, Echo, 0},
	{View{Key: "pipelined", Title: "Echo, 16 messages in flight", Short: "echo, 16 in flight", What: "messages per second of server CPU", Metric: PerCPU}, Pipelined, 0},
	{View{Key: "deflate", Title: "Echo, compressed (permessage-deflate)", Short: "echo, compressed", What: "messages per second of server CPU", Metric: PerCPU}, Deflate, 0},
	{View{Key: "tls", Title: "Echo over TLS (wss)", Short: "echo, TLS", What: "messages per second of server CPU", Metric: PerCPU}, TLS, 0},
	{View{Key: "fanout", Title: "Fan-out to a room of " + Thousands(MainRoom), Short: "fan-out to " + Thousands(MainRoom), What: "deliveries per second of server CPU", Metric: PerCPU}, Fanout, MainRoom},
	{View{Key: "storm", Title: "Connect, upgrade, close", Short: "connects", What: "connections per second of server CPU", Metric: PerCPU}, Storm, 0},
	{View{Key: "light", Title: "CPU time of a message at a light load", Short: "light load", What: "server CPU time for each echo", Metric: PerMessage}, Messages, MainConnections},
	{View{Key: "latency", Title: "Latency at a fixed rate, 99th percentile", Short: "latency, p99", What: "from the moment a message was due", Metric: P99}, Latency, 0},
	{View{Key: "idle", Title: "Memory of an idle connection", Short: "memory", What: "resident bytes for each connection", Metric: PerConn}, Idle, 0},
}

// Summary are the figures of the summary that the run has measured.
func (r *Run) Summary() (all []View) {
	for _, s := range summary {
		if c := r.Case(s.group, s.x); c != nil {
			s.Case = c
			all = append(all, s.View)
		}
	}
	return all
}

// Points are the figures along the curves that the summary does not have: what a
// message costs in larger and smaller rooms, and with more connections.
func (r *Run) Points() (all []View) {
	for i := range r.Cases {
		c := &r.Cases[i]
		if slices.ContainsFunc(summary, func(v view) bool { return v.group == c.Group && v.x == c.X }) {
			continue
		}
		v := View{Case: c, Metric: PerMessage, What: "server CPU time"}
		switch c.Group {
		case Fanout:
			v.Title = fmt.Sprintf("CPU time of a delivery, in a room of %s", Thousands(c.X))
		case Messages:
			v.Title = fmt.Sprintf("CPU time of a message at a light load, %s connections", Thousands(c.X))
		default:
			continue
		}
		all = append(all, v)
	}
	return all
}

// Row is a server's part of a view.
type Row struct {
	Server Server
	stats.Spread
	Ratios      []float64 // to the reference, round by round; more than 1 is better; none for the reference
	ClientBound int       // rounds in which the client was the limit
}

// Reference is the name of the server that the others are compared with: the
// older commit, or our bare engine.
func (r *Run) Reference() string {
	if r.Base != "" {
		return r.Base
	}
	for _, s := range r.Servers {
		if s.Ours {
			return s.Name
		}
	}
	if len(r.Servers) > 0 {
		return r.Servers[0].Name
	}
	return ""
}

// Rows are the servers that have the figure, the best first.
func (r *Run) Rows(v View) (rows []Row) {
	ref := r.Reference()
	for _, s := range r.Servers {
		sp := v.Case.Spread(s.Name, v.Metric)
		if sp.N == 0 {
			continue
		}
		row := Row{Server: s, Spread: sp}
		row.ClientBound, _ = v.Case.ClientBound(s.Name)
		if s.Name != ref {
			row.Ratios = v.Case.Ratios(s.Name, ref, v.Metric)
		}
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b Row) int {
		if v.Metric.Lower {
			a, b = b, a
		}
		return cmp.Compare(b.Median, a.Median)
	})
	return rows
}

// Times is how many times the reference's figure a server's is, as ratios of the
// kind above 1 is better say it: turned round where less is better.
func (m Metric) Times(ratios []float64) stats.Spread {
	s := stats.Of(ratios)
	if m.Lower && s.N > 0 {
		inverse := make([]float64, 0, len(ratios))
		for _, f := range ratios {
			inverse = append(inverse, 1/f)
		}
		return stats.Of(inverse)
	}
	return s
}

// Tolerance is the difference below which two figures are called the same.
const Tolerance = 0.03

// Finding is a figure in which a server differs from the reference.
type Finding struct {
	View    View
	Row     Row
	Verdict stats.Verdict
	Times   stats.Spread // the reference's figure
}

// Findings compares all servers with the reference in some figures.
func (r *Run) Findings(views []View) (all []Finding) {
	for _, v := range views {
		for _, row := range r.Rows(v) {
			if len(row.Ratios) > 0 {
				all = append(all, Finding{v, row, stats.Compare(row.Ratios, Tolerance), v.Metric.Times(row.Ratios)})
			}
		}
	}
	return all
}

// Regressions are the findings of a comparison of commits that are clearly
// worse. Memory is left out when the difference is less than a page per hundred
// connections: the collector's timing is more than that.
func (r *Run) Regressions() (all []Finding) {
	for _, f := range r.Findings(r.Summary()) {
		if f.Verdict != stats.Worse {
			continue
		}
		if f.View.Metric.Unit == PerConn.Unit {
			base := f.View.Case.Spread(r.Base, f.View.Metric)
			if math.Abs(base.Median-f.Row.Median) < 41 {
				continue
			}
		}
		all = append(all, f)
	}
	return all
}
