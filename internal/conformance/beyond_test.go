package conformance

import (
	"encoding/hex"
	"fmt"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

// What the suite leaves out: families x1 to x4.

// masking is family x1: RFC 6455 section 5.1, whose breach is a protocol error.
func masking() []testCase {
	const fail = frame.CloseProtocolError
	wrong := func(r role) wstest.MaskRule {
		if r == asClient {
			return wstest.MaskNever
		}
		return wstest.MaskAlways
	}
	var cases []testCase
	for i, r := range []role{asClient, asServer} {
		how := []string{"unmasked from a client", "masked from a server"}[i]
		rule := wrong(r)
		cases = append(cases,
			testCase{id: id("x1", i+1, 1), only: r, desc: "text " + how,
				script: refused(fail, atOnce, wstest.Frame{Op: frame.OpText, Payload: []byte(hello), Mask: rule})},
			testCase{id: id("x1", i+1, 2), only: r, desc: "empty text " + how,
				script: refused(fail, atOnce, wstest.Frame{Op: frame.OpText, Mask: rule})},
			testCase{id: id("x1", i+1, 3), only: r, desc: "ping " + how,
				script: refused(fail, atOnce, wstest.Frame{Op: frame.OpPing, Mask: rule})},
			testCase{id: id("x1", i+1, 4), only: r, desc: "close " + how,
				script: refused(fail, atOnce, wstest.Frame{Op: frame.OpClose, Payload: []byte("\x03\xe8"), Mask: rule})},
			testCase{id: id("x1", i+1, 5), only: r, desc: "second fragment " + how,
				script: refused(fail, atOnce, first("fragment1"), wstest.Frame{Payload: []byte("fragment2"), Mask: rule})},
		)
	}
	return append(cases, testCase{id: "x1.3.1", only: asClient, desc: "text with a mask key of zeros", script: func(p *peer) {
		p.raw(append([]byte{0x81, 0x80 | 13, 0, 0, 0, 0}, hello...))
		p.echo(frame.OpText, []byte(hello))
		p.bye()
	}})
}

// lengths is family x2: section 5.2, "the minimal number of bytes MUST be used",
// "the most significant bit MUST be 0"; and the limit, checked on the header.
func lengths() []testCase {
	const (
		fail   = frame.CloseProtocolError
		tooBig = frame.CloseMessageTooBig
	)
	text := []byte(hello)
	announce := func(n uint64) wstest.Frame { return wstest.Frame{Op: frame.OpBinary, Claim: n} }
	return []testCase{
		{id: "x2.1.1", desc: "13 bytes, length in 16 bits",
			script: refused(fail, atOnce, wstest.Frame{Op: frame.OpText, Payload: text, Form: wstest.Length16})},
		{id: "x2.1.2", desc: "13 bytes, length in 64 bits",
			script: refused(fail, atOnce, wstest.Frame{Op: frame.OpText, Payload: text, Form: wstest.Length64})},
		{id: "x2.1.3", desc: "125 bytes, length in 16 bits",
			script: refused(fail, atOnce, wstest.Frame{Op: frame.OpBinary, Payload: make([]byte, 125), Form: wstest.Length16})},
		{id: "x2.1.4", desc: "65535 bytes, length in 64 bits",
			script: refused(fail, atOnce, wstest.Frame{Op: frame.OpBinary, Payload: make([]byte, 65535), Form: wstest.Length64})},
		{id: "x2.1.5", desc: "ping, length in 16 bits",
			script: refused(fail, atOnce, wstest.Frame{Op: frame.OpPing, Payload: text, Form: wstest.Length16})},

		{id: "x2.2.1", desc: "2^63 bytes announced", script: refused(fail, atOnce, announce(1<<63))},
		{id: "x2.2.2", desc: "2^64 - 1 bytes announced", script: refused(fail, atOnce, announce(1<<64-1))},
		{id: "x2.2.3", desc: "2^63 - 1 bytes announced", script: refused(tooBig, atOnce, announce(1<<63-1))},

		{id: "x2.3.1", desc: "text of exactly the limit", script: func(p *peer) {
			echoed(atOnce, msg(frame.OpText, content(frame.OpText, maxMessage)))(p)
		}},
		{id: "x2.3.2", desc: "one byte over the limit announced", script: refused(tooBig, atOnce, announce(maxMessage+1))},
		{id: "x2.3.3", desc: "fragments, one byte over the limit announced by the last", script: func(p *peer) {
			p.send(first(hello), next(hello), wstest.Frame{Claim: maxMessage - 2*uint64(len(hello)) + 1})
			p.ends(tooBig)
		}},
		{id: "x2.3.4", desc: "fragments whose lengths add up to more than 2^63", script: func(p *peer) {
			p.send(first(hello), wstest.Frame{Claim: 1<<63 - 1})
			p.ends(tooBig)
		}},
	}
}

// interleaving is family x3: control frames where they hurt most (section 5.4),
// and headers that break two rules at once.
func interleaving() []testCase {
	const fail = frame.CloseProtocolError
	cases := []testCase{
		{id: "x3.1.1", desc: "ping and pong within a character, octet by octet", script: func(p *peer) {
			p.chop(1, first("\xf0\x9f"), wstest.Ping("\xff\xff"), wstest.Pong("\xff"), last("\x90\x9f"))
			p.pong("\xff\xff")
			p.echo(frame.OpText, []byte("🐟"))
			p.bye()
		}},
		{id: "x3.1.2", desc: "message ends within a character, in an empty fragment",
			script: refused(frame.CloseInvalidPayload, atOnce, first("\xf0\x9f"), last(""))},
		{id: "x3.1.3", desc: "bytes that are not UTF-8 in fragments of binary", script: echoed(octetWise,
			wstest.Fragments(frame.OpBinary, []byte(notText), 3)...)},
		{id: "x3.1.4", desc: "character begun in one message, ended in the next",
			script: refused(frame.CloseInvalidPayload, atOnce, wstest.Text("\xf0\x9f"), wstest.Text("\x90\x9f"))},
		{id: "x3.1.5", desc: "a hundred messages at once", script: func(p *peer) {
			var fs []wstest.Frame
			for i := range 100 {
				fs = append(fs, wstest.Text(fmt.Sprint("message ", i)))
			}
			p.send(fs...)
			for i := range 100 {
				p.echo(frame.OpText, fmt.Append(nil, "message ", i))
			}
			p.seen = []string{"100 × echo text"}
			p.bye()
		}},
		{id: "x3.2.1", desc: "close in two fragments", script: refused(fail, atOnce,
			wstest.Frame{Op: frame.OpClose, Payload: []byte("\x03\xe8"), More: true})},
		{id: "x3.2.2", desc: "close of 126 octets, header alone", script: refused(fail, atOnce,
			wstest.Frame{Op: frame.OpClose, Claim: 126})},
		{id: "x3.2.3", desc: "binary within a text message", script: refused(fail, atOnce,
			first("fragment1"), wstest.Frame{Op: frame.OpBinary, More: true}, last("fragment2"))},
	}
	for _, op := range []frame.Opcode{frame.OpContinuation, frame.OpText, frame.OpBinary, frame.OpPing, frame.OpPong} {
		for rsv := byte(1); rsv <= 7; rsv++ {
			f := wstest.Frame{Op: op, Rsv: rsv}
			fs := []wstest.Frame{f}
			if op == frame.OpContinuation {
				fs = []wstest.Frame{first("fragment1"), f}
			}
			cases = append(cases, testCase{
				id:     id("x3.3", uint8(op), rsv),
				desc:   fmt.Sprintf("%v, RSV = %d, header %s", op, rsv, hex.EncodeToString(f.Append(nil, false))),
				script: refused(fail, atOnce, fs...),
			})
		}
	}
	return cases
}

// moreCodes is family x4: close codes registered since the suite was written, and
// the edges of the ranges (section 7.4).
func moreCodes() []testCase {
	var cases []testCase
	for i, c := range []struct {
		code  frame.CloseCode
		legal bool
	}{
		{1, false}, {1012, true}, {1013, true}, {1014, true}, {1015, false}, {3001, true}, {3500, true}, {4001, true}, {5001, false}, {32768, false},
	} {
		cases = append(cases, codeCase(id("x4.1", i+1), c.code, c.legal))
	}
	return append(cases,
		testCase{id: "x4.2.1", desc: "close with an illegal code and a reason that is not UTF-8",
			script: refused(frame.CloseProtocolError, atOnce, wstest.Close(1005, "\xff"))},
		testCase{id: "x4.2.2", desc: "close with a reason that ends within a character",
			script: refused(frame.CloseInvalidPayload, atOnce, wstest.Close(1000, "\xf0\x9f\x90"))},
		testCase{id: "x4.2.4", desc: "close, then a text of 256 KiB: no RST before our close is read",
			script: refused(frame.CloseNormal, atOnce, wstest.Close(1000, ""), msg(frame.OpText, content(frame.OpText, 256<<10)))},
		testCase{id: "x4.2.3", desc: "close, octet by octet", script: refused(frame.CloseNormal, octetWise, wstest.Close(1000, hello))},
	)
}
