// Package protocol is the JSON text that clients and perchd exchange: reading what clients send,
// within bounds, and writing answers without reflection.
//
//	m, err := protocol.Parse(p)                    // p is what OnMessage got
//	typ, err := m.Type()
//	content, err := m.String("content", 16<<10, true)
//	…
//	b := protocol.NewObject(buf[:0], protocol.TypeMessageSent)
//	b = b.ID(m.ID()).String("message_id", id).Uint("offset", n).Time("timestamp", now)
//	err = c.Send(perch.Text, b.End())
//
// What goes wrong is an [*Error]: a [Code] that never changes its name, and a sentence for people.
// The sets of codes and of message types are tables here, so that documentation and metrics have
// the whole of them.
//
// # What is read
//
// A message is one JSON object (RFC 8259) in UTF-8, at most [MaxDepth] levels deep and with at most
// [MaxMembers] members. Names are matched exactly, unlike encoding/json does; of members with one
// name the last counts; those that nobody asks for are ignored. null is the same as absent.
// An escape that is half of a surrogate pair is read as U+FFFD.
//
// # Goroutines and lifetimes
//
// Nothing here waits, locks or starts goroutines: all of it may run on event loops. A [Message], and
// every json.RawMessage it hands out, is a view of the bytes it was parsed from: in a callback it is
// valid until OnMessage returns. Strings are copies.
//
// # Not here
//
// Which message is allowed when, who may send it, and what it does: that is up to the endpoints.
package protocol
