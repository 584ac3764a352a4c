package bench

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// what Count and Second are in a mode.
var (
	countNames  = map[string]string{"echo": "answers", "storm": "handshakes", "fanout": "deliveries", "chat": "deliveries"}
	secondNames = map[string]string{"storm": "connect to closed", "fanout": "last receiver", "chat": "acknowledged"}
)

// WriteTable writes the result for people.
func (res *Result) WriteTable(w io.Writer) error {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "  %s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(t, "%s  %s\n", res.Mode, res.URL)
	res.loadRows(row)
	res.countRows(row)
	res.latencyRows(row)
	res.serverRows(row)
	res.clientRows(row)
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// loadRows says what was asked for.
func (res *Result) loadRows(row func(name, format string, args ...any)) {
	load := fmt.Sprintf("%s of %s open", thousands(float64(res.Opened)), thousands(float64(res.Conns)))
	if res.Took > 0.5 {
		load += fmt.Sprintf(" in %.1f s", res.Took)
	}
	if res.Mode == "storm" {
		load = thousands(float64(res.Conns)) + " at a time"
	}
	row("connections", "%s, on %d loops of the client", load, res.Loops)
	if res.Size > 0 {
		message := fmt.Sprintf("%s bytes", thousands(float64(res.Size)))
		if res.Depth > 0 {
			message += fmt.Sprintf(", %d in flight", res.Depth)
		}
		if res.Offer > 0 {
			message += fmt.Sprintf(", %s/s offered", thousands(res.Offer))
		}
		row("messages", "%s", message)
	}
	if res.Seconds > 0 {
		row("measured", "%.2f s", res.Seconds)
	}
}

// countRows says how much of it there was.
func (res *Result) countRows(row func(name, format string, args ...any)) {
	if name := countNames[res.Mode]; name != "" && res.Seconds > 0 {
		row(name, "%s/s  (%s in all)", thousands(res.Rate), thousands(float64(res.Count)))
	}
	if res.Bytes > 0 {
		row("payload", "%.1f MB/s", res.Bytes)
	}
	if res.Sent > 0 {
		row("published", "%s", thousands(float64(res.Sent)))
	}
	if res.Compressed > 0 {
		row("compressed", "%.1f %% of what the server sent", 100*res.Compressed)
	}
	if res.Pings > 0 {
		row("pings answered", "%s", thousands(float64(res.Pings)))
	}
}

// latencyRows has a row for each time that was measured.
func (res *Result) latencyRows(row func(name, format string, args ...any)) {
	for _, l := range []struct {
		name string
		l    *Latency
	}{{"latency", res.Latency}, {secondNames[res.Mode], res.Second}, {"client sent late by", res.SendDelay}} {
		if l.l != nil && l.l.Count > 0 {
			row(l.name, "p50 %s  p90 %s  p99 %s  p99.9 %s  max %s", micros(l.l.P50), micros(l.l.P90), micros(l.l.P99), micros(l.l.P999), micros(l.l.Max))
		}
	}
}

// clientRows says what casts doubt on the rest.
func (res *Result) clientRows(row func(name, format string, args ...any)) {
	if res.Seconds > 0 {
		row("client", "%.2f cores busy", res.ClientCPU)
	}
	if res.ClientBound {
		row("", "the client was the bottleneck: more --loops, more machines, or less load")
	}
	if res.Unsent > 0 {
		row("", "%s messages were due and not sent: the client was too slow for this rate", thousands(float64(res.Unsent)))
	}
	if res.Dropped > 0 {
		row("", "the kernel dropped %s packets and TCP sent them again later: net.core.netdev_max_backlog is too low for this load",
			thousands(float64(res.Dropped)))
	}
	if res.Interrupted {
		row("", "interrupted")
	}
	errors := "none"
	if res.ErrorsTotal > 0 {
		errors = thousands(float64(res.ErrorsTotal)) + ":"
		for kind := range faultKinds {
			if n := res.Errors[kind.String()]; n > 0 {
				errors += fmt.Sprintf("  %v %s", kind, thousands(float64(n)))
			}
		}
	}
	row("errors", "%s", errors)
}

func (res *Result) serverRows(row func(name, format string, args ...any)) {
	s := res.Server
	if s == nil {
		return
	}
	row("server", "%.2f cores busy, %.1f MiB resident, %d processes", s.CPU, float64(s.RSS)/(1<<20), s.Processes)
	if s.PerCPUSecond > 0 {
		row("", "%s %s per second of its CPU", thousands(s.PerCPUSecond), countNames[res.Mode])
	}
	if s.PerPing > 0 {
		row("", "%.1f µs of its CPU for each of %s pings", s.PerPing, thousands(float64(res.Pinged)))
	}
	if s.PerConn != 0 {
		row("", "%s bytes resident per connection, above %.1f MiB without", thousands(s.PerConn), float64(s.RSSBefore)/(1<<20))
	}
}

// micros is a number of microseconds for people.
func micros(us float64) string {
	d := time.Duration(us * 1e3)
	switch {
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Nanosecond).String()
	case d < time.Second:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}

// thousands is a number without its fraction, in groups of three digits.
func thousands(f float64) string {
	s := strconv.FormatInt(int64(math.Round(math.Abs(f))), 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if math.Round(f) < 0 {
		return "-" + s
	}
	return s
}
