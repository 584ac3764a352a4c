package frame

// Assembler is a [Reader] that gathers the chunks of a message: it yields
// NeedMore, Message and Control, never Chunk. A message that arrives in one
// piece is still delivered in place. Memory is bounded by what has arrived,
// never by what a header announced. The zero value is ready.
type Assembler struct {
	Reader
	buf []byte // the chunks so far
}

// Buffer gives a an empty buffer to gather chunks in: one from a pool, for
// instance. Without it a allocates.
func (a *Assembler) Buffer(b []byte) { a.buf = b[:0] }

// Take takes the buffer away again, to be reused when a is Idle. It is nil if
// there is none.
func (a *Assembler) Take() []byte {
	b := a.buf
	a.buf = nil
	return b
}

// Move has a gather chunks in b from now on. The bytes gathered so far are copied; the buffer of before is
// returned, to be reused.
func (a *Assembler) Move(b []byte) []byte {
	old := a.buf
	a.buf = append(b[:0], old...)
	return old
}

// Buffered is the number of bytes kept of a message that is not whole yet.
func (a *Assembler) Buffered() int { return len(a.buf) }

// Held is the memory that a has for chunks, in bytes.
func (a *Assembler) Held() int { return cap(a.buf) }

// Next is Reader.Next, but chunks are gathered. The payload of a Message that
// came in chunks is valid until the next call of Next or Take.
func (a *Assembler) Next(b []byte, lim *Limits) (ev Event, n int, err error) {
	if ev, n, err = a.Whole(b, lim); n != 0 || err != nil {
		return ev, n, err
	}
	if a.opcode == 0 {
		a.buf = a.buf[:0] // the message delivered before is done with
		ev, n, err = a.next(b, lim)
		if ev.Kind != Chunk {
			return ev, n, err
		}
		a.buf = append(a.buf, ev.Payload...)
	}
	for err == nil && !(ev.Kind == Chunk && ev.Fin) {
		var m int
		ev, m, err = a.Reader.Next(b[n:], lim)
		n += m
		if ev.Kind != Chunk {
			return ev, n, err
		}
		a.buf = append(a.buf, ev.Payload...)
	}
	if err != nil {
		return Event{}, n, err
	}
	ev.Kind, ev.Payload = Message, a.buf
	return ev, n, nil
}
