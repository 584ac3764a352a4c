package frame

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/perchws/perch/internal/owner"
)

// viable reports whether p may still become valid: the standard library's view.
func viable(p []byte) bool {
	for len(p) > 0 {
		r, n := utf8.DecodeRune(p)
		if r == utf8.RuneError && n <= 1 {
			return !utf8.FullRune(p)
		}
		p = p[n:]
	}
	return true
}

// badByte is the index of the first byte that makes p invalid for ever, or len(p).
func badByte(p []byte) int {
	for i := range p {
		if !viable(p[:i+1]) {
			return i
		}
	}
	return len(p)
}

// checkUTF8 compares p with the standard library, whole and cut at every place.
func checkUTF8(t testing.TB, p []byte) {
	t.Helper()
	valid, ok := utf8.Valid(p), viable(p)
	if ValidUTF8(p) != valid {
		t.Fatalf("ValidUTF8(%x) = %v", p, !valid)
	}
	for cut := range len(p) + 1 {
		var s UTF8
		head := s.Write(p[:cut])
		tail := s.Write(p[cut:])
		if head != viable(p[:cut]) || tail != ok || (tail && s.Complete()) != valid {
			t.Fatalf("%x | %x: %v, %v, complete %v", p[:cut], p[cut:], head, tail, s.Complete())
		}
	}
}

// classBytes holds both ends of every class of bytes that RFC 3629 §4 tells apart.
var classBytes = unhex("00 7f 80 8f 90 9f a0 bf c0 c1 c2 df e0 e1 ec ed ee ef f0 f1 f3 f4 f5 f7 f8 fe ff")

// All sequences of one to three bytes (with the race detector, the last byte only
// from each class), and those of four with a byte of each class in each place.
func TestUTF8Exhaustive(t *testing.T) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	last := every
	if owner.Enabled || testing.Short() {
		last = classBytes
	}
	for _, a := range every {
		checkUTF8(t, []byte{a})
		var s1 UTF8
		s1.Write([]byte{a})
		for _, b := range every {
			checkUTF8(t, []byte{a, b})
			p := []byte{a, b, 0}
			s2 := s1
			s2.Write(p[1:2])
			for _, c := range last {
				p[2] = c
				valid, ok := utf8.Valid(p), viable(p)
				cut1, cut2 := s1, s2
				ok1, ok2 := cut1.Write(p[1:]), cut2.Write(p[2:])
				if ValidUTF8(p) != valid || ok1 != ok || ok2 != ok || cut1.Complete() != valid || cut2.Complete() != valid {
					t.Fatalf("%x: %v; cut after 1: %v, %v; after 2: %v, %v; want %v, %v",
						p, ValidUTF8(p), ok1, cut1.Complete(), ok2, cut2.Complete(), ok, valid)
				}
			}
		}
	}
	for _, a := range classBytes[6:] { // ASCII at the start was seen above
		for _, b := range classBytes {
			for _, c := range classBytes {
				for _, d := range classBytes {
					p := []byte{a, b, c, d}
					if owner.Enabled {
						if ValidUTF8(p) != utf8.Valid(p) {
							t.Fatalf("ValidUTF8(%x) = %v", p, ValidUTF8(p))
						}
						continue
					}
					checkUTF8(t, p)
				}
			}
		}
	}
}

// Every code point there is, in one text.
func TestUTF8EveryRune(t *testing.T) {
	var all []byte
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if utf8.ValidRune(r) {
			all = utf8.AppendRune(all, r)
		}
	}
	if !ValidUTF8(all) {
		t.Error("all code points in a row are refused")
	}
	for _, size := range []int{1, 7, 24, 31, 4096} {
		var s UTF8
		for piece := range slices.Chunk(all, size) {
			if !s.Write(piece) {
				t.Fatalf("in pieces of %d: refused", size)
			}
		}
		if !s.Complete() {
			t.Errorf("in pieces of %d: not complete", size)
		}
	}
}

// badTexts are invalid at the byte with index bad; in the manner of Markus Kuhn's
// stress test, whose section numbers are given.
var badTexts = []struct {
	name, text string
	bad        int
}{
	{"3.1.1 first continuation byte", "\x80", 0},
	{"3.1.2 last continuation byte", "\xbf", 0},
	{"3.1.3 continuation after a character", "é\x80", 2},
	{"3.2.1 two-byte start and a space", "\xc2 ", 1},
	{"3.2.2 three-byte start and a space", "\xe1 ", 1},
	{"3.2.3 four-byte start and a space", "\xf1 ", 1},
	{"3.2.4 five-byte start", "\xf8\x88\x80\x80\x80", 0},
	{"3.2.5 six-byte start", "\xfc\x84\x80\x80\x80\x80", 0},
	{"3.3.2 last byte missing of three", "\xe2\x82 ", 2},
	{"3.3.3 last byte missing of four", "\xf0\x9f\x98 ", 3},
	{"3.4 start within a character", "\xe2\xe2\x82\xac", 1},
	{"3.5.1 FE", "\xfe", 0},
	{"3.5.2 FF", "\xff", 0},
	{"4.1.1 slash in two bytes", "\xc0\xaf", 0},
	{"4.1.2 slash in three bytes", "\xe0\x80\xaf", 1},
	{"4.1.3 slash in four bytes", "\xf0\x80\x80\xaf", 1},
	{"4.2.1 U+007F in two bytes", "\xc1\xbf", 0},
	{"4.2.2 U+07FF in three bytes", "\xe0\x9f\xbf", 1},
	{"4.2.3 U+FFFF in four bytes", "\xf0\x8f\xbf\xbf", 1},
	{"4.3.1 NUL in two bytes", "\xc0\x80", 0},
	{"5.1.1 surrogate U+D800", "\xed\xa0\x80", 1},
	{"5.1.4 surrogate U+DB80", "\xed\xae\x80", 1},
	{"5.1.7 surrogate U+DFFF", "\xed\xbf\xbf", 1},
	{"5.2.1 surrogate pair", "\xed\xa0\x80\xed\xb0\x80", 1},
	{"above U+10FFFF", "\xf4\x90\x80\x80", 1},
	{"F5", "\xf5\x80\x80\x80", 0},
	{"a word, then above U+10FFFF", "κόσμε\xf4\x90\x80\x80edited", 11},
	{"32 letters, then a bad byte", strings.Repeat("a", 32) + "\xff", 32},
}

// The check fails at the first bad byte, not at the end of the character, and
// stays failed. A prefix of ASCII puts it into each of the loops.
func TestUTF8FirstBadByte(t *testing.T) {
	for _, tt := range badTexts {
		t.Run(tt.name, func(t *testing.T) {
			for ascii := range 70 {
				p := []byte(strings.Repeat("x", ascii) + tt.text)
				bad := ascii + tt.bad
				if got := badByte(p); got != bad {
					t.Fatalf("the table says %d, the standard library %d", bad, got)
				}
				var s UTF8
				if !s.Write(p[:bad]) {
					t.Fatalf("%q refused before its bad byte", p)
				}
				if s.Write(p[bad : bad+1]) {
					t.Fatalf("%q: its bad byte is accepted", p)
				}
				if s.Write(nil) || s.Write([]byte("ok")) || s.Complete() {
					t.Fatalf("%q: good again after its bad byte", p)
				}
				if ValidUTF8(p) {
					t.Fatalf("ValidUTF8(%q)", p)
				}
			}
		})
	}
}

// Text that ends within a character is fine so far, and not complete.
func TestUTF8Incomplete(t *testing.T) {
	for _, text := range []string{"\xc3", "\xe2", "\xe2\x82", "\xf0", "\xf0\x9f", "\xf0\x9f\x98", "\xe0\xa0", "\xed\x9f", "\xf4\x8f\xbf"} {
		for ascii := range 70 {
			p := []byte(strings.Repeat("x", ascii) + text)
			var s UTF8
			if !s.Write(p) || s.Complete() || ValidUTF8(p) {
				t.Errorf("%q: state %d, complete %v", p, s, s.Complete())
			}
		}
	}
}

func TestUTF8Good(t *testing.T) {
	for _, text := range []string{
		"", "\x00", "κόσμε", "€", "😀", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufffd",
		"\ufffe", "\uffff", "\U00010000", "\U0010ffff", // noncharacters are legal: RFC 3629 forbids none of them
	} {
		for ascii := range 70 {
			checkUTF8(t, []byte(strings.Repeat("x", ascii)+text+"tail"))
		}
	}
}

func FuzzUTF8(f *testing.F) {
	for _, tt := range badTexts {
		f.Add([]byte(tt.text), 1)
	}
	f.Add([]byte(strings.Repeat("aé€😀", 20)), 33)
	f.Fuzz(func(t *testing.T, p []byte, cut int) {
		cut = int(uint(cut) % uint(len(p)+1))
		valid := utf8.Valid(p)
		if ValidUTF8(p) != valid {
			t.Fatalf("ValidUTF8(%q) = %v", p, !valid)
		}
		var s UTF8
		if head := s.Write(p[:cut]); head != viable(p[:cut]) {
			t.Fatalf("%q up to %d: %v", p, cut, head)
		}
		if tail := s.Write(p[cut:]); tail != viable(p) || (tail && s.Complete()) != valid {
			t.Fatalf("%q cut at %d: %v, complete %v", p, cut, tail, s.Complete())
		}
	})
}
