package frame

import (
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"
)

// Prepared is one message encoded once as a server sends it (a single final,
// unmasked frame), to be shared by any number of receivers. It is immutable:
// any goroutine may read it, for as long as it likes. Only Prepare makes one that
// can be sent.
type Prepared struct {
	wire   []byte
	err    error // why there is no wire
	header uint8
	seal   seal

	deflating sync.Mutex            // who compresses it
	forms     atomic.Pointer[forms] // nil: nobody has asked for any
}

// forms are a message as it goes to those who take it compressed. Immutable.
type forms struct {
	full   []byte // for a window that need not be looked to; nil: not made
	cut    []byte // for a smaller one, and all that are larger than it
	window int    // of cut, in bits
}

// Deflater compresses a payload for a peer that forgets after each message and
// has a window of so many bits. ok is false if it did not get shorter. It is what
// package deflate's Compressor does.
type Deflater interface {
	Compress(dst, p []byte, window int) (out []byte, ok bool)
}

// Prepare encodes a message. p is copied. A message that may not be sent,
// because its opcode is neither text nor binary or its text is not UTF-8,
// becomes one without bytes, whose Err says why.
func Prepare(op Opcode, p []byte) *Prepared {
	switch {
	case !op.IsData():
		return &Prepared{err: fmt.Errorf("%w: %v", ErrNotData, op)}
	case op == OpText && !ValidUTF8(p):
		return &Prepared{err: ErrNotText}
	}
	h := HeaderSize(len(p), false)
	made := &Prepared{wire: AppendFrame(make([]byte, 0, h+len(p)), op, p), header: uint8(h)}
	made.seal.put(made.wire)
	return made
}

// Err says why the message cannot be sent; nil: it can. Errors: ErrNotData, of nil
// and of a Prepared that Prepare has not made too; ErrNotText.
func (p *Prepared) Err() error {
	switch {
	case p == nil:
		return fmt.Errorf("%w: no message", ErrNotData)
	case p.wire == nil && p.err == nil:
		return fmt.Errorf("%w: not made by Prepare", ErrNotData)
	}
	return p.err
}

// Bytes are the bytes to send: none if Err is not nil. They must not be changed.
func (p *Prepared) Bytes() []byte {
	p.seal.check(p.wire)
	return p.wire
}

// Opcode is the message's: text or binary; 0 if Err is not nil.
func (p *Prepared) Opcode() Opcode {
	if len(p.wire) == 0 {
		return 0
	}
	return Opcode(p.wire[0] & opBits)
}

// Payload is the message. It must not be changed.
func (p *Prepared) Payload() []byte { return p.wire[p.header:] }

// maxWindow is that of DEFLATE itself, in bits.
const maxWindow = 15

// Deflated are the bytes to send to a peer of permessage-deflate (RFC 7692) with
// an LZ77 window of 8 to 15 bits: a frame with RSV1, or [Prepared.Bytes] where
// that would not be shorter. They must not be changed.
//
// The first caller compresses the message, with d. A caller that comes
// meanwhile waits: not longer than it would take to compress it again, and the
// message is compressed once. All peers into whose window it fits share one
// form. The others share one more, made for the window of the first of them; a
// peer with a window smaller than that gets the message plain.
func (p *Prepared) Deflated(window int, d Deflater) []byte {
	full := window >= maxWindow || bits.Len(uint(len(p.Payload()))) <= window
	if b := p.forms.Load().find(full, window); b != nil {
		return b
	}
	p.deflating.Lock()
	defer p.deflating.Unlock()
	f := p.forms.Load()
	if b := f.find(full, window); b != nil {
		return b
	}
	var with forms
	if f != nil {
		with = *f
	}
	switch {
	case full:
		with.full = p.deflate(maxWindow, d)
	case with.cut == nil:
		with.cut, with.window = p.deflate(window, d), window
	default:
		return p.wire
	}
	p.forms.Store(&with)
	return with.find(full, window)
}

// find is the form for a window, nil if it is not there.
func (f *forms) find(full bool, window int) []byte {
	switch {
	case f == nil:
		return nil
	case full:
		return f.full
	case window >= f.window:
		return f.cut
	}
	return nil
}

// Forget lets go of what Deflated has made, for a message that is kept although it
// has gone out. It can be made again.
func (p *Prepared) Forget() { p.forms.Store(nil) }

// deflate makes one form.
func (p *Prepared) deflate(window int, d Deflater) []byte {
	b, ok := d.Compress(make([]byte, MaxHeaderSize, MaxHeaderSize+len(p.wire)), p.Payload(), window)
	if !ok {
		return p.wire
	}
	n := len(b) - MaxHeaderSize
	at := MaxHeaderSize - HeaderSize(n, false)
	AppendHeader(b[at:at], Header{Fin: true, Rsv: RSV1, Opcode: p.Opcode(), Length: int64(n)})
	return append(make([]byte, 0, len(b)-at), b[at:]...) // no more memory than it needs
}
