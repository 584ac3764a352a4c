package deflate

import (
	"encoding/binary"
	"math/bits"
)

// index finds places in a window by the four bytes that begin there. Of the places
// whose bytes have the same hash it knows the last indexWays. A place is counted in
// bytes that the window has moved over, modulo 1<<16; one that is not in the window
// any more shows by its distance or by its bytes.
type index struct {
	places [][indexWays]uint16
	shift  uint   // makes a hash of 32 bits an index of places
	next   uint32 // the first place that is not noted, modulo 1<<32
}

// An index has at least smallIndex sets of places, and grows with its window to one
// for every indexShare bytes: it takes as much memory as the window.
const (
	indexWays  = 4
	indexShare = 8
	smallIndex = 32
)

// base is the place of the window's first byte.
func (w *Window) base() uint32 { return w.end - uint32(len(w.b)) }

// set are the places with the hash of b, which has four bytes at least.
func (x *index) set(b []byte) *[indexWays]uint16 {
	return &x.places[binary.LittleEndian.Uint32(b)*2654435761>>x.shift]
}

// note enters text[at:] into the index. The text begins at the place base.
func (w *Window) note(text []byte, at int, base uint32) {
	if at+minMatch > len(text) {
		return
	}
	w.enter(w.index.set(text[at:]), base+uint32(at))
}

// enter puts a place in front of a set, unless it is there.
func (w *Window) enter(set *[indexWays]uint16, place uint32) {
	if set[0] != uint16(place) {
		copy(set[1:], set[:])
		set[0] = uint16(place)
	}
	w.index.next = place + 1
}

// find looks for the longest copy of what is at text[at:] among the places of its
// hash, and notes it. It returns how far back the copy is, and its length, 0 if there
// is none.
func (w *Window) find(text []byte, at int, base uint32) (distance, length int) {
	if at+minMatch > len(text) {
		return 0, 0
	}
	set := w.index.set(text[at:])
	here := base + uint32(at)
	for _, place := range set {
		d := int(uint16(here) - place)
		if d == 0 || d > at || d > 1<<w.bits {
			continue
		}
		if n := common(text[at-d:], text[at:]); n > length {
			distance, length = d, n
		}
	}
	w.enter(set, here)
	return distance, length
}

// common is how many bytes at the start of a and b are the same, maxMatch at most. a
// is not shorter than b.
func common(a, b []byte) (n int) {
	most := min(len(b), maxMatch)
	for ; n+8 <= most; n += 8 {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return n + bits.TrailingZeros64(x)>>3
		}
	}
	for n < most && a[n] == b[n] {
		n++
	}
	return n
}

// catchUp enters what the window has moved over without its index, and lets the
// index grow with the window.
func (w *Window) catchUp() {
	x, base := &w.index, w.base()
	if size := max(smallIndex, 1<<bits.Len(uint(max(cap(w.b)/indexShare, 1)-1))); size > len(x.places) {
		x.places = make([][indexWays]uint16, size)
		x.shift = 32 - uint(bits.Len(uint(size-1)))
		x.next = base
	}
	for at := max(int(int32(x.next-base)), 0); at+minMatch <= len(w.b); at++ {
		w.note(w.b, at, base)
	}
}
