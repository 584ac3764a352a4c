package deflate

import (
	"io"
	"math"
	"slices"

	"github.com/klauspost/compress/flate"

	"github.com/perchws/perch/frame"
)

// ErrCorrupt is compressed data that is none: malformed, cut short, or referring
// to what is not in the window. RFC 7692 names no code for it; it is data that
// does not fit its type, as malformed text is, so 1007.
var ErrCorrupt = &frame.ProtocolError{Code: frame.CloseInvalidPayload, Reason: "compressed data is corrupt"}

// tail is put behind every message: what its sender has left off (RFC 7692
// §7.2.2), and an end of the stream, so that the whole ends in io.EOF.
const tail = flushed + "\x01\x00\x00\xff\xff"

// Decompressor inflates messages, one after another, for any number of
// connections. The zero value is ready. It must not be copied.
type Decompressor struct {
	flate resetReader // made when first needed
	in    source
}

// resetReader is what flate.NewReader returns.
type resetReader interface {
	io.Reader
	flate.Resetter
}

// Decompress appends the message that p is the compressed form of to dst: at most
// most bytes of it, 0 is no limit. What it costs is bounded by that and by the
// length of p. The message may refer to any part of itself, as within a window of
// 15 bits, whatever was agreed. Errors, each a *[frame.ProtocolError]:
// [frame.ErrTooBig], [ErrCorrupt]; out is then dst.
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
	if d.flate == nil {
		d.flate = flate.NewReader(&d.in).(resetReader)
	}
	d.in = source{p, tail}
	defer func() { d.in = source{} }()
	d.flate.Reset(&d.in, window)
	room := math.MaxInt
	if 0 < most && most < math.MaxInt {
		room = most + 1 // the byte too many tells
	}
	out, ended = dst, -1
	for {
		if len(out) == cap(out) {
			out = slices.Grow(out, min(room, max(len(out)-len(dst), 4*len(p), 512)))
		}
		n, err := d.flate.Read(out[len(out) : len(out)+min(room, cap(out)-len(out))])
		out = out[:len(out)+n]
		room -= n
		switch {
		case room == 0:
			return out[:len(dst)], -1, frame.ErrTooBig
		case err == io.EOF && d.in.tail == "":
			return out, ended, nil
		case err == io.EOF:
			if ended = len(out); len(d.in.p) == 0 && d.in.tail == tail {
				return out, ended, nil // a block for tail to complete should follow, but nothing is missing
			}
			d.flate.Reset(&d.in, nil)
		case err != nil:
			return out[:len(dst)], -1, ErrCorrupt
		}
	}
}

// source is what the flate reader reads: p, then tail.
type source struct {
	p    []byte
	tail string
}

func (s *source) ReadByte() (c byte, err error) {
	switch {
	case len(s.p) > 0:
		c, s.p = s.p[0], s.p[1:]
	case s.tail != "":
		c, s.tail = s.tail[0], s.tail[1:]
	default:
		return 0, io.EOF
	}
	return c, nil
}

func (s *source) Read(b []byte) (n int, err error) {
	switch {
	case len(s.p) > 0:
		n = copy(b, s.p)
		s.p = s.p[n:]
	case s.tail != "":
		n = copy(b, s.tail)
		s.tail = s.tail[n:]
	default:
		return 0, io.EOF
	}
	return n, nil
}
