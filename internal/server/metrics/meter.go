package metrics

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/protocol"
)

const (
	other   = "other"   // the label of everything without a series of its own
	timeout = "timeout" // the kind of error that is no protocol.Code: an answer did not come in time
)

// tookBounds are 1 µs to 268 ms, each four times the one before.
var tookBounds = bounds{10, 28, 2}

// meter holds the reports of endpoints. After newMeter its maps are only read.
type meter struct {
	messages map[key]*messages
	faults   map[key]*atomic.Uint64

	count, bytes, seconds, errors *prometheus.Desc
}

// key names a series: an endpoint's path, and the type of a message or the kind of an error.
type key struct{ endpoint, name string }

// messages counts the messages of one type at one endpoint. Any goroutine may use the atomic fields.
type messages struct {
	bytes   atomic.Uint64
	took    atomic.Int64                                  // ns
	buckets [len(perch.Histogram{}.Buckets)]atomic.Uint64 // of took
}

func newMeter() *meter {
	of := func(label string) []string { return []string{"endpoint", label} }
	m := &meter{
		messages: make(map[key]*messages),
		faults:   make(map[key]*atomic.Uint64),

		count: prometheus.NewDesc("perch_endpoint_messages_total", "Messages that endpoints have received.", of("type"), nil),
		bytes: prometheus.NewDesc("perch_endpoint_message_bytes_total", "Payload of the messages that endpoints have received.",
			of("type"), nil),
		seconds: prometheus.NewDesc("perch_endpoint_message_seconds", "Time that endpoints took to handle a message, waiting excluded.",
			of("type"), nil),
		errors: prometheus.NewDesc("perch_endpoint_errors_total", "What went wrong at endpoints, by kind: an error code, or timeout.",
			of("kind"), nil),
	}
	m.add(other, nil)
	for _, e := range protocol.Endpoints() {
		m.add(e.Path, e.Accepts)
	}
	return m
}

// add makes the series of an endpoint.
func (m *meter) add(endpoint string, types []string) {
	for _, typ := range append([]string{other}, types...) {
		m.messages[key{endpoint, typ}] = new(messages)
	}
	for _, c := range protocol.Codes() {
		m.faults[key{endpoint, string(c.Code)}] = new(atomic.Uint64)
	}
	m.faults[key{endpoint, timeout}] = new(atomic.Uint64)
	m.faults[key{endpoint, other}] = new(atomic.Uint64)
}

func (m *meter) message(endpoint, typ string, size int, took time.Duration) {
	t := series(m.messages, endpoint, typ)
	t.bytes.Add(uint64(size))
	took = max(took, 0)
	t.took.Add(int64(took))
	t.buckets[min(bits.Len64(uint64(took)), len(t.buckets)-1)].Add(1)
}

func (m *meter) fault(endpoint, kind string) { series(m.faults, endpoint, kind).Add(1) }

// series finds the counter for name at endpoint. Every endpoint has one for "other", and there is one for the
// endpoint "other".
func series[T any](all map[key]*T, endpoint, name string) *T {
	for _, k := range [...]key{{endpoint, name}, {endpoint, other}} {
		if s, ok := all[k]; ok {
			return s
		}
	}
	return all[key{other, other}]
}

// Describe implements prometheus.Collector.
func (m *meter) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.count, m.bytes, m.seconds, m.errors} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *meter) Collect(ch chan<- prometheus.Metric) {
	for k, t := range m.messages {
		h := t.histogram()
		ch <- prometheus.MustNewConstMetric(m.count, prometheus.CounterValue, float64(h.Count), k.endpoint, k.name)
		ch <- prometheus.MustNewConstMetric(m.bytes, prometheus.CounterValue, float64(t.bytes.Load()), k.endpoint, k.name)
		ch <- tookBounds.metric(m.seconds, &h, k.endpoint, k.name)
	}
	for k, n := range m.faults {
		ch <- prometheus.MustNewConstMetric(m.errors, prometheus.CounterValue, float64(n.Load()), k.endpoint, k.name)
	}
}

// histogram returns took as a histogram of the engine. Messages may come while it is read: the count is that of the
// buckets, and the sum may differ by one or two messages.
func (t *messages) histogram() perch.Histogram {
	h := perch.Histogram{Sum: time.Duration(t.took.Load())}
	for i := range t.buckets {
		h.Buckets[i] = t.buckets[i].Load()
		h.Count += h.Buckets[i]
	}
	return h
}
