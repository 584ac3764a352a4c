package frame

import (
	"bytes"
	"slices"
	"testing"
)

// Every rule of RFC 6455 §5 that a peer can break, once. before is legal; the
// fault is complete with the last byte of bad, and must be seen then: mostly after
// two bytes, with neither length nor payload there.
var readerFaults = []struct {
	name   string
	lim    Limits
	before []byte
	events []string
	// F RSV op   M length
	bad  string
	rest string // hex: what else it takes
	want *ProtocolError
}{
	{"RSV1", server, nil, nil, "1 100 0001 1 1111111", "", ErrRSV}, // §5.2
	{"RSV2", server, nil, nil, "1 010 0010 1 1111110", "", ErrRSV},
	{"RSV3", server, nil, nil, "1 001 0001 1 0000000", "", ErrRSV},
	{"RSV2 with RSV1 agreed", Limits{RSV: RSV1}, nil, nil, "1 110 0001 1 0000000", "", ErrRSV},
	{"RSV1 on a ping", Limits{RSV: RSV1}, nil, nil, "1 100 1001 1 0000000", "", ErrRSV}, // RFC 7692 §6.1
	{"RSV1 on a continuation", Limits{RSV: RSV1}, up("text+", "a"), []string{`text part "a"`}, "1 100 0000 1 0000000", "", ErrRSV},
	{"opcode 3", server, nil, nil, "1 000 0011 1 1111111", "", ErrOpcode},
	{"opcode 11", server, nil, nil, "1 000 1011 1 0000001", "", ErrOpcode},
	{"opcode 7 within a message", server, up("text+", "a"), []string{`text part "a"`}, "0 000 0111 1 0000001", "", ErrOpcode},
	{"unmasked text", server, nil, nil, "1 000 0001 0 0000101", "", ErrNotMasked}, // §5.1
	{"unmasked ping", server, nil, nil, "1 000 1001 0 0000000", "", ErrNotMasked},
	{"unmasked continuation", server, up("text+", "a"), []string{`text part "a"`}, "1 000 0000 0 0000001", "", ErrNotMasked},
	{"masked text from a server", client, nil, nil, "1 000 0001 1 0000101", "", ErrMasked},
	{"masked close from a server", client, nil, nil, "1 000 1000 1 0000000", "", ErrMasked},
	{"continuation first", server, nil, nil, "1 000 0000 1 0000001", "", ErrNoMessage}, // §5.4
	{"continuation not final", server, nil, nil, "0 000 0000 1 0000001", "", ErrNoMessage},
	{"continuation after a message", server, up("text", "a"), []string{`text "a"`}, "1 000 0000 1 1111111", "", ErrNoMessage},
	{"continuation after a last one", server, slices.Concat(up("text+", "a"), up("+.", "b")), []string{`text part "a"`, `text last "b"`}, "1 000 0000 1 0000001", "", ErrNoMessage},
	{"text within a message", server, up("text+", "a"), []string{`text part "a"`}, "1 000 0001 1 0000001", "", ErrInMessage},
	{"binary within a text", server, up("text+", "a"), []string{`text part "a"`}, "0 000 0010 1 1111111", "", ErrInMessage},
	{"text within a message, after a ping", server, slices.Concat(up("binary+", ""), up("ping", "")), []string{`binary part ""`, `ping ""`}, "1 000 0001 1 0000001", "", ErrInMessage},
	{"fragmented close", server, nil, nil, "0 000 1000 1 0000000", "", ErrControlFragment}, // §5.5
	{"fragmented ping", client, nil, nil, "0 000 1001 0 0000001", "", ErrControlFragment},
	{"ping of 126 bytes", server, nil, nil, "1 000 1001 1 1111110", "", ErrControlLong},
	{"close of 64 bits", client, nil, nil, "1 000 1000 0 1111111", "", ErrControlLong},
	{"125 in 16 bits", server, nil, nil, "1 000 0001 1 1111110", "007d", ErrLengthNotMinimal}, // §5.2
	{"65535 in 64 bits", server, nil, nil, "1 000 0010 1 1111111", "000000000000ffff", ErrLengthNotMinimal},
	{"2^63", server, nil, nil, "1 000 0010 1 1111111", "80", ErrLengthTopBit},
	{"2^63 in a continuation", client, down("text+", "a"), []string{`text part "a"`}, "1 000 0000 0 1111111", "80", ErrLengthTopBit},
}

func TestReaderFaults(t *testing.T) {
	for _, tt := range readerFaults {
		t.Run(tt.name, func(t *testing.T) {
			bad := append(octets(tt.bad), unhex(tt.rest)...)
			wire := slices.Concat(tt.before, bad)
			verdict := &tracer{t: t, from: new(Reader), lim: tt.lim}
			verdict.fail(Event{}, tt.want)
			want := slices.Concat(tt.events, verdict.lines)

			early := trace(t, new(Reader), tt.lim, tt.before, bad[:len(bad)-1])
			wantLines(t, early, tt.events...) // and no error yet
			wantLines(t, trace(t, new(Reader), tt.lim, wire), want...)
			wantLines(t, trace(t, new(Reader), tt.lim, wire, make([]byte, 200)), want...)
			wantLines(t, trace(t, new(Reader), tt.lim, append(wire, make([]byte, 200)...)), want...)
			ones := bytes.Repeat([]byte{1}, 300) // a length of 257, to one who takes it for a length
			wantLines(t, trace(t, new(Reader), tt.lim, append(wire, ones...)), want...)
			wantLines(t, trace(t, new(Reader), tt.lim, append([][]byte{tt.before}, bytewise(bad)...)...), want...)
		})
	}
}

// feedUntilFault presents wire byte by byte and returns how many it took.
func feedUntilFault(t *testing.T, wire []byte) (n int, err error) {
	t.Helper()
	tr := &tracer{t: t, from: new(Reader), lim: server}
	for _, piece := range bytewise(wire) {
		tr.feed(piece)
		n++
		if tr.err != nil {
			break
		}
	}
	return n, tr.err
}

// Bad text fails at its bad byte, in mid-frame, with the rest of the frame never
// sent (RFC 6455 §8.1), whether it came in one frame or in fragments.
func TestReaderTextFailsFast(t *testing.T) {
	for _, tt := range badTexts {
		t.Run(tt.name, func(t *testing.T) {
			wire := up("text", tt.text+"and so on")
			if n, err := feedUntilFault(t, wire); n != 6+tt.bad+1 || err != ErrUTF8 {
				t.Errorf("in a frame: %v after %d bytes, want %v after %d", err, n, ErrUTF8, 6+tt.bad+1)
			}
			wantLines(t, trace(t, new(Reader), server, wire), "1007 text is not UTF-8")
			wantLines(t, trace(t, new(Reader), server, wire[:6+tt.bad+1]), "1007 text is not UTF-8")

			// Every byte a fragment, pings between them.
			wire = up("text+", "")
			for i := range len(tt.text) {
				wire = slices.Concat(wire, up("ping", "\xff"), up("+", tt.text[i:i+1]))
			}
			want := 6 + (7+7)*(tt.bad+1)
			if n, err := feedUntilFault(t, wire); n != want || err != ErrUTF8 {
				t.Errorf("in fragments: %v after %d bytes, want %v after %d", err, n, ErrUTF8, want)
			}
		})
	}
}

// Text that ends within a character fails with its last byte, not before.
func TestReaderTextCutOff(t *testing.T) {
	for _, text := range []string{"\xc3", "ab\xe2\x82", "\xf0\x9f\x98"} {
		want := "1007 text is not UTF-8"
		wire := up("text", text)
		if n, err := feedUntilFault(t, wire); n != len(wire) || err != ErrUTF8 {
			t.Errorf("%q: %v after %d of %d bytes", text, err, n, len(wire))
		}
		wantLines(t, trace(t, new(Reader), server, wire), want)
		wantLines(t, trace(t, new(Reader), client, down("text", text)), want)

		parts := &tracer{t: t, from: new(Reader), lim: server}
		parts.feed(up("text+", text))
		parts.feed(up("+", ""))
		if parts.err != nil {
			t.Errorf("%q in a fragment: %v, but the character may go on", text, parts.err)
		}
		parts.feed(up("+.", ""))
		if parts.err != ErrUTF8 {
			t.Errorf("%q ended by an empty fragment: %v", text, parts.err)
		}
	}
}
