//go:build linux

// Package outbox keeps what waits to be sent to one connection: in which order it leaves, how many bytes it is,
// and whether the peer takes it. It knows nothing of loops, states or timeouts, and it asks for no time: times are
// numbers of the caller's.
//
// A [Box] is a queue of whole WebSocket frames with a lane for control frames beside it, and, with TLS, records
// in front of both:
//
//	            ┌ what is left of a frame whose beginning is sent
//	┌────────┐ ┌┴─────────┬─────────┬────────────┬────────┐
//	│ sealed │ │unfinished│ frame   │ frame frame│ frame  │  segments of the queue
//	└────────┘ └──────────┴─────────┴────────────┴────────┘
//	                      ▲
//	                   control: a ping of ours, the newest pong
//
// Two rules hold, and builds with the race detector panic where one is broken:
//
//   - A frame never spans two segments. A segment begins and ends at a frame border; only the first one may have
//     been cut, by a socket that took a part of it.
//   - A control frame waits for the frame that is being sent, and never for those behind it (RFC 6455 §5.4, §5.5).
//     So it is put where the first border is.
//
// A Box belongs to one goroutine. The buffers that it is given belong to it
// until they are sent; shared bytes must never change.
package outbox
