// Package frame is the RFC 6455 frame codec: headers, masking, UTF-8, close
// codes, the splitter that turns a byte stream into messages, and frames
// prepared once for many receivers.
//
// It does no I/O, starts no goroutine, keeps no global state and logs nothing:
// bytes go in, values come out. "Not enough bytes yet" is a result (n == 0 and
// a nil error), never an error.
//
// # Lifetimes
//
// Slices in an [Event] point into the bytes given to [Reader.Next], unmasked in
// place: they are valid until the caller overwrites those bytes. A [Prepared]
// is immutable and may be shared by any number of goroutines.
//
// # Not guaranteed
//
// How a message is cut into [Chunk] events depends on how its bytes arrived;
// only their concatenation is the message. No type here but Prepared may be
// used by two goroutines at once.
package frame
