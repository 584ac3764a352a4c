package bench

import (
	"bytes"
	"encoding/binary"

	"github.com/perchws/perch"
)

// tagSize is the size of the number that each message begins with, in bytes:
// the least that a message can have.
const tagSize = 8

// tagMask holds the bits of a tag: 6 for each of its bytes.
const tagMask = 1<<(6*tagSize) - 1

// putTag writes a number modulo 2^48 as 8 printable characters, so that it is
// fit for text too.
func putTag(p []byte, n uint64) {
	_ = p[tagSize-1]
	for i := range tagSize {
		p[i] = '0' + byte(n>>(6*i)&63)
	}
}

// tag is the number that p begins with; false if there is none.
func tag(p []byte) (n uint64, ok bool) {
	v := binary.LittleEndian.Uint64(p)
	for i := range tagSize {
		d := byte(v>>(8*i)) - '0'
		if d > 63 {
			return 0, false
		}
		n |= uint64(d) << (6 * i)
	}
	return n, true
}

// pattern is what messages of one run look like behind their tag.
type pattern struct {
	op   perch.Opcode
	body []byte // with room for the tag
}

// newPattern makes messages of size bytes: any bytes, or printable ones.
func newPattern(size int, text bool) pattern {
	p := pattern{op: perch.Binary, body: make([]byte, size)}
	for i := range p.body {
		p.body[i] = byte(mix(uint64(i)))
	}
	if text {
		p.op = perch.Text
		for i := range p.body {
			p.body[i] = ' ' + p.body[i]%95
		}
	}
	return p
}

// clone has a body of its own to write tags into.
func (p pattern) clone() pattern { return pattern{op: p.op, body: bytes.Clone(p.body)} }

// match returns the tag of a message that is of this pattern in all else.
func (p *pattern) match(op perch.Opcode, got []byte) (n uint64, ok bool) {
	if op != p.op || len(got) != len(p.body) || !bytes.Equal(got[tagSize:], p.body[tagSize:]) {
		return 0, false
	}
	return tag(got)
}

// mix scatters the bits of a number (the finaliser of splitmix64).
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}
