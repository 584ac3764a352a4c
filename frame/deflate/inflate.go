package deflate

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/perchws/perch/frame"
)

// Bits by which the tables of a block are indexed. Larger ones take longer to make,
// smaller ones longer to use.
const (
	lengthRoot   = 9
	distanceRoot = 7
	sizeRoot     = 7 // that is all: no code of a code's length is longer
)

// inflater reads one message after another. It has the whole of it, and writes to
// where it is wanted: there is no window but what was written, and what was before.
// The loops of the libraries, which read streams, do not say how many blocks there
// are: see ErrBlocks.
type inflater struct {
	// The input: in, then tail.
	in   []byte
	pos  int    // bytes taken from both
	bits uint64 // taken, and not used yet, the next one lowest
	n    uint   // how many

	// The output: buf from start to at. The stream began at begin; before it lies the
	// window.
	buf              []byte
	start, begin, at int
	window           []byte
	limit            int // at is not to go beyond
	blocks           int // with codes of their own, so far

	lengths, distances table
	sizes              table
	size               [286 + 30]uint8
}

// table is a decoding table: see build.
type table struct {
	codes []code
	root  uint // bits that index it
}

// fixed are the codes of RFC 1951 §3.2.6.
var fixed = sync.OnceValue(func() *[2]table {
	var t [2]table
	var size [288]uint8
	for i := range size {
		size[i] = 8
		if i >= 144 && i < 256 {
			size[i] = 9
		} else if i >= 256 && i < 280 {
			size[i] = 7
		}
	}
	meaning := append(slices.Clone(lengthMeaning[:]), 0, 0) // two that have codes and no meaning
	t[0].codes = make([]code, 1<<9)
	t[0].root, _ = build(t[0].codes, 9, size[:], meaning)
	for i := range 32 {
		size[i] = 5
	}
	t[1].codes = make([]code, 1<<5)
	t[1].root, _ = build(t[1].codes, 5, size[:32], append(slices.Clone(distanceMeaning[:]), 0, 0))
	return &t
})

// byteAt is the input's byte i, which must be there.
func (f *inflater) byteAt(i int) byte {
	if i < len(f.in) {
		return f.in[i]
	}
	return tail[i-len(f.in)]
}

// taken is how much of the input is used, in bits.
func (f *inflater) taken() int { return 8*f.pos - int(f.n) }

// left is how much input is not taken.
func (f *inflater) left() int { return len(f.in) + len(tail) - f.pos }

// fill takes bits, 56 at least if there are as many.
func (f *inflater) fill() {
	if f.pos+8 <= len(f.in) {
		f.bits |= binary.LittleEndian.Uint64(f.in[f.pos:]) << f.n
		f.pos += int(63-f.n) >> 3
		f.n |= 56
		return
	}
	for f.n <= 56 && f.left() > 0 {
		f.bits |= uint64(f.byteAt(f.pos)) << f.n
		f.pos++
		f.n += 8
	}
}

// take is the next k bits, at most 32.
func (f *inflater) take(k uint) (v uint, ok bool) {
	if f.n < k {
		if f.fill(); f.n < k {
			return 0, false
		}
	}
	v = uint(f.bits & (1<<k - 1))
	f.bits >>= k
	f.n -= k
	return v, true
}

// align goes on to the next whole byte, and gives back what was taken beyond.
func (f *inflater) align() {
	f.pos -= int(f.n >> 3)
	f.bits, f.n = 0, 0
}

// block reads one block (RFC 1951 §3.2.3). final: the stream ends with it.
func (f *inflater) block() (final bool, err error) {
	v, ok := f.take(3)
	if !ok {
		return false, ErrCorrupt
	}
	switch v >> 1 {
	case 0:
		err = f.stored()
	case 1:
		t := fixed()
		err = f.codes(&t[0], &t[1])
	case 2:
		if err = f.header(); err == nil {
			err = f.codes(&f.lengths, &f.distances)
		}
	default:
		err = ErrCorrupt
	}
	return v&1 != 0, err
}

// stored copies a block that is not compressed.
func (f *inflater) stored() error {
	f.align()
	if f.left() < 4 {
		return ErrCorrupt
	}
	n := int(f.byteAt(f.pos)) | int(f.byteAt(f.pos+1))<<8
	if check := int(f.byteAt(f.pos+2)) | int(f.byteAt(f.pos+3))<<8; check != n^0xffff || f.left()-4 < n {
		return ErrCorrupt
	}
	f.pos += 4
	if err := f.room(n); err != nil {
		return err
	}
	for n > 0 { // the last of it may be in tail
		k := 1
		if f.pos < len(f.in) {
			k = copy(f.buf[f.at:f.at+n], f.in[f.pos:])
		} else {
			f.buf[f.at] = f.byteAt(f.pos)
		}
		f.at, f.pos, n = f.at+k, f.pos+k, n-k
	}
	return nil
}

// sizeOrder is that of the code lengths of code lengths (RFC 1951 §3.2.7).
var sizeOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// sizeMeaning are the symbols themselves.
var sizeMeaning = func() (m [19]code) {
	for s := range m {
		m[s] = code(s) << 16
	}
	return m
}()

// header reads the codes of a block that has its own (RFC 1951 §3.2.7).
func (f *inflater) header() error {
	if f.blocks++; f.blocks > freeBlocks+(f.at-f.start)/blockGain {
		return ErrBlocks
	}
	if f.lengths.codes == nil {
		f.lengths.codes, f.distances.codes, f.sizes.codes = make([]code, 1<<10), make([]code, 1<<10), make([]code, 1<<sizeRoot)
	}
	v, ok := f.take(14)
	lengths, all := int(v&31)+257, int(v&31)+257+int(v>>5&31)+1
	if !ok || lengths > 286 || all-lengths > 30 {
		return ErrCorrupt
	}
	var sizes [19]uint8
	for _, s := range sizeOrder[:v>>10+4] {
		v, ok := f.take(3)
		if !ok {
			return ErrCorrupt
		}
		sizes[s] = uint8(v)
	}
	if f.sizes.root, ok = build(f.sizes.codes, sizeRoot, sizes[:], sizeMeaning[:]); !ok || !f.codeLengths(all) {
		return ErrCorrupt
	}
	if f.size[256] == 0 { // such a block has no end
		return ErrCorrupt
	}
	if f.lengths.root, ok = build(f.lengths.codes, lengthRoot, f.size[:lengths], lengthMeaning[:]); !ok {
		return ErrCorrupt
	}
	if f.distances.root, ok = build(f.distances.codes, distanceRoot, f.size[lengths:all], distanceMeaning[:]); !ok {
		return ErrCorrupt
	}
	return nil
}

// codeLengths reads the lengths of all codes of a block into f.size (RFC 1951 §3.2.7).
// It reports false where they are corrupt.
func (f *inflater) codeLengths(all int) bool {
	for i := 0; i < all; {
		if f.n < 14 {
			f.fill()
		}
		c := f.sizes.codes[f.bits&(1<<f.sizes.root-1)]
		if c == 0 || f.n < c.size() {
			return false
		}
		f.bits >>= c.size()
		f.n -= c.size()
		s := uint8(c.value())
		if s < 16 {
			f.size[i] = s
			i++
			continue
		}
		var last uint8
		least, extra := 3, uint(2)
		switch s {
		case 16:
			if i == 0 {
				return false
			}
			last = f.size[i-1]
		case 17:
			extra = 3
		case 18:
			least, extra = 11, 7
		}
		more, ok := f.take(extra)
		end := i + least + int(more)
		if !ok || end > all {
			return false
		}
		for ; i < end; i++ {
			f.size[i] = last
		}
	}
	return true
}

// codes reads the content of a compressed block. A length with its distance has 48
// bits at most, so one fill is enough for it; that bits were wanting shows at the end
// of it.
func (f *inflater) codes(lengths, distances *table) error {
	lits, dists := lengths.codes, distances.codes
	litMask, distMask := uint64(1)<<lengths.root-1, uint64(1)<<distances.root-1
	for {
		if f.n < 48 {
			f.fill()
		}
		c := lits[f.bits&litMask]
		if c&codeMore != 0 {
			f.bits >>= c.size()
			f.n -= c.size()
			c = lits[c.value()+uint(f.bits)&(1<<c.extra()-1)]
		}
		f.bits >>= c.size() & 63
		f.n -= c.size()
		if c&codeLiteral != 0 && int(f.n) >= 0 {
			if f.at == len(f.buf) {
				if err := f.room(1); err != nil {
					return err
				}
			}
			f.buf[f.at] = byte(c.value())
			f.at++
			continue
		}
		if c&codeEnd != 0 && int(f.n) >= 0 {
			return nil
		}
		length := c.value() + uint(f.bits)&(1<<c.extra()-1)
		if length == 0 || int(f.n) < 0 {
			return ErrCorrupt
		}
		f.bits >>= c.extra()
		f.n -= c.extra()
		c = dists[f.bits&distMask]
		if c&codeMore != 0 {
			f.bits >>= c.size()
			f.n -= c.size()
			c = dists[c.value()+uint(f.bits)&(1<<c.extra()-1)]
		}
		f.bits >>= c.size()
		distance := c.value() + uint(f.bits)&(1<<c.extra()-1)
		f.bits >>= c.extra()
		if f.n -= c.size() + c.extra(); distance == 0 || int(f.n) < 0 {
			return ErrCorrupt
		}
		if err := f.copy(int(length), int(distance)); err != nil {
			return err
		}
	}
}

// copy repeats n bytes from distance bytes before.
func (f *inflater) copy(n, distance int) error {
	if f.at+n > len(f.buf) {
		if err := f.room(n); err != nil {
			return err
		}
	}
	from, end := f.at-distance, f.at+n
	if from < f.begin { // it begins in the window
		before := f.begin - from
		if before > len(f.window) {
			return ErrCorrupt
		}
		k := copy(f.buf[f.at:end], f.window[len(f.window)-before:])
		f.at += k
		from = f.begin
	}
	for f.at < end { // what it repeats may be its own
		f.at += copy(f.buf[f.at:end], f.buf[from:f.at])
	}
	return nil
}

// room makes room for n bytes more.
func (f *inflater) room(n int) error {
	switch {
	case n > f.limit-f.at:
		return frame.ErrTooBig
	case f.at+n > len(f.buf):
		more := max(n, min(f.limit-f.at, max(f.at, 4*len(f.in), 512)))
		f.buf = slices.Grow(f.buf[:f.at], more)
		f.buf = f.buf[:min(cap(f.buf), f.limit)]
	}
	return nil
}
