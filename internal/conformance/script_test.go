package conformance

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

// hello is the small message of the suite.
const hello = "Hello, world!"

// notText is a small binary payload that is not UTF-8.
const notText = "\x00\xff\xfe\xfd\xfc\xfb\x00\xff"

// msg is a message in one frame.
func msg(op frame.Opcode, payload []byte) wstest.Frame {
	return wstest.Frame{Op: op, Payload: payload}
}

// first and next are fragments of a text message, more to follow; last ends it.
func first(s string) wstest.Frame {
	return wstest.Frame{Op: frame.OpText, Payload: []byte(s), More: true}
}
func next(s string) wstest.Frame { return wstest.Frame{Payload: []byte(s), More: true} }
func last(s string) wstest.Frame { return wstest.Frame{Payload: []byte(s)} }

// How the bytes of a script go out.
type sender func(p *peer, fs ...wstest.Frame)

func atOnce(p *peer, fs ...wstest.Frame)    { p.send(fs...) }
func frameWise(p *peer, fs ...wstest.Frame) { p.each(fs...) }
func octetWise(p *peer, fs ...wstest.Frame) { p.chop(1, fs...) }
func chopped(n int) sender                  { return func(p *peer, fs ...wstest.Frame) { p.chop(n, fs...) } }

// joined is the content of the data frames.
func joined(fs []wstest.Frame) (b []byte) {
	for _, f := range fs {
		if !f.Op.IsControl() {
			b = append(b, f.Payload...)
		}
	}
	return b
}

// echoed sends the frames of one message, wants it back, and closes.
func echoed(out sender, fs ...wstest.Frame) func(*peer) {
	return func(p *peer) {
		out(p, fs...)
		p.echo(fs[0].Op, joined(fs))
		p.bye()
	}
}

// refused sends the frames and wants the connection failed with this code.
func refused(code frame.CloseCode, out sender, fs ...wstest.Frame) func(*peer) {
	return func(p *peer) {
		out(p, fs...)
		p.ends(code)
	}
}

// refusedAfter is refused after the echo of a first message.
func refusedAfter(code frame.CloseCode, out sender, fs ...wstest.Frame) func(*peer) {
	return func(p *peer) {
		out(p, append([]wstest.Frame{wstest.Text(hello)}, fs...)...)
		p.echo(frame.OpText, []byte(hello))
		p.ends(code)
	}
}

// content is n bytes that differ from place to place, so that no part can be
// lost, doubled or moved unseen: for text, characters of one to four bytes in
// numbered groups; for binary, noise.
func content(op frame.Opcode, n int) []byte {
	if op == frame.OpBinary {
		var seed [32]byte
		binary.LittleEndian.PutUint64(seed[:], uint64(n))
		b := make([]byte, n)
		rand.NewChaCha8(seed).Read(b)
		return b
	}
	b := make([]byte, 0, n+32)
	for i := 0; len(b) < n; i++ {
		b = strconv.AppendInt(b, int64(i), 10)
		b = append(b, " κόσμε 鱸 🐟 "...)
	}
	b = b[:n]
	for i := n; i > 0 && !utf8.Valid(b[max(0, i-8):]); i-- {
		b[i-1] = '*' // do not end within a character
	}
	return b
}

// size writes a length the way the suite does.
func size(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return strconv.Itoa(n>>20) + " MiB"
	case n >= 1<<10 && n%(1<<10) == 0:
		return strconv.Itoa(n>>10) + " KiB"
	}
	return strconv.Itoa(n) + " bytes"
}

// table is every case, in the order of the golden files.
func table() []testCase {
	var all []testCase
	for _, family := range [][]testCase{
		framing(), pings(), reservedBits(), opcodes(), fragmentation(),
		utf8Messages(), utf8Sequences(), closing(), limits(), roundTrips(), autoFragmentation(),
		differentPayloads(), differentParameters(),
		masking(), lengths(), interleaving(), moreCodes(),
		compressedRSV(), compressedForms(), compressedFaults(), bombs(), takeovers(), settings(),
	} {
		all = append(all, family...)
	}
	return all
}

// playedBy leaves out the cases of the other role.
func playedBy(r role, all []testCase) []testCase {
	var cases []testCase
	for _, c := range all {
		if c.only == bothRoles || c.only == r {
			cases = append(cases, c)
		}
	}
	return cases
}

func id(parts ...any) string {
	return strings.ReplaceAll(strings.TrimSpace(fmt.Sprintln(parts...)), " ", ".")
}
