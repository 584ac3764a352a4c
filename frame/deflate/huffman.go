package deflate

import "math/bits"

// A code is one entry of a decoding table: the meaning of the next bits of the
// input. Its lowest byte is the number of bits that the symbol takes, the next
// byte is the kind of symbol, and above both is a value. 0: no symbol begins
// with these bits.
type code uint32

const (
	codeLiteral code = 0x8000 // the value is a byte
	codeEnd     code = 0x4000 // of the block
	codeMore    code = 0x2000 // the value is where its table begins, indexed by as many bits more as codeExtra says
	codeExtra   code = 0x0f00 // bits that follow a length or a distance, whose least is the value
)

func (c code) size() uint  { return uint(c & 0xff) }
func (c code) extra() uint { return uint(c & codeExtra >> 8) }
func (c code) value() uint { return uint(c >> 16) }

// maxCode is the length of the longest code, in bits (RFC 1951 §3.2.7).
const maxCode = 15

// meaning are the codes of symbols, but for their size: of lengths and literals, and
// of distances (RFC 1951 §3.2.5); of code lengths, the symbol itself.
var (
	lengthMeaning   = lengthMeanings()
	distanceMeaning = distanceMeanings()
)

func lengthMeanings() (m [286]code) {
	for s := range m {
		switch {
		case s < 256:
			m[s] = code(s)<<16 | codeLiteral
		case s == 256:
			m[s] = codeEnd
		case s < 265:
			m[s] = code(s-257+3) << 16
		case s < 285:
			extra := (s-257)/4 - 1
			m[s] = code((4+(s-257)%4)<<extra+3)<<16 | code(extra)<<8
		default:
			m[s] = 258 << 16
		}
	}
	return m
}

func distanceMeanings() (m [30]code) {
	for s := range m {
		if s < 4 {
			m[s] = code(s+1) << 16
			continue
		}
		extra := s/2 - 1
		m[s] = code((2+s%2)<<extra+1)<<16 | code(extra)<<8
	}
	return m
}

// build makes the table of a canonical code (RFC 1951 §3.2.2) in t, from the lengths
// of its symbols' codes. It returns by how many bits t is indexed, at most root;
// longer codes go on in tables behind it. false: there is no such code. One that is
// incomplete is one only if it has a single symbol, of one bit, or none at all: zlib
// makes those.
func build(t []code, root uint, lengths []uint8, meaning []code) (uint, bool) {
	var o order
	if !o.sort(lengths) {
		return 0, false
	}
	if o.longest == 0 {
		t[0], t[1] = 0, 0
		return 1, true
	}
	root = min(root, o.longest)
	if o.left > 0 {
		clear(t[:1<<root])
	}
	// where the next table begins; the codes so far that are longer than root begin like this
	at, short := 1<<root, uint(0)
	var sub []code
	var subBits uint
	i := 0
	for n := uint(1); n <= o.longest; n++ {
		for ; o.count[n] > 0; o.count[n]-- {
			c := uint(bits.Reverse16(o.next[n])) >> (16 - n) // the input has the first bit lowest
			o.next[n]++
			s := meaning[o.symbols[i]]
			i++
			if n <= root {
				for j := c; j < 1<<root; j += 1 << n {
					t[j] = s | code(n)
				}
				continue
			}
			if begin := c & (1<<root - 1); begin != short || sub == nil { // another table: large enough for all that begin so
				short, subBits = begin, o.tableBits(n, root)
				end := at + 1<<subBits
				if end > len(t) {
					return 0, false // never with a code that is complete
				}
				t[short] = code(at)<<16 | codeMore | code(subBits)<<8 | code(root)
				sub, at = t[at:end], end
			}
			for j := c >> root; j < 1<<subBits; j += 1 << (n - root) {
				sub[j] = s | code(n-root)
			}
		}
	}
	return root, true
}

// order is the symbols of a code in the order of their codes.
type order struct {
	count   [maxCode + 1]uint16 // of each length: the codes that are left
	next    [maxCode + 1]uint16 // and the first of them
	symbols [288]uint16
	longest uint // 0: no symbol has a code
	left    int  // codes of the greatest length that no symbol has
}

// sort puts them in order. It reports false if the code has too many symbols, or too
// few: only a code of one symbol may be incomplete.
func (o *order) sort(lengths []uint8) bool {
	for _, n := range lengths {
		o.count[n]++
	}
	o.longest = maxCode
	for o.longest > 0 && o.count[o.longest] == 0 {
		o.longest--
	}
	if o.longest == 0 {
		return true
	}
	var place [maxCode + 1]uint16 // of each length: where its symbols begin
	o.left = 1
	for n := uint(1); n <= o.longest; n++ {
		o.left = o.left<<1 - int(o.count[n])
		if o.left < 0 {
			return false
		}
		if n < maxCode {
			o.next[n+1] = (o.next[n] + o.count[n]) << 1
			place[n+1] = place[n] + o.count[n]
		}
	}
	if o.left > 0 && !(o.longest == 1 && o.count[1] == 1) {
		return false
	}
	for s, n := range lengths {
		if n > 0 {
			o.symbols[place[n]] = uint16(s)
			place[n]++
		}
	}
	return true
}

// tableBits is how many bits the table needs behind a first one of root bits for all
// codes from length n on that begin alike.
func (o *order) tableBits(n, root uint) uint {
	size := n - root
	for room := 1 << size; root+size < o.longest; room <<= 1 {
		if room -= int(o.count[root+size]); room <= 0 {
			break
		}
		size++
	}
	return size
}
