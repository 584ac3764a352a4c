package deflate

import (
	"encoding/binary"
	"math/bits"
	"sync"
)

// ShortMessage is the size, in bytes, up to which a message of a connection with
// context takeover is compressed by an encoder of our own. The library's looks for
// nothing in the window if a message is below 128 bytes, and reads the whole window
// anew for a message of any size. Here the window has an index, and the codes are the
// fixed ones of RFC 1951 §3.2.6: the rest of a short message does not pay for codes
// of its own.
const ShortMessage = 1 << 10

// A match of minMatch bytes is the shortest that is looked for, one of maxMatch the
// longest that has a code. A match of niceMatch bytes is taken without a look at the
// next position.
const (
	minMatch  = 4
	niceMatch = 24
	maxMatch  = 258
)

// A message that gains nothing is sent compressed all the same if that makes it
// longer by no more than investment bytes: so the window learns, and the next message
// of its kind gains. After maxDull such messages in a row only one in dullPause is.
const (
	investment = 4
	maxDull    = 8
	dullPause  = 32
)

// short compresses short messages. It keeps nothing from one to the next but memory.
type short struct {
	text []byte // the window, then the message
	out  []byte
	bits uint64 // not in out yet, the next one lowest
	n    uint   // how many

	// The last match: it is written when it is known that the next one does not
	// include it. length 0: none.
	length, distance int
}

// compress appends the compressed form of p to dst, for a peer that remembers w.
// It moves the window's index over p, and not the window.
func (e *short) compress(dst, p []byte, w *Window) []byte {
	w.catchUp()
	e.text = append(append(e.text[:0], w.b...), p...)
	e.out, e.bits, e.n = dst, 0, 0
	e.put(0b010, 3) // a block with the fixed codes, not the last
	text, base := e.text, w.base()
	for at := len(w.b); at < len(text); {
		distance, n := w.find(text, at, base)
		if minMatch <= n && n < niceMatch {
			if _, longer := w.find(text, at+1, base); longer > n+1 {
				n = 0
			}
		}
		if n < minMatch {
			e.flushMatch()
			e.literal(text[at])
			at++
			continue
		}
		e.match(text, at, n, distance)
		for end := at + n; at < end; at++ {
			w.note(text, at, base)
		}
	}
	e.flushMatch()
	e.put(0, 7) // the end of the block
	e.put(0, 3) // an empty stored block, which begins at a byte's border
	for ; e.n > 0; e.n -= min(e.n, 8) {
		e.out = append(e.out, byte(e.bits))
		e.bits >>= 8
	}
	out := e.out
	e.out = nil
	return out
}

// match adds a copy of n bytes at text[at:] from distance bytes back. Where the copy
// could as well begin where the last match did, the two are one.
func (e *short) match(text []byte, at, n, distance int) {
	k := 0
	for k < e.length && at-k > distance && text[at-k-1] == text[at-k-1-distance] {
		k++
	}
	if k == e.length && k+n <= maxMatch {
		e.length, e.distance = k+n, distance
		return
	}
	e.flushMatch()
	e.length, e.distance = n, distance
}

// flushMatch writes the last match.
func (e *short) flushMatch() {
	if e.length == 0 {
		return
	}
	c := fixedCodes().lengths[e.length]
	e.length = 0
	e.put(c.bits, uint(c.n))
	// RFC 1951 §3.2.5: two codes for each power of two; the bits below it follow.
	d := uint32(e.distance - 1)
	code, extra := d, uint(0)
	if d >= 4 {
		extra = uint(bits.Len32(d) - 2)
		code = uint32(extra)*2 + d>>extra
	}
	e.put(uint32(bits.Reverse8(uint8(code))>>3), 5)
	e.put(d&(1<<extra-1), extra)
}

func (e *short) literal(b byte) {
	c := fixedCodes().literals[b]
	e.put(c.bits, uint(c.n))
}

// put adds n bits, at most 32.
func (e *short) put(v uint32, n uint) {
	e.bits |= uint64(v) << e.n
	if e.n += n; e.n >= 32 {
		e.out = binary.LittleEndian.AppendUint32(e.out, uint32(e.bits))
		e.bits >>= 32
		e.n -= 32
	}
}

// fixedCode is a code as it is written, the bits that follow it included.
type fixedCode struct {
	bits uint32
	n    uint8
}

// encoding are the fixed codes of RFC 1951 §3.2.6, by what they mean.
type encoding struct {
	literals [256]fixedCode
	lengths  [maxMatch + 1]fixedCode
}

var fixedCodes = sync.OnceValue(func() *encoding {
	t := new(encoding)
	for i := range t.literals {
		t.literals[i] = codeOf(i)
	}
	for length := 3; length < maxMatch; length++ {
		v := length - 3
		symbol, extra := 257+v, 0
		if v >= 8 { // four codes for each power of two
			extra = bits.Len(uint(v)) - 3
			symbol = 257 + extra*4 + v>>extra
		}
		c := codeOf(symbol)
		c.bits |= uint32(v&(1<<extra-1)) << c.n
		c.n += uint8(extra)
		t.lengths[length] = c
	}
	t.lengths[maxMatch] = codeOf(285)
	return t
})

// codeOf is the code of a literal or a length. Its highest bit comes first, all else
// in DEFLATE is the other way round.
func codeOf(symbol int) fixedCode {
	switch {
	case symbol < 144:
		return fixedCode{uint32(bits.Reverse8(uint8(0b00110000 + symbol))), 8}
	case symbol < 256:
		return fixedCode{uint32(bits.Reverse16(uint16(0b110010000+symbol-144)) >> 7), 9}
	case symbol < 280:
		return fixedCode{uint32(bits.Reverse8(uint8(symbol-256)) >> 1), 7}
	}
	return fixedCode{uint32(bits.Reverse8(uint8(0b11000000 + symbol - 280))), 8}
}
