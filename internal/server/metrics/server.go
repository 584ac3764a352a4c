package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perchws/perch"
)

func serverMetrics() []metric[perch.Stats] {
	type S = perch.Stats
	all := []metric[S]{
		gauge("perch_connections", "Sockets held now, in every state, each a descriptor.",
			func(s *S) float64 { return float64(s.Connections) }),
		counter("perch_connections_accepted_total", "Sockets accepted.", func(s *S) uint64 { return s.Accepted }),
		counter("perch_connections_refused_total", "Sockets refused over a limit: answered 503 or 429, or reset.",
			func(s *S) uint64 { return s.Refused }),
		counter("perch_connections_opened_total", "WebSocket connections opened.", func(s *S) uint64 { return s.Opened }),
		counter("perch_connections_closed_total", "WebSocket connections that were open and are closed for good.",
			func(s *S) uint64 { return s.Closed }),
		counter("perch_http_connections_total", "Connections handed to net/http: pages, health, metrics, API.",
			func(s *S) uint64 { return s.HandedOff }),
		counter("perch_http_upgrades_total", "Upgrades that net/http had parsed, on connections of ours or of a foreign server.",
			func(s *S) uint64 { return s.TakenOver }),
		counter("perch_handshakes_total", "HTTP request heads parsed, upgrades or not.", func(s *S) uint64 { return s.Handshakes }),
		counter("perch_accept_pauses_total", "Times that accepting stopped for want of descriptors.",
			func(s *S) uint64 { return s.AcceptPauses }),

		counter("perch_tls_handshakes_total", "TLS handshakes completed.", func(s *S) uint64 { return s.TLSHandshakes }),
		gauge("perch_tls_handshaking", "TLS handshakes under way.", func(s *S) float64 { return float64(s.TLSRunning) }),
		gauge("perch_tls_handshaking_peak", "The most TLS handshakes that were under way at a time, since the start.",
			func(s *S) float64 { return float64(s.TLSPeak) }),
		gauge("perch_tls_handshaking_waiting", "Connections that wait for the turn of their TLS handshake.",
			func(s *S) float64 { return float64(s.TLSWaiting) }),

		counter("perch_messages_received_total", "Messages received.", func(s *S) uint64 { return s.MessagesReceived }),
		counter("perch_messages_sent_total", "Messages queued for a connection, each receiver counted.",
			func(s *S) uint64 { return s.MessagesSent }),
		counter("perch_messages_dropped_total", "Messages dropped because a receiver's queue was full, and the receiver told.",
			func(s *S) uint64 { return s.MessagesDropped }),
		counter("perch_messages_received_compressed_total", "Of the messages received, those that came compressed.",
			func(s *S) uint64 { return s.CompressedReceived }),
		counter("perch_messages_sent_compressed_total", "Of the messages sent, those that went compressed.",
			func(s *S) uint64 { return s.CompressedSent }),
		counter("perch_compressions_total", "Times that a message was compressed, or tried to: once for all its receivers.",
			func(s *S) uint64 { return s.Compressions }),
		counter("perch_received_bytes_total", "Bytes read from sockets, framing included.", func(s *S) uint64 { return s.BytesReceived }),
		counter("perch_sent_bytes_total", "Bytes written to sockets, framing included.", func(s *S) uint64 { return s.BytesSent }),
		counter("perch_pings_sent_total", "Ping frames sent.", func(s *S) uint64 { return s.PingsSent }),
		counter("perch_pings_received_total", "Ping frames received.", func(s *S) uint64 { return s.PingsReceived }),
		counter("perch_pongs_received_total", "Pong frames received.", func(s *S) uint64 { return s.PongsReceived }),

		gauge("perch_input_bytes", "Input kept in process memory that cannot be used yet: messages that are not whole, or wait.",
			func(s *S) float64 { return float64(s.InputBytes) }),
		gauge("perch_queue_bytes", "Output waiting in process memory to be taken by the kernel.",
			func(s *S) float64 { return float64(s.QueuedBytes) }),
		counter("perch_overloads_total", "Messages and calls refused because all that wait together is too much.",
			func(s *S) uint64 { return s.Overloads }),
		counter("perch_slow_consumers_total", "Connections closed because they read more slowly than they were sent to.",
			func(s *S) uint64 { return s.SlowConsumers }),
		counter("perch_read_pauses_total", "Times that reading from a connection stopped for backpressure.",
			func(s *S) uint64 { return s.Pauses }),
		counter("perch_worker_refusals_total", "Batches for blocking handlers that had to wait: the worker pool was full.",
			func(s *S) uint64 { return s.PoolFull }),
		counter("perch_slow_ticks_total", "Turns of an event loop over 10 ms: a handler blocked, or the machine was overloaded.",
			func(s *S) uint64 { return s.SlowTicks }),
		counter("perch_engine_log_lines_lost_total", "Lines of the engine's log that its logger has not taken in time.",
			func(s *S) uint64 { return s.LogsLost }),
		gauge("perch_loops_stuck", "Event loops that did not answer within a second: a callback blocks them, and their other figures are old.",
			func(s *S) float64 { return float64(s.Stuck) }),

		histogram("perch_ping_latency_seconds", "Round trips of the engine's pings.",
			bounds{16, 36, 1}, func(s *S) *perch.Histogram { return &s.RoundTrips }),
		histogram("perch_tick_seconds", "Work of an event loop between two waits.",
			bounds{10, 30, 1}, func(s *S) *perch.Histogram { return &s.Ticks }),
	}
	return append(append(append(all, engineErrors()...), refusals()...), closes()...)
}

// engineErrors are the errors that the engine itself finds, one series each. Those of the endpoints are in
// perch_endpoint_errors_total.
func engineErrors() []metric[perch.Stats] {
	type S = perch.Stats
	kind := func(kind string, value func(*S) uint64) metric[S] {
		return labelled("perch_errors_total", "What went wrong with a connection, by kind.", prometheus.Labels{"kind": kind}, value)
	}
	return []metric[S]{
		kind("accept", func(s *S) uint64 { return s.AcceptErrors }),
		kind("bad_handshake", func(s *S) uint64 { return s.BadHandshakes }),
		kind("bad_proxy_header", func(s *S) uint64 { return s.BadProxyHeaders }),
		kind("handshake_timeout", func(s *S) uint64 { return s.HandshakeTimeouts }),
		kind("tls", func(s *S) uint64 { return s.TLSFailed }),
		kind("protocol", func(s *S) uint64 { return s.ProtocolErrors }),
		kind("rate_limit", func(s *S) uint64 { return s.RateLimited }),
		kind("heartbeat_timeout", func(s *S) uint64 { return s.HeartbeatTimeouts }),
		kind("message_timeout", func(s *S) uint64 { return s.MessageTimeouts }),
		kind("write_timeout", func(s *S) uint64 { return s.WriteTimeouts }),
		kind("close_timeout", func(s *S) uint64 { return s.CloseTimeouts }),
		kind("http_pushed_out", func(s *S) uint64 { return s.HTTPPushedOut }),
		kind("input_full", func(s *S) uint64 { return s.InputRelieved }),
		kind("panic", func(s *S) uint64 { return s.Panics }),
	}
}

// refusals count the clients that did not get a WebSocket connection, by reason.
func refusals() []metric[perch.Stats] {
	var all []metric[perch.Stats]
	for kind := range perch.Refusal(perch.RefusalKinds) {
		all = append(all, labelled("perch_upgrades_refused_total", "Upgrades refused, and connections that ended before one, by reason.",
			prometheus.Labels{"reason": kind.String()}, func(s *perch.Stats) uint64 { return s.Refusals[kind] }))
	}
	return all
}

// closes are the ends by close code: a series for each of 1000 to 1015, one for all of 3000 to 3999 and one for all
// of 4000 to 4999. A peer can choose its code, so there must be no more series.
func closes() []metric[perch.Stats] {
	var all []metric[perch.Stats]
	for i := range len(perch.Stats{}.CloseCodes) {
		code := strconv.Itoa(1000 + i)
		switch i {
		case 16:
			code = "3xxx"
		case 17:
			code = "4xxx"
		}
		all = append(all, labelled("perch_connection_closes_total", "WebSocket connections closed, by close code.",
			prometheus.Labels{"code": code}, func(s *perch.Stats) uint64 { return s.CloseCodes[i] }))
	}
	return all
}
