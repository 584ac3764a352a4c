// Package handshake reads and writes the opening handshake of WebSocket,
// RFC 6455 §4, from bytes: the server's side and the client's.
//
// A [Parser] takes the bytes of a head as they arrive. Once it has all of them
// it lends a [Head], a view: methods that return slices of those bytes, and
// checks. The Append functions write answers and requests behind what the
// caller has. Nothing here does I/O, starts a goroutine, keeps time or logs, and
// the server's path allocates nothing.
//
//	var p handshake.Parser // one per head in progress, or one per loop
//	n, err := p.Request(buf)
//	switch {
//	case err != nil:
//		out = handshake.AppendError(out, 400, …)     // *Error has status and reason
//	case n == 0:
//		// not enough: append to buf, call again
//	default:
//		h := p.Head(buf)
//		if !h.IsUpgrade() { … }                      // plain HTTP
//		key, err := h.CheckUpgrade()
//		out, err = handshake.AppendSwitching(out, key, "", "", nil)
//		frames := buf[n:]                            // the client may not have waited
//	}
//
// # Lifetimes
//
// Slices that a Head returns are valid until the bytes given to [Parser.Head]
// change or the Parser is Reset. Strings are the caller's own. Values share
// nothing: any goroutine may use one, no two at a time.
//
// # Strictness
//
// A head that two readers could take differently is refused with 400: a line
// that ends in LF alone, a CR without LF, folded lines, space before a colon, an
// empty name, control characters, two Hosts, none with HTTP/1.1, a malformed
// target, a body whose end is not certain. More bytes or lines than [Limits] allow are refused with 431.
// [Requests] is as strict about all requests of a connection, and about their bodies.
// The call that brings the deciding byte reports it; the form of a target and of
// Host is decided at its end.
//
// # Not here
//
// What a body says: its end alone is looked for, by Requests. The time that a head may take. Date
// headers (pass one where it is wanted). Routing, and the negotiation of extensions.
package handshake
