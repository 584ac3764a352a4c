// Package metrics shows perchd to Prometheus: GET /metrics.
//
//	m := metrics.New()
//	realm := endpoint.New(endpoint.Config{Meter: m, …}) // endpoints report what they alone know
//	m.WatchServer(srv)
//	m.WatchSessions(store)
//	mux.Handle("GET /metrics", m.Handler())
//
// There are two kinds of figures. The engine, its rooms and the session store keep their own counters: a scrape takes
// a snapshot of each. The endpoints report the type of every message and the time that it took, on the event loops,
// without a lock or an allocation.
//
// # Labels
//
// No label value comes from a client. Paths, types and error codes are those of package protocol; anything else
// counts as "other". All series exist from the start, so their number never changes.
//
// # Descriptors
//
// With private descriptor tables (perch.Config.PrivateFDs) the sockets are not in the table that the
// kernel shows of a process: process_open_fds leaves them out and process_max_fds does not bound
// them. perch_connections has them all.
package metrics
