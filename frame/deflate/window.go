package deflate

// Window is the LZ77 sliding window of one direction of one connection, with
// context takeover (RFC 7692 §7.1.1): the last bytes of the messages that were
// compressed, to which the next one may refer. It belongs to the connection; its
// memory grows with what was said, to 1<<bits bytes.
type Window struct {
	b    []byte
	bits int
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
