package frame

import (
	"encoding/binary"
)

// Sizes that RFC 6455 §5.2 and §5.5 fix, in bytes.
const (
	MaxHeaderSize     = 14  // 2 + 8 bytes of length + 4 of mask
	MaxControlPayload = 125 // of a close, ping or pong
)

const (
	finBit  = 0x80
	rsvBits = 0x70
	maskBit = 0x80
	opBits  = 0x0F
)

// RSV1 is the bit of [Header.Rsv] that RFC 7692 uses ("per-message compressed").
const RSV1 byte = 4

// Header is a frame header (RFC 6455 §5.2).
type Header struct {
	Fin    bool
	Rsv    byte // RSV1 = 4, RSV2 = 2, RSV3 = 1
	Opcode Opcode
	Masked bool
	Key    uint32 // the masking key, its 4 bytes read as little-endian
	Length int64  // of the payload in bytes, never negative
}

// ParseHeader reads a header from the start of b and returns its size in n.
// With too few bytes n is 0 and err is nil. A fault that the bytes present show
// already (reserved opcode, control rules, encoding of the length) is an error
// at once, also before the header is whole. The error is a *ProtocolError.
func ParseHeader(b []byte) (h Header, n int, err error) {
	if len(b) < 2 {
		return h, 0, nil
	}
	b0, b1 := b[0], b[1]
	h.Fin = b0&finBit != 0
	h.Rsv = b0 & rsvBits >> 4
	h.Opcode = Opcode(b0 & opBits)
	h.Masked = b1&maskBit != 0
	short := b1 &^ maskBit
	if h.Opcode > OpBinary {
		switch {
		case h.Opcode < OpClose || h.Opcode > OpPong:
			return h, 0, ErrOpcode
		case short > MaxControlPayload: // §5.5
			return h, 0, ErrControlLong
		case !h.Fin:
			return h, 0, ErrControlFragment
		}
	}
	n = 2
	switch short {
	case 126:
		if len(b) < 4 {
			return h, 0, nil
		}
		h.Length = int64(binary.BigEndian.Uint16(b[2:]))
		n = 4
		if h.Length < 126 { // §5.2: "the minimal number of bytes MUST be used"
			return h, 0, ErrLengthNotMinimal
		}
	case 127:
		if len(b) < 3 {
			return h, 0, nil
		}
		if b[2]&0x80 != 0 { // §5.2: "the most significant bit MUST be 0"
			return h, 0, ErrLengthTopBit
		}
		if len(b) < 10 {
			return h, 0, nil
		}
		h.Length = int64(binary.BigEndian.Uint64(b[2:]))
		n = 10
		if h.Length < 1<<16 {
			return h, 0, ErrLengthNotMinimal
		}
	default:
		h.Length = int64(short)
	}
	if h.Masked {
		if len(b) < n+4 {
			return h, 0, nil
		}
		h.Key = binary.LittleEndian.Uint32(b[n:])
		n += 4
	}
	return h, n, nil
}

// HeaderSize is the size of a header in bytes.
func HeaderSize(length int, masked bool) int {
	n := 2
	switch {
	case length >= 1<<16:
		n = 10
	case length >= 126:
		n = 4
	}
	if masked {
		n += 4
	}
	return n
}

// AppendHeader appends the wire form of h, with the minimal length encoding.
func AppendHeader(dst []byte, h Header) []byte {
	b0 := byte(h.Opcode)&opBits | h.Rsv<<4&rsvBits
	if h.Fin {
		b0 |= finBit
	}
	var mask byte
	if h.Masked {
		mask = maskBit
	}
	switch {
	case h.Length < 126:
		dst = append(dst, b0, mask|byte(h.Length))
	case h.Length < 1<<16:
		dst = append(dst, b0, mask|126, byte(h.Length>>8), byte(h.Length))
	default:
		dst = append(dst, b0, mask|127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(h.Length))
	}
	if h.Masked {
		dst = binary.LittleEndian.AppendUint32(dst, h.Key)
	}
	return dst
}

// AppendFrame appends a final, unmasked frame, as a server sends it.
func AppendFrame(dst []byte, op Opcode, p []byte) []byte {
	n := len(p)
	switch {
	case n < 126:
		dst = append(dst, finBit|byte(op), byte(n))
	case n < 1<<16:
		dst = append(dst, finBit|byte(op), 126, byte(n>>8), byte(n))
	default:
		dst = AppendHeader(dst, Header{Fin: true, Opcode: op, Length: int64(n)})
	}
	return append(dst, p...)
}

// AppendMaskedFrame appends a final frame masked with key, as a client sends
// it. The key must be fresh and unpredictable (RFC 6455 §5.3).
func AppendMaskedFrame(dst []byte, op Opcode, p []byte, key uint32) []byte {
	dst = AppendHeader(dst, Header{Fin: true, Opcode: op, Masked: true, Key: key, Length: int64(len(p))})
	at := len(dst)
	dst = append(dst, p...)
	Mask(dst[at:], key, 0)
	return dst
}
