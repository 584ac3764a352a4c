package frame

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
)

// testKey has four different bytes, so that a wrong rotation shows.
const testKey = 0x3d21fa37 // the key of RFC 6455 §5.7: 37 fa 21 3d

// octets makes bytes of binary digits; spaces are for the eye.
func octets(digits string) (b []byte) {
	digits = strings.ReplaceAll(digits, " ", "")
	if len(digits)%8 != 0 {
		panic("octets: not whole bytes: " + digits)
	}
	for ; digits != ""; digits = digits[8:] {
		var v byte
		for _, c := range digits[:8] {
			if c != '0' && c != '1' {
				panic("octets: not binary: " + digits)
			}
			v = v<<1 | byte(c-'0')
		}
		b = append(b, v)
	}
	return b
}

// unhex makes bytes of hexadecimal digits; spaces are for the eye.
func unhex(digits string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// up is a client's frame with testKey. A name like "text" is a final frame,
// "text+" one that the message goes on after, "+text" its opcode on the wire is
// continuation: so "text+", "+", "+." is a message of three frames.
func up(name, payload string) []byte {
	h := Header{Masked: true, Key: testKey, Length: int64(len(payload))}
	h.Fin, h.Opcode = frameName(name)
	b := AppendHeader(nil, h)
	for i, c := range []byte(payload) {
		b = append(b, c^byte(uint32(testKey)>>(8*(i%4))))
	}
	return b
}

// down is the same frame as up, as a server sends it.
func down(name, payload string) []byte {
	h := Header{Length: int64(len(payload))}
	h.Fin, h.Opcode = frameName(name)
	return append(AppendHeader(nil, h), payload...)
}

func frameName(name string) (fin bool, op Opcode) {
	switch name {
	case "+":
		return false, OpContinuation
	case "+.":
		return true, OpContinuation
	}
	first, more := strings.CutSuffix(name, "+")
	i := slices.Index(opcodeNames[:], first)
	if first == "" || i < 0 {
		panic("no such frame: " + name)
	}
	return !more, Opcode(i)
}

// next is what Reader and Assembler have in common.
type next interface {
	Next(b []byte, lim *Limits) (Event, int, error)
}

// tracer feeds bytes as a connection would and writes down one line an event. It
// holds the reader to its contract: nothing but the consumed bytes may change, what
// NeedMore leaves is short and means the same again, and what was consumed may be
// overwritten at once.
type tracer struct {
	t     testing.TB
	from  next
	lim   Limits
	joint bool // write a message as one line, however many chunks it had

	lines []string
	left  []byte
	part  []byte // the chunks so far, if joint
	first Subject
	err   error
}

// feed presents one piece behind what was left.
func (tr *tracer) feed(piece []byte) {
	tr.t.Helper()
	if tr.err != nil {
		return
	}
	b := slices.Concat(tr.left, piece)
	for {
		before := bytes.Clone(b)
		ev, n, err := tr.from.Next(b, &tr.lim)
		if err != nil {
			tr.fail(ev, err)
			return
		}
		if n < 0 || n > len(b) || !bytes.Equal(b[n:], before[n:]) {
			tr.t.Fatalf("Next consumed %d of %d bytes and changed more: %x, was %x", n, len(b), b, before)
		}
		if ev.Kind != NeedMore {
			if n == 0 {
				tr.t.Fatalf("%v without consuming anything", ev)
			}
			tr.write(ev)
		}
		clear(b[:n])
		b = b[n:]
		if ev.Kind == NeedMore {
			break
		}
	}
	if len(b) >= MaxHeaderSize+MaxControlPayload {
		tr.t.Fatalf("NeedMore leaves %d bytes", len(b))
	}
	if ev, n, err := tr.from.Next(b, &tr.lim); ev.Kind != NeedMore || n != 0 || err != nil {
		tr.t.Fatalf("NeedMore, then with the same bytes %v, %d, %v", ev, n, err)
	}
	tr.left = bytes.Clone(b)
	clear(b)
}

func (tr *tracer) fail(ev Event, err error) {
	tr.t.Helper()
	var pe *ProtocolError
	if !errors.As(err, &pe) {
		tr.t.Fatalf("error %T: %v", err, err)
	}
	if ev.Kind != NeedMore || ev.Payload != nil {
		tr.t.Fatalf("both %v and %v", ev, err)
	}
	tr.err = err
	tr.lines = append(tr.lines, fmt.Sprintf("%d %s", pe.Code, pe.Reason))
}

func (tr *tracer) write(ev Event) {
	tr.t.Helper()
	line := ev.Opcode.String()
	switch ev.Kind {
	case Chunk:
		if tr.joint {
			if tr.part == nil {
				tr.first = ev.Subject
			}
			if ev.Opcode != tr.first.Opcode || ev.Rsv != tr.first.Rsv {
				tr.t.Fatalf("chunk %v of a message that began as %v", ev.Subject, tr.first)
			}
			tr.part = append(tr.part, ev.Payload...)
			if !ev.Fin {
				tr.part = tr.part[:len(tr.part):len(tr.part)]
				if tr.part == nil {
					tr.part = []byte{}
				}
				return
			}
			ev.Payload, tr.part = tr.part, nil
		} else if ev.Fin {
			line += " last"
		} else {
			line += " part"
		}
	case Message:
		if !ev.Opcode.IsData() || !ev.Fin {
			tr.t.Fatalf("message %v", ev.Subject)
		}
	case Control:
		if !ev.Opcode.IsControl() || ev.Rsv != 0 {
			tr.t.Fatalf("control frame %v", ev.Subject)
		}
	}
	if ev.Rsv != 0 {
		line += fmt.Sprintf(" rsv %d", ev.Rsv)
	}
	tr.lines = append(tr.lines, line+" "+brief(ev.Payload))
}

// brief is p in a line: quoted, or length and checksum.
func brief(p []byte) string {
	if len(p) > 48 {
		return fmt.Sprintf("%d bytes %08x", len(p), crc32.ChecksumIEEE(p))
	}
	return fmt.Sprintf("%q", p)
}

// trace is the whole life of a reader in lines.
func trace(t testing.TB, from next, lim Limits, pieces ...[]byte) []string {
	t.Helper()
	tr := &tracer{t: t, from: from, lim: lim}
	for _, p := range pieces {
		tr.feed(p)
	}
	return tr.lines
}

// bytewise cuts b into pieces of one byte.
func bytewise(b []byte) (pieces [][]byte) {
	return slices.Collect(slices.Chunk(b, 1))
}

func wantLines(t testing.TB, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}
