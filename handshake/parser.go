package handshake

// Limits bound a head; a zero field is the default.
type Limits struct {
	Head    int // bytes, blank line included: MaxHead, and MostHead at most
	Headers int // header lines: MaxHeaders, and MostHeaders at most
}

const (
	// MaxHead is the largest head accepted by default, in bytes, blank line included.
	MaxHead = 8 << 10
	// MaxHeaders is the largest number of header lines accepted by default.
	MaxHeaders = 64
	// MostHead is the largest that Limits.Head can be.
	MostHead = 60 << 10
	// MostHeaders is the largest that Limits.Headers can be.
	MostHeaders = 1000
)

// Most are the widest limits: for a head that somebody else has judged already.
var Most = Limits{MostHead, MostHeaders}

func (l Limits) head() int {
	if l.Head <= 0 {
		return MaxHead
	}
	return min(l.Head, MostHead)
}

func (l Limits) headers() int {
	if l.Headers <= 0 {
		return MaxHeaders
	}
	return min(l.Headers, MostHeaders)
}

// Parser scans the head of one request or response as it arrives. It goes on
// where the last call stopped: no byte is scanned twice, however the head is
// cut, and a wrong byte is reported by the call that brings it.
//
// It keeps offsets and no slices: the bytes may move between calls. The zero
// value is ready; one Parser serves one goroutine at a time.
type Parser struct {
	Limits Limits // not to be changed before the head is done

	scanned
	fields []field
	kinds  []kind
}

// scanned is all of a Parser that Reset has to clear.
type scanned struct {
	state  state
	fault  fault
	answer bool   // a response is parsed
	folded bool   // with lines that are folded
	skip   uint8  // 2 after the empty line tolerated before a request
	match  uint8  // bytes of the version or status code seen
	minor  uint8  // of HTTP/1.x
	count  uint16 // header lines done
	kind   kind   // of the line in progress
	pos    uint16 // bytes scanned
	mark   uint16 // where the element in progress begins
	status uint16 // of a response, not beyond 999

	chunked bool   // the body of a request has chunks
	length  uint64 // of a body without

	methodEnd                 uint16
	targetAt, targetEnd       uint16
	pathAt, pathEnd           uint16 // absolute URI with no path: one of the slashes before the authority
	authorityAt, authorityEnd uint16 // of an absolute URI; 0: another form

	first    [kinds]uint16 // 1 + index of the first line of a kind; 0: none
	repeated uint16        // bit k: kind k stands in several lines
}

// usualHeaders is for how many lines there is room at once.
const usualHeaders = 20

// field is one header line.
type field struct{ name, nameEnd, value, valueEnd uint16 }

// state is the element the next byte belongs to.
//
//	request   begin → [empty LF → begin] → method → target → proto → proto end → line LF
//	response  proto → proto end → status → status end → [reason] → line LF
//	both      line LF → line → name → space → value → line LF …
//	trailer   line → name → space → value → line LF …
//	response  line → [space →] value: a folded line
//	          line → end LF → done
//	any       failed, for ever: only fail goes there
type state uint8

const (
	stateBegin state = iota
	stateEmptyLF
	stateMethod
	stateTarget
	stateProto
	stateProtoEnd
	stateStatus
	stateStatusEnd
	stateReason
	stateLineLF
	stateLine
	stateName
	stateSpace
	stateValue
	stateEndLF
	stateDone
	stateFailed
)

// Reset readies p for another head.
func (p *Parser) Reset() { p.scanned = scanned{} }

// skipped is how many bytes of the empty line in front of a request have come.
func (p *Parser) skipped() int {
	if p.state == stateEmptyLF {
		return 1
	}
	return int(p.skip)
}

// Request scans a request. head is all of it that has arrived, with the same
// bytes in front as at the last call, usually with more behind.
//
//	n == 0, err == nil   not enough yet
//	n > 0                the head is head[:n], blank line included; see Head.
//	                     Nothing behind it has been looked at
//	err != nil           *Error; it stays for all later calls
func (p *Parser) Request(head []byte) (n int, err error) {
	return p.scan(head)
}

// Response scans a response, for the client; otherwise it is as Request. The
// same Parser must not have seen a request since its last Reset. A header line that is
// folded (RFC 9112 §5.2) is made one: the line ends in it become spaces, in head.
func (p *Parser) Response(head []byte) (n int, err error) {
	if p.state == stateBegin {
		p.answer = true
		p.state = stateProto
	}
	return p.scan(head)
}

// Trailer scans the trailer fields behind the last chunk of a request's body, empty line included, as the fields of a
// head; otherwise it is as Request. There may be none.
func (p *Parser) Trailer(fields []byte) (n int, err error) {
	if p.state == stateBegin {
		p.state = stateLine
	}
	return p.scan(fields)
}

// scan runs the states over what is new in b.
func (p *Parser) scan(b []byte) (int, error) {
	most := p.Limits.head()
	if len(b) > most {
		b = b[:most]
	}
	i := int(p.pos)
	for i < len(b) && p.state < stateDone {
		c := b[i]
		switch p.state {
		case stateBegin:
			if c == '\r' && p.skip == 0 {
				// One empty line is tolerated, RFC 9112 §2.2.
				p.state = stateEmptyLF
				i++
				continue
			}
			p.mark = uint16(i)
			p.state = stateMethod

		case stateEmptyLF:
			if c != '\n' {
				return p.fail(i, faultBareCR)
			}
			i++
			p.skip = uint8(i)
			p.state = stateBegin

		case stateMethod:
			for i < len(b) && class[b[i]]&classToken != 0 {
				i++
			}
			if i == len(b) {
				continue
			}
			if b[i] != ' ' || i == int(p.mark) {
				return p.fail(i, faultMethod)
			}
			if string(b[p.mark:i]) == "CONNECT" {
				return p.fail(i, faultConnect)
			}
			p.methodEnd = uint16(i)
			i++
			p.targetAt = uint16(i)
			p.state = stateTarget

		case stateTarget:
			for i < len(b) && class[b[i]]&classTarget != 0 {
				i++
			}
			if i == len(b) {
				continue
			}
			if b[i] != ' ' {
				return p.fail(i, faultTarget)
			}
			p.targetEnd = uint16(i)
			if !p.splitTarget(b) {
				return p.fail(i, faultTargetForm)
			}
			i++
			p.state = stateProto

		case stateProto:
			const want = "HTTP/1."
			switch {
			case c == want[p.match]:
			case p.match == 5 && class[c]&classDigit != 0:
				return p.fail(i, faultProtoVersion)
			default:
				return p.fail(i, faultProto)
			}
			i++
			if p.match++; int(p.match) == len(want) {
				p.match = 0
				p.state = stateProtoEnd
			}

		case stateProtoEnd: // the minor version, then what ends it
			switch {
			case p.match == 0 && class[c]&classDigit != 0:
				p.minor = c - '0'
				p.match = 1
			case p.match == 1 && !p.answer && c == '\r':
				if p.isStar(b) && string(b[p.skip:p.methodEnd]) != "OPTIONS" {
					return p.fail(i, faultTargetForm) // RFC 9112 §3.2.4
				}
				p.state = stateLineLF
			case p.match == 1 && p.answer && c == ' ':
				p.match = 0
				p.state = stateStatus
			case p.match == 1 && c == '\n':
				return p.fail(i, faultBareLF)
			default:
				return p.fail(i, faultProto)
			}
			i++

		case stateStatus:
			if class[c]&classDigit == 0 || p.match == 0 && c == '0' {
				return p.fail(i, faultStatusLine)
			}
			p.status = p.status*10 + uint16(c-'0')
			i++
			if p.match++; p.match == 3 {
				p.state = stateStatusEnd
			}

		case stateStatusEnd: // the space is often left out when no reason follows
			switch c {
			case ' ':
				p.state = stateReason
			case '\r':
				p.state = stateLineLF
			default:
				return p.fail(i, faultStatusLine)
			}
			i++

		case stateReason:
			if i = control(b, i); i == len(b) {
				continue
			}
			if b[i] != '\r' {
				return p.fail(i, faultOfControl(b[i]))
			}
			i++
			p.state = stateLineLF

		case stateLineLF:
			if c != '\n' {
				return p.fail(i, faultBareCR)
			}
			i++
			p.state = stateLine

		case stateLine:
			switch {
			case class[c]&classToken != 0:
				if int(p.count) == p.Limits.headers() {
					return p.fail(i, faultTooManyHeaders)
				}
				p.mark = uint16(i)
				p.state = stateName
			case c == '\r':
				p.state = stateEndLF
			case (c == ' ' || c == '\t') && p.answer && p.count > 0:
				p.goOn(i)
			case c == ' ' || c == '\t':
				return p.fail(i, faultFold) // RFC 9112 §5.2
			case c == '\n':
				return p.fail(i, faultBareLF)
			case c == ':':
				return p.fail(i, faultEmptyName)
			default:
				return p.fail(i, faultName)
			}
			i++

		case stateName:
			for i < len(b) && class[b[i]]&classToken != 0 {
				i++
			}
			if i == len(b) {
				continue
			}
			if b[i] != ':' {
				return p.fail(i, faultOfName(b[i]))
			}
			p.kind = kindOf(b[p.mark:i])
			if p.kind == kindHost && p.first[kindHost] != 0 && !p.answer {
				return p.fail(i, faultTwoHosts) // RFC 9112 §3.2
			}
			if p.fields == nil {
				p.fields, p.kinds = make([]field, 0, usualHeaders), make([]kind, 0, usualHeaders)
			}
			p.fields = append(p.fields[:p.count], field{name: p.mark, nameEnd: uint16(i)})
			p.kinds = append(p.kinds[:p.count], p.kind)
			i++
			p.state = stateSpace

		case stateSpace:
			for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
				i++
			}
			if i == len(b) {
				continue
			}
			p.mark = uint16(i)
			p.state = stateValue

		case stateValue:
			if i = control(b, i); i == len(b) {
				continue
			}
			if b[i] != '\r' {
				return p.fail(i, faultOfControl(b[i]))
			}
			if !p.endField(b, i) {
				return p.fail(i, faultHost)
			}
			i++
			p.state = stateLineLF

		case stateEndLF:
			if c != '\n' {
				return p.fail(i, faultBareCR)
			}
			if !p.answer && p.minor > 0 && p.first[kindHost] == 0 {
				return p.fail(i, faultNoHost) // RFC 9112 §3.2
			}
			if f := p.measure(b); f != faultNone {
				return p.fail(i, f)
			}
			i++
			p.state = stateDone
		}
	}
	if p.state == stateDone {
		p.pos = uint16(i)
		if p.folded {
			unfold(b[:i])
		}
		return i, nil
	}
	if p.state == stateFailed {
		return 0, faults[p.fault]
	}
	if i == most {
		return p.fail(i, faultHeadTooLarge)
	}
	if i > int(p.pos) {
		p.pos = uint16(i)
	}
	return 0, nil
}

// endField records the line in progress, whose value ends before the CR at i.
func (p *Parser) endField(b []byte, i int) bool {
	end := i
	for end > int(p.mark) && (b[end-1] == ' ' || b[end-1] == '\t' || p.folded && (b[end-1] == '\r' || b[end-1] == '\n')) {
		end--
	}
	f := &p.fields[p.count]
	f.value, f.valueEnd = p.mark, uint16(end)
	p.count++
	if k := p.kind; k != kindOther {
		if p.first[k] == 0 {
			p.first[k] = p.count
		} else {
			p.repeated |= 1 << k
		}
		if k == kindHost && !p.answer && f.value != f.valueEnd {
			return validHost(b[f.value:f.valueEnd])
		}
	}
	return true
}

// goOn goes on with the value of the line before, of a response: a client is to read
// a folded line as one with spaces (RFC 9112 §5.2).
func (p *Parser) goOn(i int) {
	p.folded = true
	p.count--
	f := &p.fields[p.count]
	if p.kind = p.kinds[p.count]; p.first[p.kind] == p.count+1 {
		p.first[p.kind] = 0
	}
	p.mark = f.value
	p.state = stateValue
	if f.value == f.valueEnd { // nothing yet: the value begins behind the space
		p.mark = uint16(i)
		p.state = stateSpace
	}
}

// unfold puts spaces where head has line ends within values.
func unfold(head []byte) {
	for i := 0; i+2 < len(head); i++ {
		if head[i] == '\r' && head[i+1] == '\n' && (head[i+2] == ' ' || head[i+2] == '\t') {
			head[i], head[i+1] = ' ', ' '
		}
	}
}

func (p *Parser) fail(i int, f fault) (int, error) {
	p.pos = uint16(i)
	p.state, p.fault = stateFailed, f
	return 0, faults[f]
}

func faultOfControl(c byte) fault {
	if c == '\n' {
		return faultBareLF
	}
	return faultValue
}

func faultOfName(c byte) fault {
	switch c {
	case ' ', '\t':
		return faultSpaceBeforeColon // RFC 9112 §5.1
	case '\n':
		return faultBareLF
	}
	return faultName
}
