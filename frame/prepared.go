package frame

import (
	mathbits "math/bits"
	"sync"
	"sync/atomic"
)

// Prepared is one message encoded once as a server sends it (a single final,
// unmasked frame), to be shared by any number of receivers. It is immutable:
// any goroutine may read it, for as long as it likes.
type Prepared struct {
	wire   []byte
	header uint8

	deflating sync.Mutex           // who compresses it
	forms     atomic.Pointer[form] // compressed forms, newest first
}

// form is a message as it goes to peers with a certain LZ77 window.
type form struct {
	bits int
	wire []byte // the message's own if compressing it was no gain
	next *form
}

// Deflater compresses a payload for a peer that forgets after each message and
// has a window of so many bits. ok is false if it did not get shorter. It is what
// package deflate's Compressor does.
type Deflater interface {
	Compress(dst, p []byte, bits int) (out []byte, ok bool)
}

// Prepare encodes a message. p is copied.
func Prepare(op Opcode, p []byte) *Prepared {
	h := HeaderSize(len(p), false)
	return &Prepared{wire: AppendFrame(make([]byte, 0, h+len(p)), op, p), header: uint8(h)}
}

// Bytes are the bytes to send. They must not be changed.
func (p *Prepared) Bytes() []byte { return p.wire }

// Opcode is the message's: text or binary.
func (p *Prepared) Opcode() Opcode { return Opcode(p.wire[0] & opBits) }

// Payload is the message. It must not be changed.
func (p *Prepared) Payload() []byte { return p.wire[p.header:] }

// Deflated are the bytes to send to a peer of permessage-deflate (RFC 7692) with
// an LZ77 window of 8 to 15 bits: a frame with RSV1, or [Prepared.Bytes] where
// that would not be shorter. They must not be changed.
//
// A message is compressed once, by the first who asks, with d; others who ask
// meanwhile wait for that: it takes as long as if they did it themselves. Windows
// that the message does not fill share one form.
func (p *Prepared) Deflated(bits int, d Deflater) []byte {
	bits = min(bits, max(minWindow, mathbits.Len(uint(len(p.Payload())-1)))) // nothing is farther back
	if f := p.form(bits); f != nil {
		return f.wire
	}
	p.deflating.Lock()
	defer p.deflating.Unlock()
	f := p.form(bits)
	if f == nil {
		f = &form{bits: bits, wire: p.deflate(bits, d), next: p.forms.Load()}
		p.forms.Store(f)
	}
	return f.wire
}

// minWindow is the smallest of RFC 7692 §7.1.2, in bits.
const minWindow = 8

// form is the one for a window, if it is made.
func (p *Prepared) form(bits int) *form {
	f := p.forms.Load()
	for f != nil && f.bits != bits {
		f = f.next
	}
	return f
}

func (p *Prepared) deflate(bits int, d Deflater) []byte {
	b, ok := d.Compress(make([]byte, MaxHeaderSize, MaxHeaderSize+len(p.wire)), p.Payload(), bits)
	if !ok {
		return p.wire
	}
	n := len(b) - MaxHeaderSize
	at := MaxHeaderSize - HeaderSize(n, false)
	AppendHeader(b[at:at], Header{Fin: true, Rsv: RSV1, Opcode: p.Opcode(), Length: int64(n)})
	return append(make([]byte, 0, len(b)-at), b[at:]...) // no more memory than it needs
}
