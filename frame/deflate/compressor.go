package deflate

import (
	"errors"

	"github.com/klauspost/compress/flate"
)

// maxWindow is the size of DEFLATE's own window, in bits.
const maxWindow = 15

// A flush ends in these four bytes, which are not sent (RFC 7692 §7.2.1).
const flushed = "\x00\x00\xff\xff"

// Compressor compresses messages, one after another, for any number of
// connections. The zero value is ready. It must not be copied.
type Compressor struct {
	writers [maxWindow + 1]*flate.Writer // by window; made when first needed
	out     sink
	short   short
}

// Compress appends the compressed form of p to dst, for a peer that forgets
// after each message and has a window of 8 to 15 bits. ok is false if that is not
// shorter than p: then p is to be sent as it is, and out is dst.
func (c *Compressor) Compress(dst, p []byte, bits int) (out []byte, ok bool) {
	return c.compress(dst, p, nil, bits)
}

// CompressNext is Compress for a connection with context takeover. w is what the
// peer remembers: p becomes part of it, if ok. A message of up to [ShortMessage]
// bytes may come out longer than p by up to four bytes, with ok: w then learns from it
// for the messages to come.
func (c *Compressor) CompressNext(dst, p []byte, w *Window) (out []byte, ok bool) {
	if 0 < len(p) && len(p) <= ShortMessage {
		out = c.short.compress(dst, p, w)
		ok = w.gained(len(p) - (len(out) - len(dst)))
	} else {
		out, ok = c.compress(dst, p, w.b, w.bits)
	}
	if !ok {
		return out[:len(dst)], false
	}
	w.slide(p)
	return out, true
}

func (c *Compressor) compress(dst, p, before []byte, bits int) (out []byte, ok bool) {
	if over := len(before) + len(p) - 1<<bits; over <= 0 || len(p) <= 1<<bits/2 {
		before = before[max(over, 0):]
		bits = maxWindow // nothing is farther back: the encoder need not look to it
	}
	w := c.writer(bits)
	c.out = sink{dst, len(dst) + len(p) - 1 + len(flushed)}
	w.ResetDict(&c.out, before)
	_, err := w.Write(p)
	if err == nil {
		err = w.Flush()
	}
	out = c.out.b
	c.out = sink{}
	if err != nil {
		return out[:len(dst)], false
	}
	return out[:len(out)-len(flushed)], true
}

// writer returns the encoder for a window. The one for the largest is the fastest,
// and takes the least memory: so messages that fit their window go to it too.
func (c *Compressor) writer(bits int) *flate.Writer {
	w := c.writers[bits]
	if w == nil {
		var err error
		if bits == maxWindow {
			w, err = flate.NewWriter(nil, flate.BestSpeed)
		} else {
			w, err = flate.NewWriterWindow(nil, 1<<bits)
		}
		if err != nil {
			panic("deflate: window of impossible size") // the caller's fault
		}
		c.writers[bits] = w
	}
	return w
}

// sink is where a flate.Writer writes: to the end of b, up to most bytes.
type sink struct {
	b    []byte
	most int
}

var errNoGain = errors.New("deflate: longer than before")

func (s *sink) Write(p []byte) (int, error) {
	if len(p) > s.most-len(s.b) {
		return 0, errNoGain
	}
	s.b = append(s.b, p...)
	return len(p), nil
}
