package conformance

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/owner"
	"github.com/perchws/perch/internal/wstest"
)

// autobahnOffer is what the suite offers: it takes anything, and asks for nothing.
const autobahnOffer = "permessage-deflate; client_no_context_takeover; client_max_window_bits"

// exchanges are the cases of each part of families 12 and 13: the size of the
// messages, in characters of text or bytes of binary, and of the fragments that
// what they were compressed to is cut into, 0: one.
var exchanges = []struct{ size, fragment int }{
	{16, 0}, {64, 0}, {256, 0}, {1 * kib, 0}, {4 * kib, 0}, {8 * kib, 0}, {16 * kib, 0}, {32 * kib, 0}, {64 * kib, 0}, {128 * kib, 0},
	{8 * kib, 256}, {16 * kib, 256}, {32 * kib, 256}, {64 * kib, 256}, {128 * kib, 256}, {128 * kib, 1 * kib}, {128 * kib, 4 * kib}, {128 * kib, 32 * kib},
}

// rounds is how many messages of n a case exchanges. The suite has a thousand, of
// every size; we too of the small ones, of the others 512 KiB and at least eight:
// enough to go through the window many times, and to come back to the beginning of
// most payloads.
func rounds(n int) int {
	if owner.Enabled || testing.Short() {
		return min(max(32*kib/n, 2), 50)
	}
	return min(max(512*kib/n, 8), 1000)
}

// differentPayloads is family 12.
func differentPayloads() []testCase {
	var cases []testCase
	for i, d := range payloads() {
		cases = append(cases, withSizes(id("12", i+1), "", terms{offer: autobahnOffer, asks: []ask{{}}}, d)...)
	}
	return cases
}

// differentParameters is family 13.
func differentParameters() []testCase {
	var cases []testCase
	d := payloads()[0]
	for i, parameters := range parameterSets() {
		part := withSizes(id("13", i+1), parameters.how, *parameters.terms(perch.Compression{}, autobahnOffer), d)
		for j := range part {
			part[j].breach = parameters.breach && exchanges[j].size >= threshold
		}
		cases = append(cases, part...)
	}
	return cases
}

// A parameterSet is a part of family 13.
type parameterSet struct {
	how    string
	offers []string // what each offer adds
	asks   []ask
	breach bool // by a server that compresses as if nothing had been agreed
}

func parameterSets() []parameterSet {
	const (
		noTakeover = "; server_no_context_takeover"
		window     = "; server_max_window_bits="
	)
	return []parameterSet{
		{"", []string{""}, []ask{{}}, false},
		{", no takeover", []string{noTakeover}, []ask{{noTakeover: true}}, true},
		{", window of 9", []string{window + "9"}, []ask{{window: 9}}, true},
		{", window of 15", []string{window + "15"}, []ask{{window: 15}}, false},
		{", no takeover, window of 9", []string{noTakeover + window + "9"}, []ask{{true, 9}}, true},
		{", no takeover, window of 15", []string{noTakeover + window + "15"}, []ask{{true, 15}}, true},
		{", three offers", []string{noTakeover + window + "9", noTakeover, ""}, []ask{{true, 9}, {true, 0}, {false, 0}}, true},
	}
}

// terms are the set's, each offer behind the words of base.
func (s parameterSet) terms(z perch.Compression, base string) *terms {
	var offers []string
	for _, o := range s.offers {
		offers = append(offers, base+o)
	}
	return &terms{z, strings.Join(offers, ", "), s.asks}
}

// withSizes is one part of a family.
func withSizes(part, how string, m terms, d payload) []testCase {
	var cases []testCase
	for i, x := range exchanges {
		c := testCase{id: id(part, i+1), terms: &m, large: x.size > 8*kib, script: exchange(d, x.size, x.fragment, rounds(x.size))}
		c.desc = fmt.Sprintf("%v of %d, %s%s", d.op, x.size, d.name, how)
		if x.fragment > 0 {
			c.desc += fmt.Sprintf(", in fragments of %d", x.fragment)
		}
		cases = append(cases, c)
	}
	return cases
}

// exchange sends compressed messages, one after the other, and wants each back.
func exchange(d payload, n, fragment, count int) func(*peer) {
	return func(p *peer) {
		all := d.make()
		p.shrinks = d.shrinks > 0 && d.shrinks <= n
		for i := range count {
			m := all.cut(i, n)
			p.send(p.packed(d.op, m, fragment)...)
			before := len(p.seen)
			p.echo(d.op, m)
			if i > 0 {
				p.seen = p.seen[:before]
			}
		}
		p.bye()
	}
}

// packed is a message, compressed, and then in fragments if not 0.
func (p *peer) packed(op frame.Opcode, m []byte, fragment int) []wstest.Frame {
	if fragment == 0 {
		fragment = math.MaxInt
	}
	fs := wstest.Fragments(op, p.z.compress(m), fragment)
	fs[0].Rsv = rsv1
	return fs
}

// unpack inflates a message if it came compressed, and demands that it did just
// when it should: from the threshold on, and only if that is shorter, or if a context
// learns by it.
func (p *peer) unpack(m *wstest.Frame, length int) (how string) {
	p.t.Helper()
	deflated := m.Rsv == rsv1
	p.took += len(m.Payload)
	short := length < p.z.threshold
	learning := !short && p.z.in.takeover && length <= learns
	switch {
	case deflated && short:
		p.mismatch(fmt.Sprintf("%d bytes compressed", length), "it as it is: it is short")
	case learning && len(m.Payload) <= length+investment:
	case !deflated && !short && p.shrinks:
		p.mismatch(fmt.Sprintf("%d bytes as they are", length), "them compressed")
	case deflated && len(m.Payload) >= length:
		p.mismatch(fmt.Sprintf("%d bytes compressed to %d", length, len(m.Payload)), "them as they are")
	}
	if deflated {
		b, err := p.z.inflate(m.Payload)
		if err != nil {
			p.mismatch(err.Error(), "a message")
		}
		m.Payload, m.Rsv = b, 0
	}
	switch {
	case short:
		return ", plain"
	case learning:
	case p.shrinks:
		return ", compressed"
	}
	return "" // as the engine likes
}
