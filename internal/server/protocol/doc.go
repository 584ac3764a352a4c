// Package protocol has the JSON messages that clients and perchd exchange. It reads messages of clients, within
// limits, and writes answers without reflection.
//
//	m, err := protocol.Parse(p)                    // p is what OnMessage got
//	typ, err := m.Type()
//	content, err := m.String("content", 16<<10, true)
//	…
//	b := protocol.NewObject(buf[:0], protocol.TypeMessageSent)
//	b = b.ID(m.ID()).String("message_id", id).Uint("offset", n).Time("timestamp", now)
//	err = c.Send(perch.Text, b.End())
//
// Errors are of type [*Error]: a [Code] that never changes its name, and a sentence for people. The codes and the
// message types are tables in this package, so that documentation and metrics have all of them.
//
// # Messages of clients
//
// A message is one JSON object (RFC 8259) in UTF-8, at most [MaxDepth] levels deep and with at most [MaxMembers]
// members. Names must match exactly, unlike in encoding/json. Of members with the same name the last counts. Unknown
// members are ignored. null is the same as absent. An escape that is half of a surrogate pair is read as U+FFFD.
//
// # Goroutines and lifetimes
//
// Nothing in this package waits, locks or starts goroutines: all of it may run on event loops. A [Message], and every
// json.RawMessage that it returns, is a view of the bytes from which it was parsed: in a callback it is valid until
// OnMessage returns. Strings are copies.
//
// # Left to endpoints
//
// Endpoints decide which message is allowed when, who may send it, and what it does.
package protocol
