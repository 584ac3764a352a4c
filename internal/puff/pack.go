package puff

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

const (
	minMatch   = 4
	maxMatch   = 258
	hashBits   = 15
	chainSteps = 32 // candidates looked at for one match
)

// hash is of the first minMatch bytes.
func hash(b []byte) uint32 { return binary.LittleEndian.Uint32(b) * 2654435761 >> (32 - hashBits) }

// Compress returns the compressed form of p for a window of 1<<window bytes (8 to
// 15 bits), in one block of the fixed codes. before is what came in earlier
// messages, nil without context takeover. Of two references as good it takes the
// farther one, and it tries the very edge of the window first: a receiver that
// forgets a byte too early cannot read it.
func Compress(p, before []byte, window int) []byte {
	edge := 1 << window
	before = before[max(0, len(before)-edge):]
	b := append(bytes.Clone(before), p...)
	var (
		w      bitWriter
		newest [1 << hashBits]int    // by hash, the last place of such bytes, plus one
		older  = make([]int, len(b)) // the place before it, plus one
		known  = 0
	)
	w.put(0, 1) // not the last block
	w.put(1, 2) // fixed codes
	for at := len(before); at < len(b); {
		for ; known < at && known+minMatch <= len(b); known++ {
			h := hash(b[known:])
			older[known], newest[h] = newest[h], known+1
		}
		length, distance := 0, 0
		try := func(from int) {
			n := 0
			for most := min(maxMatch, len(b)-at); n < most && b[from+n] == b[at+n]; n++ {
			}
			if n >= minMatch && (n > length || n == length && at-from > distance) {
				length, distance = n, at-from
			}
		}
		if at >= edge {
			try(at - edge)
		}
		if at+minMatch <= len(b) {
			from := newest[hash(b[at:])] - 1
			for steps := 0; from >= max(0, at-edge) && steps < chainSteps; steps++ {
				try(from)
				from = older[from] - 1
			}
		}
		if length == 0 {
			w.literal(int(b[at]))
			at++
			continue
		}
		w.match(length, distance)
		at += length
	}
	w.literal(256) // end of block
	w.put(0, 3)    // an empty stored block, whose four bytes are not sent (RFC 7692 section 7.2.1)
	return w.b
}

// bitWriter writes bits as RFC 1951 section 3.1.1 packs them.
type bitWriter struct {
	b    []byte
	free int // bits of the last byte
}

func (w *bitWriter) put(v, n int) {
	for ; n > 0; n-- {
		if w.free == 0 {
			w.b, w.free = append(w.b, 0), 8
		}
		w.b[len(w.b)-1] |= byte(v&1) << (8 - w.free)
		w.free--
		v >>= 1
	}
}

// code writes a Huffman code: its most significant bit comes first.
func (w *bitWriter) code(v, n int) { w.put(int(bits.Reverse16(uint16(v))>>(16-n)), n) }

// literal writes a symbol of the fixed code, RFC 1951 section 3.2.6.
func (w *bitWriter) literal(s int) {
	switch {
	case s < 144:
		w.code(0x30+s, 8)
	case s < 256:
		w.code(0x190+s-144, 9)
	case s < 280:
		w.code(s-256, 7)
	default:
		w.code(0xc0+s-280, 8)
	}
}

func (w *bitWriter) match(length, distance int) {
	s, extra, n := 28, 0, 0
	if length < maxMatch {
		s, extra, n = symbolOf(length-3, 4)
	}
	w.literal(257 + s)
	w.put(extra, n)
	s, extra, n = symbolOf(distance-1, 2)
	w.code(s, 5)
	w.put(extra, n)
}

// symbolOf is the symbol of a length or distance, less its smallest value, and the
// n extra bits behind it: the inverse of base.
func symbolOf(v, group int) (s, extra, n int) {
	for s = 0; ; s++ {
		low, bits := base(s, group)
		if v < low+1<<bits {
			return s, v - low, bits
		}
	}
}
