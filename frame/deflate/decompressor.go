package deflate

import (
	"bytes"
	"math"

	"github.com/perchws/perch/frame"
)

// ErrCorrupt is compressed data that is none: malformed, cut short, or referring
// to what is not in the window. RFC 7692 names no code for it; it is data that
// does not fit its type, as malformed text is, so 1007.
var ErrCorrupt = &frame.ProtocolError{Code: frame.CloseInvalidPayload, Reason: "compressed data is corrupt"}

// tail is put behind every message: the bytes that its sender has left off (RFC
// 7692 §7.2.2), and an end of the stream, so that reading ends with io.EOF.
const tail = flushed + "\x01\x00\x00\xff\xff"

// ErrBlocks is compressed data in more blocks with codes of their own than a
// message of its size can need: to make their tables costs us more than
// anything else in a message.
var ErrBlocks = &frame.ProtocolError{Code: frame.ClosePolicyViolation, Reason: "compressed data of too many blocks"}

// A message may have freeBlocks blocks with codes of their own, and one more for every
// blockGain bytes that it has made before. To describe codes takes some 50 bytes, so
// that a compressor gains nothing by smaller blocks; zlib's have 127 symbols at least
// (memLevel 1) unless they are flushed, and then the fixed codes are shorter. The free
// blocks are for a compressor that makes codes for a few bytes all the same, and
// flushes after each few.
const (
	freeBlocks = 256
	blockGain  = 64
)

// Decompressor inflates messages, one after another, for any number of
// connections. The zero value is ready. It must not be copied.
type Decompressor struct{ inflater inflater }

// Decompress appends the message that p is the compressed form of to dst: at most
// most bytes of it, 0 is no limit. Its cost is bounded by that and by the length
// of p. The message may refer to any part of itself, as within a window of 15
// bits, also if a smaller one was agreed. Errors, each a *[frame.ProtocolError]:
// [frame.ErrTooBig], [ErrCorrupt], [ErrBlocks]; out is then dst.
func (d *Decompressor) Decompress(dst, p []byte, most int) (out []byte, err error) {
	out, _, err = d.inflate(dst, p, nil, most)
	return out, err
}

// DecompressNext is Decompress for a connection with context takeover. w is what
// the peer has compressed before: the message becomes part of it. After an error
// w is of no further use.
func (d *Decompressor) DecompressNext(dst, p []byte, most int, w *Window) (out []byte, err error) {
	out, ended, err := d.inflate(dst, p, w.b, most)
	switch {
	case err != nil:
		return out, err
	case ended < 0:
		w.slide(out[len(dst):])
	default:
		w.b = w.b[:0]
		w.slide(out[ended:])
	}
	return out, nil
}

// inflate returns in ended where in out a stream has ended within the message
// (RFC 7692 §7.2.3.4), the last if several; −1: nowhere. With a stream its window
// ends: zlib has it so.
func (d *Decompressor) inflate(dst, p, window []byte, most int) (out []byte, ended int, err error) {
	f := &d.inflater
	f.in, f.pos, f.bits, f.n = p, 0, 0, 0
	f.at, f.begin, f.window = len(dst), len(dst), window
	f.start, f.blocks, f.limit = len(dst), 0, math.MaxInt
	if 0 < most && most < math.MaxInt-len(dst) {
		f.limit = len(dst) + most
	}
	f.buf = dst[:min(cap(dst), f.limit)]
	defer func() { f.in, f.buf, f.window = nil, nil, nil }()
	whole := len(p) == 0 || bytes.HasSuffix(p, []byte(flushed)) // there is nothing for the tail to complete
	for ended = -1; ; {
		if whole && f.taken() == 8*len(p) {
			return f.buf[:f.at], ended, nil
		}
		final, err := f.block()
		if err != nil {
			return dst, -1, err
		}
		if !final {
			continue
		}
		f.align()
		switch f.left() {
		case 0:
			return f.buf[:f.at], ended, nil
		case len(tail): // a block for it to complete should have followed, but nothing is missing
			return f.buf[:f.at], f.at, nil
		}
		ended, f.begin, f.window = f.at, f.at, nil
	}
}
