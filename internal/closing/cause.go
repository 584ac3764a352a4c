package closing

// Cause is why something has happened to a connection: one closed list. The numbers may change,
// the names do not.
type Cause uint8

// The causes. docs/closing.md says what each means.
const (
	None Cause = iota

	// Ordinary ends.
	ByApplication // it has called Close
	ByPeer        // the peer's close frame
	ByShutdown    // Server.Shutdown
	ByAbort       // Server.Close, or the end of Shutdown's context

	// The peer, or the network.
	EOF           // FIN without a close frame
	SocketError   // errno says which
	ProtocolError // RFC 6455
	BadRecord     // TLS records that cannot be opened
	HeartbeatTimeout
	WriteTimeout
	CloseTimeout
	MessageTimeout
	RateLimit
	Slow // slow consumer

	// Us.
	InputFull  // too much unfinished input in memory
	Overloaded // no memory for output, or no place
	Panic

	// Why reading is held.
	OutputWaits // half of MaxOutput, or more, is queued
	WorkerLags  // the worker pool has as much from it as it may

	// No connection came of it.
	TLSHandshake     // has failed
	NotTLS           // the first bytes are no TLS
	ACME             // a challenge of ACME, answered by the handshake
	HandshakeTimeout // of TLS, or of a PROXY header
	RefusedRequest   // this and the following: see perch.Refusal
	RefusedPlainHTTP
	RefusedPath
	RefusedOrigin
	RefusedLimit
	RefusedTimeout
	RefusedByHandler
	RefusedFault
	RefusedStopping
	RefusedTLS
	RefusedProxy
	RefusedHijack
	DialFailed    // no address, no TCP, or an answer that is none
	DialRefused   // the server has answered something else than 101
	DialTimeout   // HandshakeTimeout
	DialCancelled // its context has ended
	Causes
)

var causeNames = [Causes]string{
	None: "", ByApplication: "application", ByPeer: "peer", ByShutdown: "shutdown", ByAbort: "abort",
	EOF: "eof", SocketError: "socket_error", ProtocolError: "protocol_error", BadRecord: "bad_tls_record", HeartbeatTimeout: "heartbeat_timeout",
	WriteTimeout: "write_timeout", CloseTimeout: "close_timeout", MessageTimeout: "message_timeout", RateLimit: "rate_limit", Slow: "slow_consumer",
	InputFull: "input_full", Overloaded: "overloaded", Panic: "panic", OutputWaits: "output_waits", WorkerLags: "worker_lags",
	TLSHandshake: "tls_handshake", NotTLS: "not_tls", ACME: "acme", HandshakeTimeout: "handshake_timeout",
	RefusedRequest: "refused_request", RefusedPlainHTTP: "refused_plain_http", RefusedPath: "refused_path", RefusedOrigin: "refused_origin",
	RefusedLimit: "refused_limit", RefusedTimeout: "refused_timeout", RefusedByHandler: "refused_handler", RefusedFault: "refused_fault",
	RefusedStopping: "refused_stopping", RefusedTLS: "refused_tls", RefusedProxy: "refused_proxy", RefusedHijack: "refused_hijack",
	DialFailed: "dial_failed", DialRefused: "dial_refused", DialTimeout: "dial_timeout", DialCancelled: "dial_cancelled",
}

// String names the cause: stable, for logs and interfaces. None is "".
func (c Cause) String() string {
	if c < Causes {
		return causeNames[c]
	}
	return "unknown"
}

// Unit says what the number of an entry means.
func Unit(e Event, c Cause) string {
	switch e {
	case Paused, Resumed, SlowConsumer:
		return "bytes queued"
	case Gap:
		return "messages"
	case PingUnanswered:
		return "ms"
	case Refused, Answered:
		return "status"
	}
	switch c {
	case SocketError:
		return "errno"
	case Slow, Overloaded, WriteTimeout, CloseTimeout:
		return "bytes queued"
	case ByApplication, ByPeer, ByShutdown, ProtocolError, RateLimit, HeartbeatTimeout, MessageTimeout, Panic:
		return "code"
	case DialRefused:
		return "status"
	}
	if c >= RefusedRequest && c <= RefusedHijack {
		return "status"
	}
	return ""
}
