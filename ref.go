//go:build linux

package perch

import (
	"unicode/utf8"
	"unsafe"

	"github.com/perchws/perch/frame"
)

// Ref is a connection for any goroutine, at any time: a comparable value that
// stays valid for ever and never blocks. Its methods post to the connection's
// loop; posts from one goroutine to one Ref are carried out in order. They are
// carried out behind what the connection's callbacks do meanwhile: within a callback
// a message that is posted by a Ref leaves after those that Conn.Send has queued,
// also when it was posted first. The zero Ref is a connection that is closed.
//
// Posts are bounded, like output, for the process and for each connection: a loop
// that a callback keeps busy does not gather work without end. A call over a
// bound is refused with ErrOverloaded.
type Ref struct {
	l    *loop
	slot uint32
	gen  uint32
}

// Send posts one message, text or binary. p is copied. That text is UTF-8 is the
// caller's word, see Conn.Send. Errors: ErrClosed, ErrOpcode, ErrOverloaded;
// ErrSlowConsumer cannot be known here: see Handler.OnGap.
func (r Ref) Send(op Opcode, p []byte) error {
	if !op.IsData() {
		return ErrOpcode
	}
	return r.put(post{kind: postSend, op: op}, p)
}

// SendText is Send of a string, which must be UTF-8: ErrUTF8.
func (r Ref) SendText(p string) error {
	if !utf8.ValidString(p) {
		return ErrUTF8
	}
	return r.Send(Text, stringBytes(p))
}

// SendPrepared posts a message without copying it. Errors are those of Send, and
// p.Err.
func (r Ref) SendPrepared(p *Prepared) error {
	if err := p.Err(); err != nil {
		return err
	}
	return r.put(post{kind: postPrepared, prepared: p}, nil)
}

// Close posts Conn.Close. Errors: ErrClosed, ErrCloseCode; ErrOverloaded when calls
// alone fill half of MaxOutputTotal, not for want of memory for output.
func (r Ref) Close(code CloseCode, reason string) error {
	if !code.Valid() {
		return ErrCloseCode
	}
	reason = reason[:min(len(reason), frame.MaxControlPayload)] // what is longer is cut anyway
	return r.put(post{kind: postClose, code: code}, stringBytes(reason))
}

// Do runs f on the connection's loop, as a callback of it: f must not block.
// If the connection is closed by then, f is not run. Errors: ErrClosed; ErrOverloaded
// as for Close.
func (r Ref) Do(f func(c Conn)) error {
	return r.put(post{kind: postDo, do: f}, nil)
}

// Value is the connection's user value now; nil if it has none or is closed.
func (r Ref) Value() any {
	if r.l == nil {
		return nil
	}
	return r.l.slab.foreignValue(r.slot, r.gen)
}

// SetValue posts Conn.SetValue. Errors are those of Do.
func (r Ref) SetValue(v any) error {
	return r.Do(func(c Conn) { c.SetValue(v) })
}

// ID names the connection for ever.
func (r Ref) ID() ID {
	if r.l == nil {
		return ID{}
	}
	return ID{epoch: r.l.srv.epoch, loop: uint16(r.l.id), slot: r.slot, gen: r.gen}
}

// Closed reports that the connection is closed for good. False may be out of
// date before it is returned.
func (r Ref) Closed() bool {
	if r.l == nil {
		return true
	}
	s := r.l.slab.find(r.slot)
	return s == nil || s.gen.Load() != r.gen
}

func (r Ref) put(p post, data []byte) error {
	if r.Closed() {
		return ErrClosed
	}
	p.slot, p.gen = r.slot, r.gen
	return r.l.enqueue(&p, data, true)
}

// stringBytes is s as bytes that nobody may change.
func stringBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
