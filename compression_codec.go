//go:build linux

package perch

import (
	"time"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/frame/deflate"
	"github.com/perchws/perch/internal/owner"
	"github.com/perchws/perch/pool"
)

// codec compresses and inflates for all connections of a loop. It is made for the first message that needs it: it takes
// 0.8 MB, and 1.1 MB for each smaller window in use.
type codec struct {
	compressor   deflate.Compressor
	decompressor deflate.Decompressor
	deflated     []byte // the message that was compressed last
	inflated     []byte // the message that was inflated last
	used         int64  // the loop's time at its last use
	stats        *Stats
}

// codecIdle is the time without a message after which a loop drops its codec.
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

// trimCodec drops a codec that was not used for codecIdle.
func (l *loop) trimCodec() {
	l.own.Check()
	if l.compression.codec != nil && l.now-l.compression.codec.used > int64(codecIdle) {
		l.compression.codec = nil
	}
}

// deflate compresses a message for the connection. false: it is sent uncompressed. The result is valid until the next
// call, and must be sent, because the peer's window has to move with ours.
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

// thresholdOf is the size in bytes from which messages are compressed for the connection.
func (l *loop) thresholdOf(s *slot) int {
	l.own.Check()
	if s.agreed&agreedOurs != 0 {
		return l.srv.cfg.Compression.takeoverThreshold
	}
	return l.srv.cfg.Compression.Threshold
}

// ownCopy reports whether a message to many is compressed for this connection alone. With a context a short message
// shrinks by itself; without one it does not.
func (s *slot) ownCopy(p *Prepared) bool {
	return s.agreed&agreedOurs != 0 && len(p.Payload()) <= deflate.ShortMessage
}

// deflated is the form of a message to many for this connection: the same bytes as for all others with its window.
func (l *loop) deflated(s *slot, p *Prepared) []byte {
	l.own.Check()
	if len(p.Payload()) < l.thresholdOf(s) {
		return p.Bytes()
	}
	return p.Deflated(s.agreed.window(), l.code())
}

// sentPrepared counts a message to many, of which b was sent. A connection with a context gets the same bytes as all
// others, which refer to nothing before them; but they become part of its context.
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

// inflate returns the message whose compressed form is p. Text is checked. The message is valid until the next call.
// Errors are those of the peer.
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
