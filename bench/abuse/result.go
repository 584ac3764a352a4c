package abuse

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// The rule of the verdict.
const (
	slower   = 10.0  // times the quiet p99, at most
	slowest  = 20.0  // milliseconds of p99, at most
	unwell   = 100.0 // milliseconds until /health answers, at most
	overhead = 1.3   // times what is documented, at most
)

// bound is what the RSS of a server may be that holds so much.
func bound(empty, holds int64) int64 { return int64(overhead * float64(empty+holds)) }

// Served is how the bystander was served in a phase.
type Served struct {
	Talk   Latency `json:"talk"`
	Echo   Latency `json:"echo"`
	Health Latency `json:"health"`
}

// p99 is the worse one of talk and echo.
func (s *Served) p99() float64 { return max(s.Talk.P99, s.Echo.P99) }
func (s *Served) p50() float64 { return max(s.Talk.P50, s.Echo.P50) }

// Result is what came of a scenario.
type Result struct {
	Name    string           `json:"name"`
	What    string           `json:"what"`
	Seconds float64          `json:"seconds"` // that the attack took
	Attack  map[string]int64 `json:"attack"`  // what it has counted
	Cores   float64          `json:"cores"`   // that the server used meanwhile

	Quiet  Served `json:"quiet"`
	During Served `json:"during"`
	Later  Served `json:"later"`

	Empty    Memory  `json:"empty"`
	Peak     Memory  `json:"peak"`
	After    Memory  `json:"after"`
	RSSLimit int64   `json:"rss_limit"` // during the attack
	RSSLeft  int64   `json:"rss_left"`  // a minute after it
	Kernel   int64   `json:"kernel_limit,omitempty"`
	Back     float64 `json:"back"` // seconds until it was so; 0: never

	Lost   []string `json:"lost"`   // what others have lost
	Faults []string `json:"faults"` // memory and losses
	Slow   []string `json:"slow"`   // times, and the kernel's memory, which others on the machine change too
}

// judge applies the rule.
func (r *Result) judge() {
	slices.Sort(r.Lost)
	r.Lost = slices.Compact(r.Lost) // several victims may lose the same
	for _, l := range r.Lost {
		r.Faults = append(r.Faults, "lost: "+l)
	}
	if r.Peak.RSS > r.RSSLimit {
		r.Faults = append(r.Faults, fmt.Sprintf("RSS %d MiB, %d MiB are documented", r.Peak.RSS/mib, r.RSSLimit/mib))
	}
	if r.Back == 0 {
		r.Faults = append(r.Faults, fmt.Sprintf("RSS %d MiB a minute later, at most %d MiB are to be left", r.After.RSS/mib, r.RSSLeft/mib))
	}
	if p, q := r.During.p99(), r.Quiet.p99(); p > slowest || p > slower*q {
		r.Slow = append(r.Slow, fmt.Sprintf("p99 %.1f ms, quiet %.1f ms", p, q))
	}
	if r.Kernel > 0 && r.Peak.Kernel > r.Kernel {
		r.Slow = append(r.Slow, fmt.Sprintf("kernel %d MiB, %d MiB are documented", r.Peak.Kernel/mib, r.Kernel/mib))
	}
	if h := r.During.Health.Max; h > unwell {
		r.Slow = append(r.Slow, fmt.Sprintf("/health %.0f ms", h))
	}
}

// verdict is one line.
func (r *Result) verdict() string {
	if all := slices.Concat(r.Faults, r.Slow); len(all) > 0 {
		return "FAIL: " + strings.Join(all, "; ")
	}
	return "ok"
}

// Report is what a run has found.
type Report struct {
	Started time.Time `json:"started"`
	Short   bool      `json:"short"`
	Results []Result  `json:"results"`
}

// OK reports that nothing has failed.
func (r *Report) OK() bool {
	return !slices.ContainsFunc(r.Results, func(r Result) bool { return len(r.Faults)+len(r.Slow) > 0 })
}

// WriteJSON writes the report for programs.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// columns of the table.
var columns = []string{"", "attack", "p50, p99 quiet", "p50, p99 (ms)", "/health", "RSS empty", "most", "allowed", "back after", "kernel", "cores", "verdict"}

// row is a result in the table.
func (r *Result) row() []string {
	back := "never"
	if r.Back > 0 {
		back = fmt.Sprintf("%.0f s", r.Back)
	}
	mb := func(n int64) string { return fmt.Sprint(n / mib) }
	verdict := r.verdict()
	if r.Seconds == 0 {
		verdict = "not run"
	}
	return []string{r.Name, r.What, fmt.Sprintf("%.2f, %.1f", r.Quiet.p50(), r.Quiet.p99()),
		fmt.Sprintf("%.2f, %.1f", r.During.p50(), r.During.p99()), fmt.Sprintf("%.0f", r.During.Health.Max),
		mb(r.Empty.RSS), mb(r.Peak.RSS), mb(r.RSSLimit), back, mb(r.Peak.Kernel), fmt.Sprintf("%.1f", r.Cores), verdict}
}

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(columns, "\t"))
	for i := range r.Results {
		fmt.Fprintln(t, strings.Join(r.Results[i].row(), "\t"))
	}
	return t.Flush()
}

// WriteMarkdown writes the table as bench/RESULTS.md has it.
func (r *Report) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for i := range r.Results {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(r.Results[i].row(), " | "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
