package bench

import (
	"bytes"
	"encoding/binary"
	"strings"

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

// newPattern makes messages of size bytes: any bytes, or printable ones, or words.
func newPattern(size int, text, words bool) pattern {
	p := pattern{op: perch.Binary, body: make([]byte, size)}
	if words {
		if text {
			p.op = perch.Text
		}
		putWords(p.body)
		return p
	}
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

// putWords fills p with text as people write it, as far as compression can tell: a
// kibibyte of it shrinks to a half, more to a third.
func putWords(p []byte) {
	const words = "the of and to in is that for it was on are with as they be at one have this from or had by hot but some what there we can out " +
		"other were all your when up use word how said an each she which do their time if will way about many then them would write like so these " +
		"her long make thing see him two has look more day could go come did my sound no most number who over know water than call first people may"
	list := strings.Fields(words)
	at := 0
	for i := 0; at < len(p); i++ {
		n := mix(uint64(i))
		at += copy(p[at:], list[n%uint64(len(list))*(n>>32%uint64(len(list)))/uint64(len(list))]) // the first ones more often
		at += copy(p[at:], " ")
	}
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
