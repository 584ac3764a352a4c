package conformance

import (
	"bytes"
	"compress/flate"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/puff"
	"github.com/perchws/perch/internal/wstest"
)

// What the suite leaves out of RFC 7692: family x5.

// usual is how nearly all of it negotiates.
func usual() *terms { return &terms{offer: autobahnOffer, asks: []ask{{}}} }

// packedAs is a frame of a compressed message, its payload in hex.
func packedAs(op frame.Opcode, s string) wstest.Frame {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return wstest.Frame{Op: op, Payload: b, Rsv: rsv1}
}

// more is f with fragments to follow.
func more(f wstest.Frame) wstest.Frame { f.More = true; return f }

// goodPacked is "Hello" as RFC 7692 section 7.2.3.1 has it.
const goodPacked = "f2 48 cd c9 c9 07 00"

// compressedRSV is family x5.1: what RSV bits mean with permessage-deflate (RFC 7692
// section 6), and that the other two mean nothing yet.
func compressedRSV() []testCase {
	const fail = frame.CloseProtocolError
	text := packedAs(frame.OpText, goodPacked)
	half := more(packedAs(frame.OpText, "f2 48 cd"))
	var cases []testCase
	add := func(desc string, fs ...wstest.Frame) {
		cases = append(cases, testCase{id: id("x5.1", len(cases)+1), desc: desc, terms: usual(), script: refused(fail, atOnce, fs...)})
	}
	for _, op := range []frame.Opcode{frame.OpPing, frame.OpPong, frame.OpClose} {
		add(fmt.Sprintf("compressed %v", op), packedAs(op, "00"))
		add(fmt.Sprintf("compressed %v within a compressed text", op), half, packedAs(op, ""))
	}
	add("RSV1 on the second fragment of a compressed text", half, packedAs(frame.OpContinuation, "c9 c9 07 00"))
	add("RSV1 on the second fragment of a plain text", first("Hel"), packedAs(frame.OpContinuation, goodPacked))
	for _, rsv := range []byte{1, 2, 3, 5, 6, 7} {
		f := text
		f.Rsv = rsv
		add(fmt.Sprintf("text, RSV = %d", rsv), f)
	}
	cases = append(cases, testCase{id: id("x5.1", len(cases)+1), desc: "compressed text, permessage-deflate not negotiated",
		script: refused(fail, atOnce, text)})
	return cases
}

// compressedForms is family x5.2: the ways to write a message that RFC 7692 section
// 7.2.3 shows, and to cut it.
func compressedForms() []testCase {
	good := packedAs(frame.OpText, goodPacked)
	whole := func(s string) []wstest.Frame { return []wstest.Frame{packedAs(frame.OpText, s)} }
	var pieces []wstest.Frame
	for i, b := range good.Payload {
		pieces = append(pieces, wstest.Frame{Payload: []byte{b}, More: i < len(good.Payload)-1}, wstest.Frame{More: true})
	}
	pieces[0].Op, pieces[0].Rsv = frame.OpText, rsv1
	pieces = pieces[:len(pieces)-1]
	var cases []testCase
	for i, tt := range []struct {
		desc   string
		out    sender
		frames []wstest.Frame
		want   []string
	}{
		{"one block", atOnce, whole(goodPacked), []string{"Hello"}},
		{"one block, octet by octet", octetWise, whole(goodPacked), []string{"Hello"}},
		{"a fragment for each octet, and empty ones between", atOnce, pieces, []string{"Hello"}},
		{"the first fragment empty", atOnce, []wstest.Frame{more(packedAs(frame.OpText, "")), last(string(good.Payload))}, []string{"Hello"}},
		{"a stored block", atOnce, whole("00 05 00 fa ff 48 65 6c 6c 6f 00"), []string{"Hello"}},
		{"a final block, and an empty one", atOnce, whole("f3 48 cd c9 c9 07 00 00"), []string{"Hello"}},
		{"a final block alone", atOnce, whole("f3 48 cd c9 c9 07 00"), []string{"Hello"}},
		{"two blocks, flushed between", atOnce, whole("f2 48 05 00 00 00 ff ff ca c9 c9 07 00"), []string{"Hello"}},
		{"nothing", atOnce, whole("00"), []string{""}},
		{"an empty block of the fixed code", atOnce, whole("02 00"), []string{""}},
		{"10,000 empty blocks", atOnce, whole(strings.Repeat("00 00 00 ff ff", 10000) + goodPacked), []string{"Hello"}},
		{"plain ones between", atOnce, []wstest.Frame{good, wstest.Text("you"), first("a"), last("nd"), good, wstest.Text("")}, []string{"Hello", "you", "and", "Hello", ""}},
		{"characters cut by fragments", frameWise, []wstest.Frame{more(packedAs(frame.OpText, "00 08 00 f7 ff f0 9f")), next("\x90"), next("\x9f\xf0\x9f\x90"), last("\x9f\x00")}, []string{"🐟🐟"}},
	} {
		cases = append(cases, testCase{id: id("x5.2", i+1), desc: tt.desc, terms: usual(), script: func(p *peer) {
			tt.out(p, tt.frames...)
			for _, want := range tt.want {
				p.echo(frame.OpText, []byte(want))
			}
			p.bye()
		}})
	}
	return append(cases, testCase{id: "x5.2.14", desc: "pings within", terms: usual(), script: func(p *peer) {
		p.send(more(packedAs(frame.OpText, "f2 48")), wstest.Ping("one"), next("\xcd\xc9"), wstest.Ping("\xc9\x07"), last("\xc9\x07\x00"))
		p.pong("one")
		p.pong("\xc9\x07")
		p.echo(frame.OpText, []byte("Hello"))
		p.bye()
	}})
}

// compressedFaults is family x5.3: what is no compressed message. RFC 7692 names no
// code for it; it is data that does not fit its type.
func compressedFaults() []testCase {
	const fail = frame.CloseInvalidPayload
	var cases []testCase
	for i, tt := range []struct {
		desc   string
		frames []wstest.Frame
	}{
		{"the octets that are left off, alone", []wstest.Frame{packedAs(frame.OpBinary, "00 00 ff ff")}},
		{"a block of the reserved type", []wstest.Frame{packedAs(frame.OpBinary, "06")}},
		{"a stored block whose lengths disagree", []wstest.Frame{packedAs(frame.OpBinary, "00 05 00 fa fe 48 65 6c 6c 6f 00")}},
		{"a stored block that is cut", []wstest.Frame{packedAs(frame.OpBinary, "00 ff 7f 00 80 48 65 6c 6c 6f")}},
		{"a block that is cut", []wstest.Frame{packedAs(frame.OpBinary, "f2 48 cd")}},
		{"a block that is cut, in fragments", []wstest.Frame{more(packedAs(frame.OpBinary, "f2")), last("\x48\xcd")}},
		{"a code of lengths that is none", []wstest.Frame{packedAs(frame.OpBinary, "04 00 fe ff ff")}},
		{"garbage", []wstest.Frame{packedAs(frame.OpBinary, hex.EncodeToString([]byte("this was never compressed")))}},
		{"a reference to before the beginning", []wstest.Frame{packedAs(frame.OpBinary, "f2 00 11 00 00")}},
		{"a reference to the message before, without takeover", []wstest.Frame{packedAs(frame.OpBinary, goodPacked), packedAs(frame.OpBinary, "f2 00 11 00 00")}},
		{"text that is not UTF-8", []wstest.Frame{packedAs(frame.OpText, "00 02 00 fd ff c0 af 00")}},
		{"text that ends within a character", []wstest.Frame{packedAs(frame.OpText, "00 03 00 fc ff f0 9f 90 00")}},
		{"the rest of it in the next", []wstest.Frame{packedAs(frame.OpText, "00 02 00 fd ff f0 9f 00"), packedAs(frame.OpText, "00 02 00 fd ff 90 9f 00")}},
	} {
		cases = append(cases, testCase{id: id("x5.3", i+1), desc: tt.desc, terms: usual(), script: func(p *peer) {
			p.send(tt.frames...)
			if bytes.Equal(tt.frames[0].Payload, packedAs(0, goodPacked).Payload) {
				p.echo(frame.OpBinary, []byte("Hello"))
			}
			p.ends(fail)
		}})
	}
	return cases
}

// zeros is the compressed form of n of them: a thousandth.
func zeros(n int) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	piece := make([]byte, mib)
	w.Write(piece)
	w.Flush()
	out := bytes.Repeat(b.Bytes(), n/mib) // it refers to nothing before it
	b.Reset()
	w.Reset(&b)
	w.Write(piece[:n%mib])
	w.Flush()
	return append(out, bytes.TrimSuffix(b.Bytes(), []byte(flushed))...)
}

// bombs is family x5.4: the limit holds for what a message inflates to.
func bombs() []testCase {
	const fail = frame.CloseMessageTooBig
	text := func(n int) wstest.Frame {
		return wstest.Frame{Op: frame.OpText, Payload: zeros(n), Rsv: rsv1} // NUL is a character
	}
	cut := func(n int) []wstest.Frame {
		f := text(n)
		fs := wstest.Fragments(f.Op, f.Payload, kib)
		fs[0].Rsv = rsv1
		return fs
	}
	cases := []testCase{
		{desc: "exactly the limit", script: func(p *peer) {
			p.shrinks = true
			p.send(text(maxMessage))
			p.echo(frame.OpText, make([]byte, maxMessage))
			p.bye()
		}},
		{desc: "one byte over the limit", script: func(p *peer) { refused(fail, atOnce, text(maxMessage+1))(p) }},
		{desc: "one byte over the limit, in fragments", script: func(p *peer) { refused(fail, atOnce, cut(maxMessage+1)...)(p) }},
		{desc: "1 GiB in 1 MiB", script: func(p *peer) { refused(fail, atOnce, text(1<<30))(p) }},
		{desc: "1 GiB, and then no DEFLATE", script: func(p *peer) {
			f := text(1 << 30)
			f.Payload = append(f.Payload, 0x06)
			refused(fail, atOnce, f)(p)
		}},
	}
	for i := range cases {
		c := &cases[i]
		c.id, c.terms, c.large = id("x5.4", i+1), usual(), true
	}
	return cases
}

// takeovers is family x5.5: contexts that live on, and windows to the byte.
func takeovers() []testCase {
	var cases []testCase
	add := func(bits int, desc string, script func(p *peer)) {
		m := &terms{
			engine: perch.Compression{ServerTakeover: true, ClientTakeover: true, ServerWindow: bits, ClientWindow: bits},
			offer:  fmt.Sprint("permessage-deflate; client_max_window_bits; server_max_window_bits=", bits),
			asks:   []ask{{window: bits}},
		}
		cases = append(cases, testCase{id: id("x5.5", len(cases)+1), desc: fmt.Sprintf("window of %d, %s", bits, desc), terms: m, script: script})
	}
	for _, bits := range []int{9, 12, 15} {
		size := 1 << bits
		noise := content(frame.OpBinary, size)
		half := noise[:size/2]
		add(bits, "a reference to its very edge", func(p *peer) {
			p.tell(puff.Compress(noise, nil, bits), noise)
			p.tell(reaching(p, half, noise, bits, size), half)
			p.bye()
		})
		add(bits, "plain messages do not move it", func(p *peer) {
			p.tell(puff.Compress(noise, nil, bits), noise)
			p.send(msg(frame.OpBinary, noise[1:]), wstest.Frame{Op: frame.OpBinary, Payload: half, More: true}, last(""))
			p.echo(frame.OpBinary, noise[1:])
			p.echo(frame.OpBinary, half)
			p.tell(reaching(p, half, noise, bits, size), half)
			p.bye()
		})
		if bits < 15 { // beyond it no reference can be written
			add(bits, "a reference one byte beyond", func(p *peer) {
				p.tell(puff.Compress(noise, nil, bits), noise)
				p.tell(puff.Compress([]byte("x"), nil, bits), []byte("x"))
				p.send(wstest.Frame{Op: frame.OpBinary, Payload: reaching(p, half, append(bytes.Clone(noise), 'x'), bits+1, size+1), Rsv: rsv1})
				p.ends(frame.CloseInvalidPayload)
			})
		}
		add(bits, "a hundred messages at once, 997 bytes at a time", func(p *peer) {
			var (
				all  = payloads()[0].make()
				fs   []wstest.Frame
				want [][]byte
			)
			for i := range 100 {
				m := all.cut(i, 500+17*i)
				want = append(want, m)
				fs = append(fs, p.packed(frame.OpText, m, 100+i)...)
			}
			p.chop(997, fs...)
			before := len(p.seen)
			for _, m := range want {
				p.shrinks = true
				p.echo(frame.OpText, m)
			}
			p.seen = append(p.seen[:before], "100 × echo text")
			p.bye()
		})
		if size/2 < threshold {
			continue // it does not compress what is so short that two fit the window
		}
		add(bits, "the engine refers to its last message, too", func(p *peer) {
			m := content(frame.OpText, size/2)
			p.shrinks = true
			p.send(msg(frame.OpText, m), msg(frame.OpText, m))
			p.echo(frame.OpText, m)
			before := p.took
			p.echo(frame.OpText, m)
			if again := p.took - before; again*4 > before {
				p.mismatch(fmt.Sprintf("%d bytes, and again %d", before, again), "less of what was just said")
			}
			p.bye()
		})
	}
	return cases
}

// reaching compresses m so that it refers as far back as distance.
func reaching(p *peer, m, before []byte, bits, distance int) []byte {
	p.t.Helper()
	b := puff.Compress(m, before, bits)
	if back, err := puff.Inflate(b, before); err != nil || back.Farthest != distance {
		p.t.Fatalf("the case itself is wrong: refers %d bytes back, want %d; %v", back.Farthest, distance, err)
	}
	return b
}

// tell sends a message that was compressed to b, and wants it back.
func (p *peer) tell(b, m []byte) {
	p.t.Helper()
	p.send(wstest.Frame{Op: frame.OpBinary, Payload: b, Rsv: rsv1})
	p.echo(frame.OpBinary, m)
}
