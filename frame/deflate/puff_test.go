package deflate

import "errors"

// puff is a second inflater, plain and slow, that tells how far back a message
// refers.
type puff struct {
	in       []byte
	at       int // bits read
	out      []byte
	from     int // where in out the window begins
	farthest int
	odd      bool // a code was not complete: which of those are taken is open
}

var errPuff = errors.New("puff")

func (p *puff) bits(n int) (v int) {
	for i := range n {
		if p.at>>3 >= len(p.in) {
			panic(errPuff)
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

func (p *puff) symbol(h *huffman) int {
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
	panic(errPuff)
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

func (p *puff) block() (final bool) {
	final = p.bits(1) == 1
	switch p.bits(2) {
	case 0:
		p.at = (p.at + 7) &^ 7
		n := p.bits(16)
		if p.bits(16) != n^0xffff {
			panic(errPuff)
		}
		for range n {
			p.out = append(p.out, byte(p.bits(8)))
		}
	case 1:
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
	case 2:
		literals, distances, codes := p.bits(5)+257, p.bits(5)+1, p.bits(4)+4
		if literals > 286 || distances > 30 {
			panic(errPuff)
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
			panic(errPuff)
		}
		l, d := newHuffman(lengths[:literals]), newHuffman(lengths[literals:])
		p.odd = p.odd || !l.complete() || !d.complete()
		p.codes(l, d)
	default:
		panic(errPuff)
	}
	return final
}

func (p *puff) codes(literals, distances huffman) {
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
			panic(errPuff)
		}
		length, extra := base(s-257, 4)
		if s == 285 {
			length, extra = 255, 0
		}
		length += 3 + p.bits(extra)
		distance, extra := base(p.symbol(&distances), 2)
		distance += 1 + p.bits(extra)
		if distance > len(p.out)-p.from {
			panic(errPuff)
		}
		p.farthest = max(p.farthest, distance)
		for range length {
			p.out = append(p.out, p.out[len(p.out)-distance])
		}
	}
}

// inflatePlainly reads a message by RFC 7692 §7.2.2, after what came before it in
// the window. What it says of the result is what Decompressor should say.
func inflatePlainly(message, before []byte) (p *puff, out []byte, err error) {
	p = &puff{in: append(append([]byte(nil), message...), tail...), out: append([]byte(nil), before...)}
	defer func() {
		if recover() != nil {
			out, err = nil, errPuff
		}
	}()
	for {
		if !p.block() {
			continue
		}
		p.at = (p.at + 7) &^ 7
		p.from = len(p.out)
		if left := len(p.in) - p.at/8; left == 0 || left == len(tail) {
			return p, p.out[len(before):], nil
		}
	}
}
