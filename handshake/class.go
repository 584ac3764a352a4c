package handshake

import (
	"encoding/binary"
	"math/bits"
)

// Classes of bytes, one bit each in the table below.
const (
	classToken  uint8 = 1 << iota // tchar, RFC 9110 §5.6.2
	classTarget                   // request-target: visible ASCII without "#", RFC 9112 §3.2
	classHost                     // reg-name without pct-encoded, RFC 3986 §3.2.2
	classBase64                   // alphabet of RFC 4648 §4, without "="
	classHex                      // HEXDIG of either case
	classDigit                    // DIGIT
)

// class says which classes each byte belongs to.
var class = classes()

func classes() (t [256]uint8) {
	add := func(bit uint8, set string) {
		for i := range len(set) {
			t[set[i]] |= bit
		}
	}
	for c := '0'; c <= '9'; c++ {
		t[c] = classToken | classHost | classBase64 | classHex | classDigit
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c] = classToken | classHost | classBase64
		t[c-'a'+'A'] = t[c]
	}
	for c := '!'; c <= '~'; c++ {
		t[c] |= classTarget
	}
	t['#'] &^= classTarget // a fragment is never sent, RFC 6455 §3
	add(classToken, "!#$%&'*+-.^_`|~")
	add(classHost, "-._~!$&'()*+,;=")
	add(classBase64, "+/")
	add(classHex, "abcdefABCDEF")
	return t
}

// text lets the few comparisons below take views and strings alike.
type text interface{ ~string | ~[]byte }

// only reports whether s is not empty and every byte of it is in the class.
func only[S text](s S, bit uint8) bool {
	for i := range len(s) {
		if class[s[i]]&bit == 0 {
			return false
		}
	}
	return len(s) > 0
}

// equalFold compares without regard to the case of ASCII letters.
func equalFold[A, B text](a A, b B) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if a[i] != b[i] && lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// trim removes optional whitespace (OWS, RFC 9110 §5.6.3) from both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// validValue reports whether s may stand in a header value: no control
// character but HTAB, so neither CR nor LF (RFC 9110 §5.5).
func validValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// control returns the index of the first control character but HTAB in b from
// i on, or len(b). Eight bytes at a time: values are most of a head.
func control(b []byte, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for i+8 <= len(b) {
		w := binary.LittleEndian.Uint64(b[i:])
		del := w ^ 0x7f*ones
		// The lowest bit set is exact: borrows only disturb bytes above it.
		hit := ((w-0x20*ones)&^w | (del-ones)&^del) & highs
		if hit == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(hit) / 8
		if b[i] != '\t' {
			return i
		}
		i++
	}
	for ; i < len(b); i++ {
		if c := b[i]; c < ' ' && c != '\t' || c == 0x7f {
			return i
		}
	}
	return i
}
