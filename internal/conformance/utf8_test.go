package conformance

import (
	"fmt"
	"unicode/utf8"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

const (
	kosme   = "κ\u1f79σμε" // five characters, eleven bytes: ό of Greek Extended has three
	umlauts = "Hello-µ@ßöäüàá-UTF-8!!"
)

// utf8Messages is families 6.1 to 6.4: text, whole and cut (RFC 6455 section 8.1).
func utf8Messages() []testCase {
	const bad = frame.CloseInvalidPayload
	octets := func(s string) []wstest.Frame { return wstest.Fragments(frame.OpText, []byte(s), 1) }
	surrogate := kosme + "\xed\xa0\x80edited" // the 13th byte decides
	return []testCase{
		{id: "6.1.1", desc: "empty text", script: echoed(atOnce, wstest.Text(""))},
		{id: "6.1.2", desc: "three empty fragments", script: echoed(atOnce, first(""), next(""), last(""))},
		{id: "6.1.3", desc: "three fragments, the outer ones empty", script: echoed(atOnce, first(""), next("middle frame payload"), last(""))},

		{id: "6.2.1", desc: "valid text", script: echoed(atOnce, wstest.Text(umlauts))},
		{id: "6.2.2", desc: "valid text, cut between characters", script: echoed(atOnce, first("Hello-µ@ßöä"), last("üàá-UTF-8!!"))},
		{id: "6.2.3", desc: "valid text in fragments of one octet", script: echoed(atOnce, octets(umlauts)...)},
		{id: "6.2.4", desc: "valid text in fragments of one octet", script: echoed(atOnce, octets(kosme)...)},

		{id: "6.3.1", desc: "invalid text", script: refused(bad, atOnce, wstest.Text(surrogate))},
		{id: "6.3.2", desc: "invalid text in fragments of one octet", script: refused(bad, atOnce, octets(surrogate)...)},

		{id: "6.4.1", desc: "fail fast: invalid in the second of three fragments", script: failFastFragment(kosme, "\xf4\x90\x80\x80")},
		{id: "6.4.2", desc: "fail fast: second fragment ends with the bad octet", script: failFastFragment(kosme+"\xf4", "\x90")},
		{id: "6.4.3", desc: "fail fast: invalid in the second of three chops", script: failFastChop(kosme, "\xf4\x90\x80\x80", "edited")},
		{id: "6.4.4", desc: "fail fast: second chop ends with the bad octet", script: failFastChop(kosme+"\xf4", "\x90", "\x80\x80edited")},
	}
}

// failFastFragment sends a good fragment, sees by a ping that it was taken, and
// then a bad one. The third is never sent.
func failFastFragment(good, bad string) func(*peer) {
	return func(p *peer) {
		p.send(first(good), wstest.Ping("still there?"))
		p.pong("still there?")
		p.send(next(bad))
		p.ends(frame.CloseInvalidPayload)
	}
}

// failFastChop does the same within one frame, where only silence can tell that
// the good part was taken. The rest is never sent.
func failFastChop(good, bad, rest string) func(*peer) {
	return func(p *peer) {
		b := p.c.Encode(wstest.Text(good + bad + rest))
		b = b[:len(b)-len(rest)]
		p.raw(b[:len(b)-len(bad)])
		p.silence()
		p.raw(b[len(b)-len(bad):])
		p.ends(frame.CloseInvalidPayload)
	}
}

// utf8Sequences is families 6.5 to 6.23: one sequence each, in one frame. The
// invalid ones come twice more: octet by octet, and (-mid) in the middle of a
// long frame that is sent only up to the first octet that cannot be right.
func utf8Sequences() []testCase {
	var cases []testCase
	for i, group := range sequences() {
		for j, s := range group.list {
			c := testCase{
				id:     id(6, 5+i, 1+j),
				desc:   fmt.Sprintf("%s: % x", group.name, s),
				script: echoed(atOnce, wstest.Text(s)),
			}
			if utf8.ValidString(s) {
				cases = append(cases, c)
				continue
			}
			c.script = refused(frame.CloseInvalidPayload, atOnce, wstest.Text(s))
			octets := c
			octets.id += "-octets"
			octets.desc += ", octet by octet"
			octets.script = refused(frame.CloseInvalidPayload, octetWise, wstest.Text(s))
			mid := c
			mid.id += "-mid"
			mid.desc += ", no octet after the bad one"
			mid.script = midFrame(s)
			cases = append(cases, c, octets, mid)
		}
	}
	return cases
}

// midFrame announces a long text and stops at the first bad octet in it.
func midFrame(s string) func(*peer) {
	return func(p *peer) {
		text := kosme + s + "edited" + string(content(frame.OpText, 1000))
		b := p.c.Encode(wstest.Text(text))
		p.raw(b[:len(b)-len(text)+decided([]byte(text))])
		p.ends(frame.CloseInvalidPayload)
	}
}

// decided is the length of the shortest prefix of b that no continuation can
// make valid, by the standard library alone.
func decided(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			k := 1
			for !utf8.FullRune(b[i : i+k]) {
				k++
			}
			return i + k
		}
		i += n
	}
	return len(b)
}
