// Package puff compresses and inflates messages of permessage-deflate (RFC 7692)
// plainly and slowly, for tests: it shares no code with what it judges, tells how
// far back a message refers, and refers as far back itself as a window allows.
package puff

import (
	"bytes"
	"errors"
)

// ErrCorrupt is a message that no rule of RFC 1951 explains.
var ErrCorrupt = errors.New("puff: not a compressed message")

// tail is what a sender has left off a message (RFC 7692 section 7.2.2), and an
// end of the stream.
const tail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// A Message is what Inflate has read.
type Message struct {
	Payload  []byte
	Farthest int  // the largest distance of all references, in bytes
	Odd      bool // a code was not complete: whether to take such a one is open
}

// Inflate reads a message. before is what its sender may refer to: the end of what
// it sent in earlier messages, at most a window long; nil without context takeover.
func Inflate(message, before []byte) (m Message, err error) {
	p := &inflater{in: append(bytes.Clone(message), tail...), out: bytes.Clone(before)}
	defer func() {
		m.Farthest, m.Odd = p.farthest, p.odd
		if r := recover(); r != nil {
			if r != any(ErrCorrupt) {
				panic(r)
			}
			m.Payload, err = nil, ErrCorrupt
		}
	}()
	for {
		if !p.block() {
			continue
		}
		p.at = (p.at + 7) &^ 7
		p.from = len(p.out)
		if left := len(p.in) - p.at/8; left == 0 || left == len(tail) {
			return Message{Payload: p.out[len(before):]}, nil
		}
	}
}

type inflater struct {
	in       []byte
	at       int // bits read
	out      []byte
	from     int // where in out the window begins
	farthest int
	odd      bool
}

func (p *inflater) bits(n int) (v int) {
	for i := range n {
		if p.at>>3 >= len(p.in) {
			panic(ErrCorrupt)
		}
		v |= int(p.in[p.at>>3]>>(p.at&7)&1) << i
		p.at++
	}
	return v
}

// huffman is a canonical code: symbols by length and value (RFC 1951 §3.2.2).
type huffman struct {
	count   [16]int
	symbols []int
}

func newHuffman(lengths []int) (h huffman) {
	for n := 1; n < 16; n++ {
		for symbol, l := range lengths {
			if l == n {
				h.count[n]++
				h.symbols = append(h.symbols, symbol)
			}
		}
	}
	return h
}

func (h *huffman) complete() bool {
	sum := 0
	for n, count := range h.count {
		sum += count << (15 - n)
	}
	return sum == 1<<15
}

func (p *inflater) symbol(h *huffman) int {
	code, first, index := 0, 0, 0
	for n := 1; n < 16; n++ {
		code |= p.bits(1)
		if code-first < h.count[n] {
			return h.symbols[index+code-first]
		}
		index += h.count[n]
		first = (first + h.count[n]) << 1
		code <<= 1
	}
	panic(ErrCorrupt)
}

// base is the lowest value of length or distance symbol s, whose extra bits come
// once every group symbols.
func base(s, group int) (value, extra int) {
	if s < 2*group {
		return s, 0
	}
	extra = s/group - 1
	return (group + s%group) << extra, extra
}

func (p *inflater) block() (final bool) {
	final = p.bits(1) == 1
	switch p.bits(2) {
	case 0:
		p.at = (p.at + 7) &^ 7
		n := p.bits(16)
		if p.bits(16) != n^0xffff {
			panic(ErrCorrupt)
		}
		for range n {
			p.out = append(p.out, byte(p.bits(8)))
		}
	case 1:
		p.fixed()
	case 2:
		p.dynamic()
	default:
		panic(ErrCorrupt)
	}
	return final
}

// fixed reads a block with the codes of RFC 1951 §3.2.6.
func (p *inflater) fixed() {
	lengths := make([]int, 288)
	for i := range lengths {
		lengths[i] = 8
		if i >= 144 && i < 256 {
			lengths[i] = 9
		} else if i >= 256 && i < 280 {
			lengths[i] = 7
		}
	}
	distances := make([]int, 30)
	for i := range distances {
		distances[i] = 5
	}
	p.codes(newHuffman(lengths), newHuffman(distances))
}

// dynamic reads a block that brings its codes (RFC 1951 §3.2.7).
func (p *inflater) dynamic() {
	literals, distances, codes := p.bits(5)+257, p.bits(5)+1, p.bits(4)+4
	if literals > 286 || distances > 30 {
		panic(ErrCorrupt)
	}
	lengths := make([]int, 19)
	for _, i := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}[:codes] {
		lengths[i] = p.bits(3)
	}
	h := newHuffman(lengths)
	p.odd = p.odd || !h.complete()
	lengths = nil
	for len(lengths) < literals+distances {
		s, last, times := p.symbol(&h), 0, 1
		switch s {
		case 16:
			if len(lengths) == 0 {
				panic(ErrCorrupt)
			}
			last, times = lengths[len(lengths)-1], 3+p.bits(2)
		case 17:
			times = 3 + p.bits(3)
		case 18:
			times = 11 + p.bits(7)
		default:
			last = s
		}
		for range times {
			lengths = append(lengths, last)
		}
	}
	if len(lengths) != literals+distances {
		panic(ErrCorrupt)
	}
	l, d := newHuffman(lengths[:literals]), newHuffman(lengths[literals:])
	p.odd = p.odd || !l.complete() || !d.complete()
	p.codes(l, d)
}

func (p *inflater) codes(literals, distances huffman) {
	for {
		s := p.symbol(&literals)
		switch {
		case s < 256:
			p.out = append(p.out, byte(s))
			continue
		case s == 256:
			return
		}
		if s > 285 {
			panic(ErrCorrupt)
		}
		length, extra := base(s-257, 4)
		if s == 285 {
			length, extra = 255, 0
		}
		length += 3 + p.bits(extra)
		distance, extra := base(p.symbol(&distances), 2)
		distance += 1 + p.bits(extra)
		if distance > len(p.out)-p.from {
			panic(ErrCorrupt)
		}
		p.farthest = max(p.farthest, distance)
		for range length {
			p.out = append(p.out, p.out[len(p.out)-distance])
		}
	}
}
