package record

import (
	"cmp"
	"slices"

	"github.com/perchws/perch/bench"
	"github.com/perchws/perch/bench/stats"
)

// Groups of cases.
const (
	Echo      = "echo"      // one message at a time on each connection
	Pipelined = "pipelined" // many in flight
	Latency   = "latency"   // at a rate, whatever comes back
	Fanout    = "fanout"    // one message to all members of a room; X: members
	Deflate   = "deflate"   // the first once more, compressed
	TLS       = "tls"       // and encrypted
	Storm     = "storm"     // connect, close, again
	Idle      = "idle"      // connections that say nothing
	Messages  = "messages"  // few messages on many connections, at a rate; X: connections
	Pings     = "pings"     // connections that only answer pings; X: connections
	Generator = "generator" // our load generator and an independent one on the same server
)

// The load generators, which stand for the server in the samples of a Generator
// case.
const (
	OurGenerator   = "perchbench"
	OtherGenerator = "wsload" // bench/baseline
)

// Metric is a figure of a result.
type Metric struct {
	Name  string // what it is, with its unit
	Unit  string // short
	Lower bool   // less is better
	Of    func(r *bench.Result) float64
}

// The figures of the report.
var (
	PerCPU = Metric{Name: "per second of the server's CPU time", Unit: "/CPU s", Of: func(r *bench.Result) float64 {
		return server(r).PerCPUSecond
	}}
	PerConn = Metric{Name: "resident memory for each idle connection", Unit: "bytes", Lower: true, Of: func(r *bench.Result) float64 {
		return server(r).PerConn
	}}
	PerMessage = Metric{Name: "CPU time of the server for each message", Unit: "µs", Lower: true, Of: func(r *bench.Result) float64 {
		if n := server(r).PerCPUSecond; n > 0 && !behind(r) {
			return 1e6 / n
		}
		return 0
	}}
	PerPing = Metric{Name: "CPU time of the server for each ping and its pong", Unit: "µs", Lower: true, Of: func(r *bench.Result) float64 {
		return server(r).PerPing
	}}
	P50 = quantile("median latency", func(l *bench.Latency) float64 { return l.P50 })
	P90 = quantile("90th percentile", func(l *bench.Latency) float64 { return l.P90 })
	P99 = quantile("99th percentile", func(l *bench.Latency) float64 { return l.P99 })
	// P999 is the slowest of a thousand.
	P999 = quantile("99.9th percentile", func(l *bench.Latency) float64 { return l.P999 })
	// Completion is when the last member of a room has a message.
	Completion = Metric{Name: "until the last member has the message (median)", Unit: "µs", Lower: true, Of: func(r *bench.Result) float64 {
		if r.Second == nil {
			return 0
		}
		return r.Second.P50
	}}
)

func quantile(name string, of func(l *bench.Latency) float64) Metric {
	return Metric{Name: name, Unit: "µs", Lower: true, Of: func(r *bench.Result) float64 {
		if r.Latency == nil {
			return 0
		}
		return of(r.Latency)
	}}
}

// behind reports that a server could not keep up with a rate: much of what was
// due in the interval was answered after it, and the CPU time of the interval is
// not what these messages cost.
func behind(r *bench.Result) bool {
	const share = 0.1 // of the interval
	return r.Offer > 0 && r.Latency != nil && r.Latency.P90 > share*r.Seconds*1e6
}

// server is the server's part of a result; of zeros if there is none.
func server(r *bench.Result) *bench.Server {
	if r.Server == nil {
		return new(bench.Server)
	}
	return r.Server
}

// Case returns the case of a group and X, nil if there is none.
func (r *Run) Case(group string, x int) *Case {
	for i := range r.Cases {
		if c := &r.Cases[i]; c.Group == group && c.X == x {
			return c
		}
	}
	return nil
}

// Group returns the cases of a group by their X.
func (r *Run) Group(group string) (all []*Case) {
	for i := range r.Cases {
		if r.Cases[i].Group == group {
			all = append(all, &r.Cases[i])
		}
	}
	slices.SortFunc(all, func(a, b *Case) int { return cmp.Compare(a.X, b.X) })
	return all
}

// Spread is what a case measured of a server. A figure that is not positive
// was not measured, but for memory, where the noise can be larger than the
// figure.
func (c *Case) Spread(server string, m Metric) stats.Spread {
	var values []float64
	for i := range c.Samples {
		if s := &c.Samples[i]; s.Server == server && s.Good() {
			if v := m.Of(s.Result); v > 0 || v < 0 && m.Unit == PerConn.Unit {
				values = append(values, v)
			}
		}
	}
	return stats.Of(values)
}

// Ratios divides, round by round, a server's figure by that of another, so that
// more than 1 is better than the other, whatever the metric.
func (c *Case) Ratios(server, other string, m Metric) []float64 {
	a, b := c.rounds(other, m), c.rounds(server, m)
	var x, y []float64
	for round, v := range a {
		if w, ok := b[round]; ok {
			x, y = append(x, v), append(y, w)
		}
	}
	if m.Lower {
		x, y = y, x
	}
	return stats.Ratios(x, y)
}

func (c *Case) rounds(server string, m Metric) map[int]float64 {
	values := make(map[int]float64)
	for i := range c.Samples {
		if s := &c.Samples[i]; s.Server == server && s.Good() {
			values[s.Round] = m.Of(s.Result)
		}
	}
	return values
}

// ClientBound says in how many of a server's good rounds the client was busy
// all the time, or could not send what was due.
func (c *Case) ClientBound(server string) (bound, of int) {
	for i := range c.Samples {
		if s := &c.Samples[i]; s.Server == server && s.Good() {
			of++
			if s.Result.ClientBound || s.Result.Unsent > 0 {
				bound++
			}
		}
	}
	return bound, of
}

// Others is how many cores other programs kept busy meanwhile, in all samples.
func (r *Run) Others() stats.Spread {
	var values []float64
	for i := range r.Cases {
		for _, s := range r.Cases[i].Samples {
			values = append(values, s.Others)
		}
	}
	return stats.Of(values)
}

// Failures are the samples that do not count.
func (c *Case) Failures() (all []*Sample) {
	for i := range c.Samples {
		if s := &c.Samples[i]; !s.Good() {
			all = append(all, s)
		}
	}
	return all
}

// Rounds is the number of rounds that were begun.
func (c *Case) Rounds() (n int) {
	for i := range c.Samples {
		n = max(n, c.Samples[i].Round)
	}
	return n
}
