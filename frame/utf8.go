package frame

import "encoding/binary"

// UTF8 checks text that arrives in pieces (RFC 6455 §8.1, RFC 3629). The zero
// value is the start of a text; one byte of state carries over any cut.
//
// It is a "shift DFA": a table row holds, for each of nine states, six bits
// with the next state, so that a step is one load and one shift.
type UTF8 uint8

// The states, each the shift that selects its six bits in a row of utf8Next.
const (
	utf8Accept  UTF8 = 6 * iota // between characters; must be 0
	utf8Reject                  // for ever
	utf8Tail1                   // one continuation byte to come
	utf8Tail2                   // two
	utf8Tail3                   // three
	utf8AfterE0                 // A0–BF, then one: no overlong form
	utf8AfterED                 // 80–9F, then one: no surrogate
	utf8AfterF0                 // 90–BF, then two: no overlong form
	utf8AfterF4                 // 80–8F, then two: nothing above U+10FFFF
	utf8End
)

var utf8Next = utf8Table()

func utf8Table() (t [256]uint64) {
	step := func(s UTF8, b int) UTF8 {
		tail := b >= 0x80 && b <= 0xBF
		switch {
		case s == utf8Accept && b < 0x80:
			return utf8Accept
		case s == utf8Accept && b >= 0xC2 && b <= 0xDF:
			return utf8Tail1
		case s == utf8Accept && b == 0xE0:
			return utf8AfterE0
		case s == utf8Accept && b == 0xED:
			return utf8AfterED
		case s == utf8Accept && b >= 0xE1 && b <= 0xEF:
			return utf8Tail2
		case s == utf8Accept && b == 0xF0:
			return utf8AfterF0
		case s == utf8Accept && b >= 0xF1 && b <= 0xF3:
			return utf8Tail3
		case s == utf8Accept && b == 0xF4:
			return utf8AfterF4
		case s == utf8Tail1 && tail:
			return utf8Accept
		case s == utf8Tail2 && tail:
			return utf8Tail1
		case s == utf8Tail3 && tail:
			return utf8Tail2
		case s == utf8AfterE0 && tail && b >= 0xA0:
			return utf8Tail1
		case s == utf8AfterED && tail && b <= 0x9F:
			return utf8Tail1
		case s == utf8AfterF0 && tail && b >= 0x90:
			return utf8Tail2
		case s == utf8AfterF4 && tail && b <= 0x8F:
			return utf8Tail2
		}
		return utf8Reject
	}
	for b := range t {
		for s := utf8Accept; s < utf8End; s += 6 {
			t[b] |= uint64(step(s, b)) << s
		}
	}
	return t
}

const highBits = 0x8080808080808080

// Write checks the next piece. False means that the text is invalid, whatever
// follows; it stays false.
func (s *UTF8) Write(p []byte) bool {
	state := uint64(*s)
	for {
		if state == uint64(utf8Accept) {
			for len(p) >= 32 {
				q := p[:32:32]
				if (binary.LittleEndian.Uint64(q)|binary.LittleEndian.Uint64(q[8:])|
					binary.LittleEndian.Uint64(q[16:])|binary.LittleEndian.Uint64(q[24:]))&highBits != 0 {
					break
				}
				p = p[32:]
			}
			for len(p) >= 8 && binary.LittleEndian.Uint64(p)&highBits == 0 {
				p = p[8:]
			}
		}
		if len(p) == 0 {
			*s = UTF8(state)
			return state != uint64(utf8Reject)
		}
		n := min(len(p), 24) // then look for plain ASCII again
		for _, b := range p[:n] {
			state = utf8Next[b] >> (state & 63)
		}
		state &= 63
		if state == uint64(utf8Reject) {
			*s = utf8Reject
			return false
		}
		p = p[n:]
	}
}

// Complete reports whether the text may end here: valid, and not within a
// character.
func (s UTF8) Complete() bool { return s == utf8Accept }

// ValidUTF8 reports whether p as a whole is valid.
func ValidUTF8(p []byte) bool {
	var s UTF8
	return s.Write(p) && s.Complete()
}
