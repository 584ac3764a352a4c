package deflate

// Window is the LZ77 sliding window of one direction of one connection, with
// context takeover (RFC 7692 §7.1.1): the last bytes of the messages that were
// compressed, to which the next one may refer. It belongs to the connection; its
// memory grows with what was said, to 1<<bits bytes, and as many again for an index
// where short messages are compressed.
type Window struct {
	b     []byte
	bits  int
	end   uint32 // how many bytes it has moved over, modulo 1<<32
	dull  uint8  // short messages in a row that gained nothing, see maxDull
	index index  // made by the first short message that is compressed
}

// NewWindow returns an empty window of 8 to 15 bits: for what we inflate as agreed,
// for what we compress that at most.
func NewWindow(bits int) *Window { return &Window{bits: bits} }

// Follow moves w over p, a message that was compressed without it: a peer's window
// moves over every compressed message (RFC 7692 §7.2.2).
func (w *Window) Follow(p []byte) { w.slide(p) }

// slide moves the window over p.
func (w *Window) slide(p []byte) {
	size := 1 << w.bits
	w.end += uint32(len(p))
	if len(p) >= size {
		w.b, p = w.b[:0], p[len(p)-size:]
	} else if over := len(w.b) + len(p) - size; over > 0 {
		w.b = w.b[:copy(w.b, w.b[over:])]
	}
	if need := len(w.b) + len(p); need > cap(w.b) {
		w.b = append(make([]byte, 0, min(size, max(need, 2*cap(w.b)))), w.b...)
	}
	w.b = append(w.b, p...)
}

// gained reports whether a short message that compression has made shorter by n bytes
// is to be sent so: if it has gained, or if the window is to learn from it.
func (w *Window) gained(n int) bool {
	if n > 0 {
		w.dull = 0
		return true
	}
	if w.dull++; w.dull > maxDull {
		if w.dull < maxDull+dullPause {
			return false
		}
		w.dull = maxDull
	}
	return n >= -investment
}
