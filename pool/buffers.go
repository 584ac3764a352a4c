package pool

import (
	"github.com/valyala/bytebufferpool"
)

// Buffer is a byte buffer: use and grow B as any slice.
type Buffer = bytebufferpool.ByteBuffer

// Buffers are the spare buffers of one loop. A buffer that was put back must
// not be touched any more; race builds overwrite it to show who does.
type Buffers struct {
	pool bytebufferpool.Pool
}

// Get returns an empty buffer.
func (p *Buffers) Get() *Buffer { return p.pool.Get() }

// GetFor returns an empty buffer that is not much larger than n bytes: for bytes that may stay in it for long.
func (p *Buffers) GetFor(n int) *Buffer {
	b := p.pool.Get()
	if cap(b.B) > 4*max(n, spareSize) {
		p.pool.Put(b)
		b = &Buffer{B: make([]byte, 0, n)}
	}
	return b
}

// spareSize is how large a buffer GetFor does not mind, in bytes.
const spareSize = 1 << 10

// Put takes a buffer back.
func (p *Buffers) Put(b *Buffer) {
	if raceEnabled {
		Poison(b.B[:cap(b.B)])
	}
	p.pool.Put(b)
}

// Poison overwrites memory whose lifetime has ended, so that whoever keeps a
// slice of it fails in tests.
func Poison(b []byte) {
	for i := range b {
		b[i] = 0xDB
	}
}
