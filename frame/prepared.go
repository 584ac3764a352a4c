package frame

// Prepared is one message encoded once as a server sends it (a single final,
// unmasked frame), to be shared by any number of receivers. It is immutable:
// any goroutine may read it, for as long as it likes.
type Prepared struct {
	wire   []byte
	header uint8
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
