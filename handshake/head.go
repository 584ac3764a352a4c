package handshake

import (
	"iter"
	"net/http"
)

// Head is a view of a head that a [Parser] has accepted. Its methods return
// slices of the bytes given to [Parser.Head]: they are valid as long as those
// are neither changed nor reused, and the Parser is not Reset.
type Head struct {
	p *Parser
	b []byte
}

// Head returns the view. b holds at least the n bytes of the head, which may
// have moved since they were parsed. Before success it panics.
func (p *Parser) Head(b []byte) Head {
	if p.state != stateDone {
		panic("handshake: Head before the whole head was parsed")
	}
	return Head{p, b[:p.pos]}
}

// Raw returns the whole head from its first line on: without the empty line
// that is tolerated in front of a request.
func (h Head) Raw() []byte { return h.b[h.p.skip:] }

// Method returns the method, as sent: methods are case-sensitive.
func (h Head) Method() []byte { return h.b[h.p.skip:h.p.methodEnd] }

// Target returns the request target as sent.
func (h Head) Target() []byte { return h.b[h.p.targetAt:h.p.targetEnd] }

// Path returns the path of the target, escapes and all. Every "%" in it is
// followed by two hexadecimal digits. It begins with "/", or is "*" (OPTIONS).
func (h Head) Path() []byte { return h.b[h.p.pathAt:h.p.pathEnd] }

// RawQuery returns what follows the "?" of the target, nil if there is none.
func (h Head) RawQuery() []byte {
	p := h.p
	at := p.pathEnd
	if p.authorityAt != 0 && p.pathEnd <= p.authorityAt {
		at = p.authorityEnd // an absolute URI without a path
	}
	if at >= p.targetEnd {
		return nil
	}
	return h.b[at+1 : p.targetEnd]
}

// Minor returns x of HTTP/1.x.
func (h Head) Minor() int { return int(h.p.minor) }

// Status returns the status code of a response, 100 to 999; 0 for a request.
func (h Head) Status() int { return int(h.p.status) }

// Interim reports whether the head is that of a response of 1xx other than 101: what
// follows it is the head of the true response (RFC 9110 §15.2), for a Parser that was
// Reset.
func (h Head) Interim() bool {
	return 100 <= h.p.status && h.p.status < 200 && h.p.status != http.StatusSwitchingProtocols
}

// Host returns host[:port]: the authority of an absolute target, else the value
// of Host (RFC 9112 §3.2.2); nil if HTTP/1.0 sent none.
func (h Head) Host() []byte {
	if h.p.authorityAt != 0 {
		return h.b[h.p.authorityAt:h.p.authorityEnd]
	}
	return h.known(kindHost)
}

// Origin returns the value of Origin; nil if there is none.
func (h Head) Origin() []byte { return h.known(kindOrigin) }

// Header returns the first value of the named header, without the space around
// it. The case of name does not matter. nil: there is no such header; empty:
// there is one without a value.
func (h Head) Header(name string) []byte {
	if k := kindOf(name); k != kindOther {
		return h.known(k)
	}
	for i := range h.Len() {
		if h.named(i, name) {
			return h.value(i)
		}
	}
	return nil
}

// Values ranges over the values of all lines of the named header, in order.
func (h Head) Values(name string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range h.Len() {
			if h.named(i, name) && !yield(h.value(i)) {
				return
			}
		}
	}
}

// Each ranges over all headers, in order: for name, value := range h.Each.
func (h Head) Each(yield func(name, value []byte) bool) {
	for i := range h.Len() {
		f := &h.p.fields[i]
		if !yield(h.b[f.name:f.nameEnd], h.value(i)) {
			return
		}
	}
}

// Len returns the number of header lines.
func (h Head) Len() int { return int(h.p.count) }

func (h Head) named(i int, name string) bool {
	f := &h.p.fields[i]
	return int(f.nameEnd-f.name) == len(name) && equalFold(h.b[f.name:f.nameEnd], name)
}

func (h Head) value(i int) []byte {
	f := &h.p.fields[i]
	return h.b[f.value:f.valueEnd:f.valueEnd]
}

// known returns the first value of a kind, nil if there is none.
func (h Head) known(k kind) []byte {
	if i := h.p.first[k]; i != 0 {
		return h.value(int(i) - 1)
	}
	return nil
}

func (h Head) has(k kind) bool      { return h.p.first[k] != 0 }
func (h Head) repeated(k kind) bool { return h.p.repeated&(1<<k) != 0 }
