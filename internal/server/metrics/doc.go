// Package metrics shows perchd to Prometheus: GET /metrics.
//
//	m := metrics.New()
//	realm := endpoint.New(endpoint.Config{Meter: m, …}) // endpoints report what they alone know
//	m.WatchServer(srv)
//	m.WatchSessions(store)
//	mux.Handle("GET /metrics", m.Handler())
//
// Two kinds of figures meet here. The engine, its rooms and the session store count for themselves: a
// scrape takes a snapshot of each. Which type a message was of and how long it took is reported by
// the endpoints for every message, on the event loops, and costs no lock and no allocation.
//
// # Labels
//
// No label value comes from a client. Paths, types and error codes are those of package protocol;
// anything else counts as "other". Every series exists from the start, so their number never changes.
//
// # Not to be trusted
//
// With private descriptor tables (perch.Config.PrivateFDs) the sockets are not in the table that the
// kernel shows of a process: process_open_fds leaves them out and process_max_fds does not bound
// them. perch_connections has them all.
package metrics
