// Package deflate compresses and inflates the payloads of messages for
// permessage-deflate (RFC 7692 §7.2): bytes in, bytes out.
//
// A [Compressor] and a [Decompressor] are large and serve any number of
// connections, one message after another: an event loop has one of each. A
// connection itself keeps nothing, or with context takeover a [Window] per
// direction. Package handshake agrees on all that.
//
//	out, ok := compressor.Compress(dst, payload, agreed.ServerWindow)
//	if ok {
//		// a frame with frame.RSV1 and out; else one without, and payload
//	}
//
//	out, err := decompressor.Decompress(dst, payload, maxMessage)
//	// err is a *frame.ProtocolError
//
// A message in fragments is inflated when it is whole: the part that has
// arrived is small, and a Decompressor is never in the middle of a message.
// Text is to be checked afterwards.
//
// # Memory and time
//
// A Compressor takes 0.8 MB when it is first used for more than short messages, and
// 1.1 MB more for each window below 15 bits that longer messages have needed; a
// Decompressor 10 kB; a Window at most 1<<bits bytes, as many again for its index if
// short messages are compressed, and 64 of its own. Nothing is allocated for a
// message if dst has room.
//
// For a message of more than [ShortMessage] bytes a Compressor reads the window anew.
// So context takeover costs time too: for 1 KiB nearly half again with a window of 12
// bits, five times as much with 15, which gained little more (JSON of a chat, to 36 %
// without, 24 % and 23 %). We may compress with less than was agreed.
//
// # Short messages
//
// JSON of 40 or 100 bytes says next to nothing new, but the library's encoder makes
// nothing of messages below 128 bytes. With context takeover those of up to
// ShortMessage bytes are compressed here: by an index that stays with the window, and
// with the fixed codes. BenchmarkShort compares it with zlib, with a window of 12 bits:
// to 22 % of a message of 40 bytes, 10 % of 100 and 29 % of 400, in a third to a half of
// the time of zlib's level 1, which comes to 22, 12 and 30 %.
//
// # Why an inflater of our own
//
// The compressor is a library's. The inflater is not, for one reason: a block with
// codes of its own takes 90 bits and may say nothing, but its tables must be made. A
// message of 64 KiB full of them took a library's inflater 10 ms and more, a hundred
// times what one of that length otherwise takes; and libraries, which read streams,
// neither bound the number of such blocks nor tell it. Here it is bounded by what
// the message says: [ErrBlocks]. That refuses one thing that compressors do make: a
// message flushed every few bytes, hundreds of times, by one that only knows codes of
// its own (Go's HuffmanOnly).
//
// The most that 64 KiB can cost now, read or said, is 2 to 3 ms, and in proportion
// where messages may be longer. That the whole message is there, and room for what it
// says, makes this simpler than a stream's inflater, and no slower.
//
// # Lenient
//
// A compressed message of no bytes is an empty message, and one whose sender has left
// the four bytes at its end that RFC 7692 §7.2.1 tells to take off is what it would be
// without them: both are mistakes that have one meaning.
//
// # Not guaranteed
//
// The compressed bytes: another version may make others of the same message. No
// value here may be used by two goroutines at once. A payload that was cut
// within a block is refused, except where the four bytes that RFC 7692 §7.2.2
// puts behind it happen to complete that block.
package deflate
