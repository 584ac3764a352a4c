package wstest

import (
	"bufio"
	"bytes"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/perchws/perch/frame"
)

// MaskRule says whether a frame is sent masked.
type MaskRule uint8

const (
	MaskByRole MaskRule = iota // as RFC 6455 section 5.1 demands of the sender
	MaskAlways
	MaskNever
)

// LengthForm is the number of bits a header spends on the payload length.
type LengthForm uint8

const (
	LengthMinimal LengthForm = 0  // the only one that RFC 6455 section 5.2 allows
	Length7       LengthForm = 7  // for claims up to 125
	Length16      LengthForm = 16 // 126 and two bytes
	Length64      LengthForm = 64 // 127 and eight bytes
)

// DefaultKey masks frames that name no key: the one of RFC 6455 section 5.7.
var DefaultKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// A Frame is one frame as it is to be sent, or as it was received. Every field
// that is left zero follows the rules; every other value is taken literally,
// so that a Frame can be as wrong as a test needs it.
type Frame struct {
	Op      frame.Opcode
	Payload []byte // not masked

	More bool // FIN is clear: more fragments follow
	Rsv  byte // RSV1 = 4, RSV2 = 2, RSV3 = 1

	Mask MaskRule
	Key  [4]byte // all zero: DefaultKey

	Form  LengthForm
	Claim uint64 // the length the header claims; 0: the payload's
}

// Text is a final text frame.
func Text(s string) Frame { return Frame{Op: frame.OpText, Payload: []byte(s)} }

// Binary is a final binary frame.
func Binary(p []byte) Frame { return Frame{Op: frame.OpBinary, Payload: p} }

// Ping is a ping frame.
func Ping(p string) Frame { return Frame{Op: frame.OpPing, Payload: []byte(p)} }

// Pong is a pong frame.
func Pong(p string) Frame { return Frame{Op: frame.OpPong, Payload: []byte(p)} }

// Close is a close frame; neither code nor reason is checked.
func Close(code frame.CloseCode, reason string) Frame {
	p := binary.BigEndian.AppendUint16(nil, uint16(code))
	return Frame{Op: frame.OpClose, Payload: append(p, reason...)}
}

// Fragments cuts a message into frames of n bytes of payload each (the last one
// may be shorter). An empty message is one empty frame.
func Fragments(op frame.Opcode, p []byte, n int) []Frame {
	var fs []Frame
	for ; len(p) > n; p = p[n:] {
		fs = append(fs, Frame{Op: op, Payload: p[:n], More: true})
		op = frame.OpContinuation
	}
	return append(fs, Frame{Op: op, Payload: p})
}

// Bytes returns the wire bytes of f as a client sends it.
func (f Frame) Bytes() []byte { return f.Append(nil, true) }

// Append appends the wire bytes of f to dst. The role, client or not, decides
// the mask unless f.Mask does.
func (f Frame) Append(dst []byte, client bool) []byte {
	b0 := f.Rsv<<4 | byte(f.Op)
	if !f.More {
		b0 |= 0x80
	}
	masked := f.Mask == MaskAlways || f.Mask == MaskByRole && client
	var b1 byte
	if masked {
		b1 = 0x80
	}
	length := f.Claim
	if length == 0 {
		length = uint64(len(f.Payload))
	}
	switch form := f.form(length); form {
	case Length7:
		dst = append(dst, b0, b1|byte(length))
	case Length16:
		dst = binary.BigEndian.AppendUint16(append(dst, b0, b1|126), uint16(length))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, b0, b1|127), length)
	}
	if !masked {
		return append(dst, f.Payload...)
	}
	key := f.Key
	if key == [4]byte{} {
		key = DefaultKey
	}
	dst = append(dst, key[:]...)
	at := len(dst)
	dst = append(dst, f.Payload...)
	mask(dst[at:], key)
	return dst
}

func (f Frame) form(length uint64) LengthForm {
	switch {
	case f.Form != LengthMinimal:
		return f.Form
	case length <= 125:
		return Length7
	case length <= 0xffff:
		return Length16
	default:
		return Length64
	}
}

// mask is the transformation of RFC 6455 section 5.3, in blocks that begin at
// multiples of four: byte by byte, large messages take seconds under -race.
func mask(p []byte, key [4]byte) {
	block := bytes.Repeat(key[:], min(1<<10, len(p)/4+1))
	for len(p) > 0 {
		p = p[subtle.XORBytes(p, p, block):]
	}
}

// CloseInfo takes a close frame apart. Without a payload the code is
// CloseNoStatus.
func (f Frame) CloseInfo() (frame.CloseCode, string) {
	if len(f.Payload) < 2 {
		return frame.CloseNoStatus, ""
	}
	return frame.CloseCode(binary.BigEndian.Uint16(f.Payload)), string(f.Payload[2:])
}

// String shows what a failed test needs to see of f.
func (f Frame) String() string {
	s := f.Op.String()
	if f.More {
		s += " (more)"
	}
	if f.Rsv != 0 {
		s += fmt.Sprintf(" rsv=%d", f.Rsv)
	}
	if f.Op == frame.OpClose {
		code, reason := f.CloseInfo()
		return s + fmt.Sprintf(" %d %q", uint16(code), reason)
	}
	return s + fmt.Sprintf(" %d bytes %s", len(f.Payload), excerpt(f.Payload))
}

// excerpt quotes p, or its first bytes.
func excerpt(p []byte) string {
	const most = 48
	if len(p) <= most {
		return fmt.Sprintf("%q", p)
	}
	return fmt.Sprintf("%q…", p[:most])
}

// A ViolationError says which rule a received frame breaks.
type ViolationError struct{ Rule string }

func (e *ViolationError) Error() string { return "wstest: peer sent " + e.Rule }

// maxPayload bounds what readFrame will take memory for.
const maxPayload = 64 << 20

// readFrame reads one frame and holds it to RFC 6455 sections 5.1, 5.2 and 5.5.
// Reserved bits are left to the caller: they depend on what was negotiated.
// io.EOF means the end between two frames; within one it is io.ErrUnexpectedEOF.
func readFrame(r *bufio.Reader, fromClient bool) (Frame, error) {
	var f Frame
	b0, err := r.ReadByte()
	if err != nil {
		return f, err
	}
	b1, err := r.ReadByte()
	if err != nil {
		return f, inFrame(err)
	}
	f.Op, f.More, f.Rsv = frame.Opcode(b0&0x0f), b0&0x80 == 0, b0>>4&7

	length := uint64(b1 & 0x7f)
	if err := f.check(fromClient, b1); err != nil {
		return f, err
	}
	if length, err = f.readLength(r, length); err != nil {
		return f, err
	}
	if length > maxPayload {
		return f, &ViolationError{fmt.Sprintf("%d bytes in one frame", length)}
	}
	if fromClient {
		if _, err := io.ReadFull(r, f.Key[:]); err != nil {
			return f, inFrame(err)
		}
	}
	f.Payload = make([]byte, length)
	if _, err := io.ReadFull(r, f.Payload); err != nil {
		return f, inFrame(err)
	}
	if fromClient {
		mask(f.Payload, f.Key)
	}
	return f, nil
}

// check judges the first two bytes (RFC 6455 §5.1, §5.2, §5.5).
func (f *Frame) check(fromClient bool, b1 byte) error {
	switch {
	case f.Op > 2 && f.Op < 8 || f.Op > 10:
		return &ViolationError{"reserved " + f.Op.String()}
	case f.Op >= 8 && f.More:
		return &ViolationError{"a fragmented " + f.Op.String()}
	case f.Op >= 8 && b1&0x7f > 125:
		return &ViolationError{"a long " + f.Op.String()}
	case fromClient && b1&0x80 == 0:
		return &ViolationError{"an unmasked frame, as a client"}
	case !fromClient && b1&0x80 != 0:
		return &ViolationError{"a masked frame, as a server"}
	}
	return nil
}

// readLength reads the rest of the payload's length, of which the second byte has said
// short.
func (f *Frame) readLength(r *bufio.Reader, short uint64) (length uint64, err error) {
	length = short
	var wide [8]byte
	switch length {
	case 126:
		if _, err := io.ReadFull(r, wide[6:]); err != nil {
			return 0, inFrame(err)
		}
		length = binary.BigEndian.Uint64(wide[:])
		f.Form = Length16
	case 127:
		if _, err := io.ReadFull(r, wide[:]); err != nil {
			return 0, inFrame(err)
		}
		length = binary.BigEndian.Uint64(wide[:])
		f.Form = Length64
	}
	if f.Form != LengthMinimal && f.Form != (Frame{}).form(length) {
		return 0, &ViolationError{fmt.Sprintf("length %d in %d bits", length, f.Form)}
	}
	f.Form = LengthMinimal
	return length, nil
}

func inFrame(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
