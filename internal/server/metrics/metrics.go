package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/ledger"
	"github.com/perchws/perch/session"
)

// Metrics has all metrics, and the page that shows them. Any goroutine may call its methods.
type Metrics struct {
	registry *prometheus.Registry
	meter    *meter
	page     *page
}

// New makes Metrics that show the process, the Go runtime and the reports of endpoints.
func New() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), meter: newMeter()}
	m.registry.MustRegister(
		m.meter,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector(),
	)
	m.page = &page{clock: clock.Real(), make: promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{DisableCompression: true})}
	return m
}

// WatchServer adds the figures of the engine and of its rooms. Call it once: a second time panics. A
// scrape then asks every event loop and waits for each.
func (m *Metrics) WatchServer(srv *perch.Server) {
	m.registry.MustRegister(
		newCollector(srv.Stats, serverMetrics()),
		newCollector(srv.Rooms().Stats, roomMetrics()),
	)
}

// WatchSessions adds the figures of the session store. Call it once: a second time panics.
func (m *Metrics) WatchSessions(store *session.Memory) {
	m.registry.MustRegister(newCollector(store.Stats, sessionMetrics()))
}

// WatchHeld adds the figures of a resource that clients make the server hold, and that is divided among them. Call it
// once for each kind: a second time panics.
func (m *Metrics) WatchHeld(kind string, stats func() ledger.Stats) {
	prometheus.WrapRegistererWith(prometheus.Labels{"kind": kind}, m.registry).MustRegister(newCollector(stats, heldMetrics()))
}

// WatchLog adds the number of log lines that were lost. Call it once: a second time panics.
func (m *Metrics) WatchLog(lost func() uint64) {
	m.registry.MustRegister(newCollector(lost, []metric[uint64]{
		counter("perch_log_lines_lost_total", "Lines that the log has lost because its reader was slow or gone, or its disk full.",
			func(n *uint64) uint64 { return *n }),
	}))
}

// Handler answers scrapes in Prometheus's text format, however many come at once. It waits for event loops, so it
// must not run on one.
func (m *Metrics) Handler() http.Handler {
	return m.page
}

// Message counts one message that an endpoint has received and handled: its size in bytes, and how long that took.
// typ may be any text of a client.
func (m *Metrics) Message(endpoint, typ string, size int, took time.Duration) {
	m.meter.message(endpoint, typ, size, took)
}

// Error counts an error at an endpoint. kind is a protocol.Code or "timeout".
func (m *Metrics) Error(endpoint, kind string) { m.meter.fault(endpoint, kind) }
