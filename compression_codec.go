//go:build linux

package perch

import (
	"time"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/frame/deflate"
	"github.com/perchws/perch/internal/owner"
	"github.com/perchws/perch/pool"
)

// codec is what a loop compresses and inflates with, for all its connections. It
// is made when the first message needs it: it takes 0.8 MB, and 1.1 MB for each
// smaller window that is in use.
type codec struct {
	compressor   deflate.Compressor
	decompressor deflate.Decompressor
	deflated     []byte // the message that was compressed last
	inflated     []byte // the message that was inflated last
	used         int64  // the loop's time then
	stats        *Stats
}

// codecIdle is after what time without a message a loop lets go of its codec.
const codecIdle = time.Minute

// keepMessage is the longest message whose memory is kept for the next.
const keepMessage = 1 << 20

// Compress implements [frame.Deflater].
func (c *codec) Compress(dst, p []byte, bits int) ([]byte, bool) {
	c.stats.Compressions++
	return c.compressor.Compress(dst, p, bits)
}

// code is the loop's codec.
func (l *loop) code() *codec {
	l.own.Check()
	if l.compression.codec == nil {
		l.compression.codec = &codec{stats: &l.stats}
	}
	l.compression.codec.used = l.now
	return l.compression.codec
}

// trimCodec lets go of a codec that nobody uses.
func (l *loop) trimCodec() {
	l.own.Check()
	if l.compression.codec != nil && l.now-l.compression.codec.used > int64(codecIdle) {
		l.compression.codec = nil
	}
}

// deflate compresses a message for the connection. false: it goes as it is. What
// it returns is valid until the next call; once it is made it must be sent, as the
// peer's window is to move with ours.
func (l *loop) deflate(i uint32, s *slot, p []byte) ([]byte, bool) {
	l.own.Check()
	if len(p) < l.thresholdOf(s) {
		return p, false
	}
	c := l.code()
	if cap(c.deflated) > keepMessage {
		c.deflated = nil
	}
	l.stats.Compressions++
	var ok bool
	if s.agreed&agreedOurs != 0 {
		c.deflated, ok = c.compressor.CompressNext(c.deflated[:0], p, l.slab.windows.Get(i).out)
	} else {
		c.deflated, ok = c.compressor.Compress(c.deflated[:0], p, s.agreed.window())
	}
	if !ok {
		return p, false
	}
	l.stats.CompressedSent++
	return c.deflated, true
}

// thresholdOf is from how many bytes on messages are compressed for the connection.
func (l *loop) thresholdOf(s *slot) int {
	l.own.Check()
	if s.agreed&agreedOurs != 0 {
		return l.srv.cfg.Compression.takeoverThreshold
	}
	return l.srv.cfg.Compression.Threshold
}

// ownCopy reports whether a message to many is to be compressed for this connection
// alone: with a context that lives on a short one shrinks by itself, and not else.
func (s *slot) ownCopy(p *Prepared) bool {
	return s.agreed&agreedOurs != 0 && len(p.Payload()) <= deflate.ShortMessage
}

// deflated is what a message to many is for this connection: the bytes that all
// others with its window get as well.
func (l *loop) deflated(s *slot, p *Prepared) []byte {
	l.own.Check()
	if len(p.Payload()) < l.thresholdOf(s) {
		return p.Bytes()
	}
	return p.Deflated(s.agreed.window(), l.code())
}

// sentPrepared counts a message to many, of which b was sent. A connection that
// keeps a context gets the bytes that all others get, which refer to nothing
// before them; but its context is to know them.
func (l *loop) sentPrepared(i uint32, s *slot, p *Prepared, b []byte) {
	l.own.Check()
	l.stats.MessagesSent++
	if s.flags&flagDeflate == 0 || len(b) == len(p.Bytes()) {
		return
	}
	l.stats.CompressedSent++
	if s.agreed&agreedOurs != 0 {
		l.slab.windows.Get(i).out.Follow(p.Payload())
	}
}

// inflate is the message that p is the compressed form of: text is checked. It is
// valid until the next call. Errors are those of the peer.
func (l *loop) inflate(i uint32, s *slot, r *Route, op Opcode, p []byte) ([]byte, error) {
	l.own.Check()
	c := l.code()
	if cap(c.inflated) > keepMessage {
		c.inflated = nil
	}
	l.stats.CompressedReceived++
	var err error
	if s.agreed&agreedTheirs != 0 {
		c.inflated, err = c.decompressor.DecompressNext(c.inflated[:0], p, r.settings.MaxMessageSize, l.slab.windows.Get(i).in)
	} else {
		c.inflated, err = c.decompressor.Decompress(c.inflated[:0], p, r.settings.MaxMessageSize)
	}
	if err == nil && op == Text && !frame.ValidUTF8(c.inflated) {
		err = frame.ErrUTF8
	}
	if owner.Enabled {
		pool.Poison(p)
	}
	return c.inflated, err
}
