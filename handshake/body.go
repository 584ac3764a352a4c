package handshake

// A body's end is where the next request begins. A server and a proxy in front of it that disagree about the end can be
// made to disagree about who has sent which request (RFC 9112 §11.2). So a request that leaves a choice is refused,
// also where the RFC would let a server make one.

// mostLength bounds Content-Length: net/http and others count in 63 bits.
const mostLength = 1<<63 - 1

// measure finds out how long the body of the request is that ends in b (RFC 9112 §6). Responses are not measured.
func (p *Parser) measure(b []byte) fault {
	if p.answer {
		return faultNone
	}
	h := Head{p, b}
	if h.has(kindTransferEncoding) {
		switch {
		case p.minor == 0:
			return faultCodingVersion // RFC 9112 §6.1
		case h.has(kindContentLength):
			return faultLengthAndCoding // RFC 9112 §6.3
		case h.repeated(kindTransferEncoding) || !equalFold(h.known(kindTransferEncoding), "chunked"):
			return faultCoding
		}
		p.chunked = true
		return faultNone
	}
	if h.repeated(kindContentLength) {
		return faultTwoLengths
	}
	if h.has(kindContentLength) {
		digits := h.known(kindContentLength)
		if !only(digits, classDigit) {
			return faultLength
		}
		for _, d := range digits {
			if p.length > (mostLength-9)/10 {
				return faultLength
			}
			p.length = p.length*10 + uint64(d-'0')
		}
	}
	return faultNone
}

// chunks finds the end of a chunked body (RFC 9112 §7.1), but for its trailer section.
type chunks struct {
	state chunkState
	last  bool   // the chunk of size 0 has come
	line  uint16 // bytes of the line with the size
	left  uint64 // of the chunk's data
}

// chunkState is the element the next byte belongs to.
//
//	size → [extension →] size LF → data → data CR → data LF → size …
//	size LF of the last chunk: done
type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkExtension
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
)

const (
	// mostSizeDigits of a chunk, leading zeros included.
	mostSizeDigits = 15
	// mostSizeLine bounds the line with the size of a chunk, extensions included. They mean nothing here.
	mostSizeLine = 256
)

// scan goes through b. n bytes of it are good; the body may have ended behind them, which done says.
func (c *chunks) scan(b []byte) (n int, done bool, f fault) {
	for n < len(b) {
		if c.state == chunkData {
			some := min(c.left, uint64(len(b)-n))
			c.left -= some
			n += int(some)
			if c.left == 0 {
				c.state = chunkDataCR
			}
			continue
		}
		if !c.step(b[n]) {
			return n, false, faultChunk
		}
		n++
		if c.last && c.state == chunkData {
			return n, true, faultNone
		}
	}
	return n, false, faultNone
}

// step takes one byte around the data of chunks; false: it cannot stand there.
func (c *chunks) step(b byte) bool {
	switch c.state {
	case chunkSize:
		return c.sized(b)
	case chunkExtension:
		c.line++
		if b == '\r' {
			c.state = chunkSizeLF
			return true
		}
		return c.line <= mostSizeLine && (b >= ' ' && b != 0x7f || b == '\t')
	case chunkSizeLF:
		c.state, c.line, c.last = chunkData, 0, c.left == 0
		return b == '\n'
	case chunkDataCR:
		c.state = chunkDataLF
		return b == '\r'
	default:
		c.state = chunkSize
		return b == '\n'
	}
}

// sized takes one byte of a chunk's size, or what ends it.
func (c *chunks) sized(b byte) bool {
	c.line++
	switch {
	case class[b]&classHex != 0:
		c.left = c.left<<4 | uint64(hex(b))
		return c.line <= mostSizeDigits
	case c.line == 1: // no digit
		return false
	case b == '\r':
		c.state = chunkSizeLF
		return true
	case b == ';':
		c.state = chunkExtension
		return true
	}
	return false
}

// hex is the value of a hexadecimal digit.
func hex(b byte) byte {
	if class[b]&classDigit != 0 {
		return b - '0'
	}
	return lower(b) - 'a' + 10
}
