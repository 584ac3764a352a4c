package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// maxLatency is where a histogram ends: what took longer counts as that much.
const maxLatency = int64(5 * time.Minute)

// histogram counts durations, to a thousandth of each. Not for two goroutines
// at once.
type histogram struct{ h *hdrhistogram.Histogram }

func newHistogram() histogram { return histogram{hdrhistogram.New(1000, maxLatency, 3)} }

// add counts a duration in nanoseconds.
func (h histogram) add(ns int64) { h.h.RecordValue(min(max(ns, 0), maxLatency)) } // within the bounds it cannot fail

// Latency is a distribution, in microseconds.
type Latency struct {
	Count uint64  `json:"n"`
	Min   float64 `json:"min"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

// latency puts the histograms together.
func latency(all ...histogram) Latency {
	h := newHistogram().h
	for _, o := range all {
		h.Merge(o.h)
	}
	if h.TotalCount() == 0 {
		return Latency{}
	}
	us := func(ns int64) float64 { return float64(ns) / 1e3 }
	return Latency{
		Count: uint64(h.TotalCount()), Min: us(h.Min()), Mean: h.Mean() / 1e3,
		P50: us(h.ValueAtQuantile(50)), P90: us(h.ValueAtQuantile(90)), P99: us(h.ValueAtQuantile(99)),
		P999: us(h.ValueAtQuantile(99.9)), Max: us(h.Max()),
	}
}
