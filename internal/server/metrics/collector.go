package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/perchws/perch"
)

// metric is one series or histogram, with the function that reads it from a snapshot S.
type metric[S any] struct {
	desc *prometheus.Desc
	read func(d *prometheus.Desc, s *S) prometheus.Metric
}

// collector makes metrics of counters that other packages keep. A scrape takes one snapshot, so that its values are
// of one moment.
type collector[S any] struct {
	snapshot func() S
	metrics  []metric[S]
}

func newCollector[S any](snapshot func() S, metrics []metric[S]) *collector[S] {
	return &collector[S]{snapshot: snapshot, metrics: metrics}
}

// Describe implements prometheus.Collector.
func (c *collector[S]) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range c.metrics {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector[S]) Collect(ch chan<- prometheus.Metric) {
	s := c.snapshot()
	for _, m := range c.metrics {
		ch <- m.read(m.desc, &s)
	}
}

func gauge[S any](name, help string, value func(*S) float64) metric[S] {
	return metric[S]{prometheus.NewDesc(name, help, nil, nil), func(d *prometheus.Desc, s *S) prometheus.Metric {
		return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value(s))
	}}
}

func counter[S any](name, help string, value func(*S) uint64) metric[S] {
	return labelled(name, help, nil, value)
}

// labelled is a counter that shares its name and help with others, and has its own labels.
func labelled[S any](name, help string, labels prometheus.Labels, value func(*S) uint64) metric[S] {
	return metric[S]{prometheus.NewDesc(name, help, nil, labels), func(d *prometheus.Desc, s *S) prometheus.Metric {
		return prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value(s)))
	}}
}

func histogram[S any](name, help string, b bounds, value func(*S) *perch.Histogram) metric[S] {
	return metric[S]{prometheus.NewDesc(name, help, nil, nil), func(d *prometheus.Desc, s *S) prometheus.Metric {
		return b.metric(d, value(s))
	}}
}

// bounds selects the buckets of a histogram that are shown: those below 2^first ns, 2^(first+step) ns and so on up to
// 2^last ns. Buckets are cumulative, so leaving some out only costs resolution. last is under 39: a perch.Histogram's
// last bucket has no bound.
type bounds struct{ first, last, step int }

// metric returns h as a metric in seconds.
func (b bounds) metric(d *prometheus.Desc, h *perch.Histogram, labels ...string) prometheus.Metric {
	buckets := make(map[float64]uint64, (b.last-b.first)/b.step+1)
	below := uint64(0)
	for i, n := range h.Buckets[:b.last+1] {
		below += n
		if i >= b.first && (i-b.first)%b.step == 0 {
			buckets[float64(uint64(1)<<i)/1e9] = below
		}
	}
	return prometheus.MustNewConstHistogram(d, h.Count, h.Sum.Seconds(), buckets, labels...)
}
