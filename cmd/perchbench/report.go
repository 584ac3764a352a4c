package main

import (
	"encoding/json"
	"io"
	"math"
	"runtime/metrics"
	"time"

	"github.com/perchws/perch"
)

// summary is the output of perchbench at its end, the most important figures first.
type summary struct {
	TickP50, TickP99                   string // work of a loop between two waits; upper bounds, exact to a factor of two
	RoundTripP99                       string // of our pings, likewise
	GCs                                uint64
	GCPauseP50, GCPauseP90, GCPauseMax string // the whole process stopped, twice each time; upper bounds
	perch.Stats
}

// report writes the summary as one JSON object.
func report(w io.Writer, s perch.Stats) error {
	gc := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}, {Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(gc)
	pauses := gc[0].Value.Float64Histogram()
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(summary{
		TickP50: s.Ticks.Quantile(0.5).String(), TickP99: s.Ticks.Quantile(0.99).String(), RoundTripP99: s.RoundTrips.Quantile(0.99).String(),
		GCs: gc[1].Value.Uint64(), GCPauseP50: quantile(pauses, 0.5).String(), GCPauseP90: quantile(pauses, 0.9).String(),
		GCPauseMax: quantile(pauses, 1).String(), Stats: s,
	})
}

// quantile is an upper bound of the q-quantile of a histogram of seconds.
func quantile(h *metrics.Float64Histogram, q float64) time.Duration {
	var all, seen uint64
	for _, n := range h.Counts {
		all += n
	}
	for i, n := range h.Counts {
		if seen += n; n > 0 && float64(seen) >= q*float64(all) {
			bound := h.Buckets[i+1]
			if math.IsInf(bound, 1) {
				bound = h.Buckets[i]
			}
			return time.Duration(bound * float64(time.Second))
		}
	}
	return 0
}
