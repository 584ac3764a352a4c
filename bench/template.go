package bench

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Digits of the two numbers in a message: of fixed width, so that messages are
// of one size.
const (
	seqDigits  = 10
	timeDigits = 16
	// maxBetween is how many bytes may stand between the two.
	maxBetween = 8
)

// marker is how a message that a server has wrapped into one of its own is
// known again.
const marker = "m="

// template is a message with a sequence number and a time in it.
type template struct {
	text       []byte // with room for the numbers
	seqs, tims []int  // where they are
	pad        []byte // part of text: "" if there is none
}

// newTemplate reads a template with "m={seq}", 1 to 8 characters that are no
// digits, "{ts}", and perhaps more of them; {pad} becomes as many characters as
// are wanting to size bytes, words if they are wanted.
func newTemplate(s string, size int, words bool) (template, error) {
	var t template
	fixed := len(s) + strings.Count(s, "{seq}")*(seqDigits-len("{seq}")) + strings.Count(s, "{ts}")*(timeDigits-len("{ts}")) -
		strings.Count(s, "{pad}")*len("{pad}")
	pad := 0
	for len(s) > 0 {
		switch {
		case strings.HasPrefix(s, "{seq}"):
			t.seqs = append(t.seqs, len(t.text))
			t.text, s = append(t.text, strings.Repeat("0", seqDigits)...), s[len("{seq}"):]
		case strings.HasPrefix(s, "{ts}"):
			t.tims = append(t.tims, len(t.text))
			t.text, s = append(t.text, strings.Repeat("0", timeDigits)...), s[len("{ts}"):]
		case strings.HasPrefix(s, "{pad}"):
			if pad++; pad > 1 {
				return t, errors.New("template: more than one {pad}")
			}
			begin := len(t.text)
			for i := range max(size-fixed, 0) {
				const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				t.text = append(t.text, letters[mix(uint64(i))%uint64(len(letters))])
			}
			t.pad, s = t.text[begin:], s[len("{pad}"):]
			if words {
				putWords(t.pad)
			}
		default:
			t.text, s = append(t.text, s[0]), s[1:]
		}
	}
	t.pad = bytes.Clone(t.pad)
	if _, at, ok := findMarker(t.text, 0); !ok || len(t.seqs) == 0 || at != t.seqs[0]-len(marker) {
		return t, fmt.Errorf("template: want %s{seq}, 1 to %d characters that are not digits, {ts}", marker, maxBetween)
	}
	return t, nil
}

// clone has a text of its own to write numbers into.
func (t template) clone() template {
	t.text = bytes.Clone(t.text)
	return t
}

// put writes the numbers.
func (t *template) put(seq uint64, ts int64) []byte {
	for _, at := range t.seqs {
		putDigits(t.text[at:at+seqDigits], seq)
	}
	for _, at := range t.tims {
		putDigits(t.text[at:at+timeDigits], uint64(ts))
	}
	return t.text
}

func putDigits(p []byte, n uint64) {
	for i := len(p) - 1; i >= 0; i-- {
		p[i] = '0' + byte(n%10)
		n /= 10
	}
}

// digits reads as many as p is long.
func digits(p []byte) (n uint64, ok bool) {
	for _, c := range p {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + uint64(c-'0')
	}
	return n, true
}

// mark is the two numbers of a message.
type mark struct {
	seq uint64
	ts  int64
}

// findMarker finds the numbers in a message, first where they were in the last
// one.
func findMarker(p []byte, hint int) (m mark, at int, ok bool) {
	if m, ok := markerAt(p, hint); ok {
		return m, hint, true
	}
	for at = 0; ; at++ {
		i := bytes.Index(p[at:], []byte(marker))
		if i < 0 {
			return mark{}, 0, false
		}
		at += i
		if m, ok := markerAt(p, at); ok {
			return m, at, true
		}
	}
}

// markerAt reads the numbers if the marker is at p[at:].
func markerAt(p []byte, at int) (m mark, ok bool) {
	if len(p)-at < len(marker)+seqDigits+1+timeDigits || string(p[at:at+len(marker)]) != marker {
		return m, false
	}
	p = p[at+len(marker):]
	if m.seq, ok = digits(p[:seqDigits]); !ok {
		return m, false
	}
	p = p[seqDigits:]
	for i := 0; i <= maxBetween && len(p)-i >= timeDigits; i++ {
		if p[i] >= '0' && p[i] <= '9' {
			ts, ok := digits(p[i : i+timeDigits])
			m.ts = int64(ts)
			return m, ok && i > 0
		}
	}
	return m, false
}
