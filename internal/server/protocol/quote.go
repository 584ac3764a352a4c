package protocol

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxEscape is the greatest number of bytes with which one byte of a string can be written: \u0041.
const maxEscape = 6

// unescaped maps a character behind a backslash to its meaning (RFC 8259 §7), and all others to 0.
var unescaped = [256]byte{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

// unquote returns the text that the inside of a valid JSON string stands for.
func unquote(inside []byte) string {
	i := bytes.IndexByte(inside, '\\')
	if i < 0 {
		return string(inside)
	}
	b := make([]byte, 0, len(inside))
	for ; i >= 0; i = bytes.IndexByte(inside, '\\') {
		b = append(b, inside[:i]...)
		c := inside[i+1]
		inside = inside[i+2:]
		if c != 'u' {
			b = append(b, unescaped[c])
			continue
		}
		r := unit(inside)
		inside = inside[4:]
		if len(inside) >= 6 && inside[0] == '\\' && inside[1] == 'u' {
			if pair := utf16.DecodeRune(r, unit(inside[2:])); pair != utf8.RuneError {
				r = pair
				inside = inside[6:]
			}
		}
		b = utf8.AppendRune(b, r) // U+FFFD for a surrogate alone
	}
	return string(append(b, inside...))
}

// unit is the UTF-16 code unit written by four hex digits.
func unit(b []byte) (r rune) {
	for _, c := range b[:4] {
		digit := c - '0'
		if c > '9' {
			digit = c | 0x20 - 'a' + 10
		}
		r = r<<4 | rune(digit)
	}
	return r
}

// asIs says which ASCII characters AppendString writes unescaped.
var asIs = func() (t [utf8.RuneSelf]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = true
	}
	for _, c := range `"\<>&` {
		t[c] = false
	}
	return t
}()

// AppendString appends s as a JSON string, as encoding/json writes it: safe inside HTML (<, >, & are escaped) and
// JavaScript (U+2028 and U+2029 too). Bytes that are not UTF-8 become U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	done := 0
	for i := 0; i < len(s); {
		size, escape := 1, ""
		if c := s[i]; c < utf8.RuneSelf {
			if asIs[c] {
				i++
				continue
			}
			escape = escapes[c]
		} else {
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && size == 1:
				escape = `\ufffd`
			case r == '\u2028':
				escape = `\u2028`
			case r == '\u2029':
				escape = `\u2029`
			}
		}
		if escape != "" {
			dst = append(append(dst, s[done:i]...), escape...)
			done = i + size
		}
		i += size
	}
	return append(append(dst, s[done:]...), '"')
}

// escapes has the ASCII characters that are not asIs.
var escapes = func() (t [utf8.RuneSelf]string) {
	for c := range t {
		if !asIs[c] {
			t[c] = `\u00` + strconv.FormatUint(uint64(c)|0x100, 16)[1:]
		}
	}
	for _, c := range `"\bfnrt` {
		t[unescaped[c]] = `\` + string(c)
	}
	return t
}()
