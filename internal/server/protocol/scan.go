package protocol

import (
	"encoding/binary"
	"math/bits"
)

// A scanner steps over JSON (RFC 8259) and checks it. Each method begins at the first byte of the element that it is
// named after, and leaves pos behind the last.
type scanner struct {
	text []byte
	pos  int
}

// next skips white space and returns the byte there; 0, which is in no JSON text, at the end.
func (s *scanner) next() byte {
	for ; s.pos < len(s.text); s.pos++ {
		switch c := s.text[s.pos]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// value returns CodeInvalidJSON, CodeTooDeep, or "" if the value is valid. level is that of the value if it is an
// object or array.
func (s *scanner) value(level int) Code {
	ok := false
	switch s.next() {
	case '{':
		return s.object(level, nil)
	case '[':
		return s.array(level)
	case '"':
		ok = s.quoted()
	case 't':
		ok = s.literal("true")
	case 'f':
		ok = s.literal("false")
	case 'n':
		ok = s.literal("null")
	default:
		ok = s.number()
	}
	if !ok {
		return CodeInvalidJSON
	}
	return ""
}

// members is object for callers that need the members.
func (s *scanner) members() ([]member, Code) {
	index := make([]member, 0, 8) // most messages have fewer
	code := s.object(1, &index)
	return index, code
}

// object adds its members to index, unless that is nil; then CodeTooManyMembers is possible too.
func (s *scanner) object(level int, index *[]member) Code {
	if level > MaxDepth {
		return CodeTooDeep
	}
	s.pos++
	if s.next() == '}' {
		s.pos++
		return ""
	}
	for {
		if s.next() != '"' {
			return CodeInvalidJSON
		}
		m := member{name: s.pos + 1}
		if !s.quoted() {
			return CodeInvalidJSON
		}
		m.nameEnd = s.pos - 1
		if s.next() != ':' {
			return CodeInvalidJSON
		}
		s.pos++
		s.next()
		m.value = s.pos
		if code := s.value(level + 1); code != "" {
			return code
		}
		m.valueEnd = s.pos
		if index != nil {
			if len(*index) == MaxMembers {
				return CodeTooManyMembers
			}
			*index = append(*index, m)
		}
		switch s.next() {
		case ',':
			s.pos++
		case '}':
			s.pos++
			return ""
		default:
			return CodeInvalidJSON
		}
	}
}

func (s *scanner) array(level int) Code {
	if level > MaxDepth {
		return CodeTooDeep
	}
	s.pos++
	if s.next() == ']' {
		s.pos++
		return ""
	}
	for {
		if code := s.value(level + 1); code != "" {
			return code
		}
		switch s.next() {
		case ',':
			s.pos++
		case ']':
			s.pos++
			return ""
		default:
			return CodeInvalidJSON
		}
	}
}

func (s *scanner) literal(word string) bool {
	if len(s.text)-s.pos < len(word) || string(s.text[s.pos:s.pos+len(word)]) != word {
		return false
	}
	s.pos += len(word)
	return true
}

// number: RFC 8259 §6.
func (s *scanner) number() bool {
	s.skip('-')
	if !s.skip('0') && !s.digits() {
		return false
	}
	if s.skip('.') && !s.digits() {
		return false
	}
	if s.skip('e') || s.skip('E') {
		if !s.skip('-') {
			s.skip('+')
		}
		return s.digits()
	}
	return true
}

// skip steps over the byte c if it is next.
func (s *scanner) skip(c byte) bool {
	if s.pos == len(s.text) || s.text[s.pos] != c {
		return false
	}
	s.pos++
	return true
}

// digits steps over digits and reports whether there was one.
func (s *scanner) digits() bool {
	start := s.pos
	for s.pos < len(s.text) && '0' <= s.text[s.pos] && s.text[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > start
}

// quoted steps over a string, RFC 8259 §7. It was checked before that the text is UTF-8.
func (s *scanner) quoted() bool {
	s.pos++
	for {
		s.pos = plain(s.text, s.pos)
		rest := s.text[s.pos:]
		switch {
		case len(rest) != 0 && rest[0] == '"':
			s.pos++
			return true
		case len(rest) < 2 || rest[0] != '\\':
			return false
		case rest[1] == 'u':
			if len(rest) < 6 || !hex(rest[2]) || !hex(rest[3]) || !hex(rest[4]) || !hex(rest[5]) {
				return false
			}
			s.pos += 6
		case unescaped[rest[1]] != 0:
			s.pos += 2
		default:
			return false
		}
	}
}

func hex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// plain returns the place in b, from i on, of the first byte that does not stand for itself in a string: a quote, a
// backslash or a control character; len(b) if there is none.
func plain(b []byte, i int) int {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	// Eight bytes at a time: the subtractions borrow into the high bit of a byte that is below 0x20, a quote or a
	// backslash. They may also borrow from later bytes, but the first hit is always right.
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		below, quote, backslash := x-ones*' ', (x^ones*'"')-ones, (x^ones*'\\')-ones
		if hits := (below | quote | backslash) &^ x & highs; hits != 0 {
			return i + bits.TrailingZeros64(hits)/8
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c < ' ' || c == '"' || c == '\\' {
			break
		}
	}
	return i
}
