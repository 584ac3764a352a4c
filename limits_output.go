//go:build linux

package perch

import "sync/atomic"

// posted counts the bytes posted to slot i. Any goroutine.
func (t *slab) posted(i uint32) *atomic.Int64 {
	c := t.chunks[i>>chunkBits].Load()
	p := c.posted.Load()
	if p == nil {
		p = new([chunkSize]atomic.Int64)
		if !c.posted.CompareAndSwap(nil, p) {
			p = c.posted.Load()
		}
	}
	return &p[i%chunkSize]
}
