package frame

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// header is a first frame's header alone, of a payload that is never sent.
func header(op Opcode, fin bool, length int64) []byte {
	return AppendHeader(nil, Header{Fin: fin, Opcode: op, Masked: true, Key: testKey, Length: length})
}

// rsv1 sets that bit of the first frame.
func rsv1(wire []byte) []byte {
	wire[0] |= 0x40
	return wire
}

// Limits are judged on the header: a message is refused before a byte of the frame
// that crosses the limit is taken, and one byte less is not refused.
func TestMaxMessage(t *testing.T) {
	const tooBig = "1009 message too big"
	ten := Limits{MaxMessage: 10}
	for _, tt := range []struct {
		name string
		lim  Limits
		wire []byte
		want []string
	}{
		{"at the limit", ten, up("text", "0123456789"), []string{`text "0123456789"`}},
		{"one over", ten, up("text", "0123456789a"), []string{tooBig}},
		{"one over, header alone", ten, header(OpText, true, 11), []string{tooBig}},
		{"one over, first fragment", ten, header(OpText, false, 11), []string{tooBig}},
		{"as a client", Limits{MaxMessage: 10, Client: true}, down("text", "0123456789a"), []string{tooBig}},
		{"three frames at the limit", ten, slices.Concat(up("text+", "0123"), up("+", "456"), up("+.", "789")),
			[]string{`text part "0123"`, `text part "456"`, `text last "789"`}},
		{"crossed by the third", ten, slices.Concat(up("text+", "0123"), up("+", "456"), header(OpContinuation, true, 4)),
			[]string{`text part "0123"`, `text part "456"`, tooBig}},
		{"empty frames at the limit", ten, slices.Concat(up("text+", "0123456789"), up("+", ""), up("+.", "")),
			[]string{`text part "0123456789"`, `text part ""`, `text last ""`}},
		{"counted anew", ten, slices.Concat(up("text+", "01234"), up("+.", "56789"), up("binary", "0123456789"), up("text+", "0123456789")),
			[]string{`text part "01234"`, `text last "56789"`, `binary "0123456789"`, `text part "0123456789"`}},
		{"control frames are no part of it", ten, slices.Concat(up("text+", "0123456789"), up("ping", "0123456789a"), up("+.", "")),
			[]string{`text part "0123456789"`, `ping "0123456789a"`, `text last ""`}},
		{"a control frame over it", ten, up("pong", "0123456789a"), []string{`pong "0123456789a"`}},
		{"2^63 - 1 of no limit", server, header(OpBinary, true, math.MaxInt64), nil},
		{"2^63 - 1", Limits{MaxMessage: math.MaxInt64 - 1}, header(OpBinary, true, math.MaxInt64), []string{tooBig}},
		{"2^63", Limits{MaxMessage: math.MaxInt64}, slices.Concat(up("binary+", "a"), header(OpContinuation, true, math.MaxInt64)),
			[]string{`binary part "a"`, tooBig}},
		{"a length without a zero byte", Limits{MaxMessage: 1000}, append(header(OpBinary, true, 0x0101010101010101), strings.Repeat("\x01", 300)...), []string{tooBig}},
		{"2^63 - 1 in two frames", Limits{MaxMessage: math.MaxInt64}, slices.Concat(up("binary+", "a"), header(OpContinuation, true, math.MaxInt64-1)),
			[]string{`binary part "a"`}},
		{"compressed, the same limit", Limits{MaxMessage: 10, RSV: RSV1}, rsv1(up("text", "0123456789a")), []string{tooBig}},
		{"compressed, a limit of its own", Limits{MaxMessage: 10, MaxRSV: 12, RSV: RSV1}, rsv1(up("text", "0123456789ab")), []string{`text rsv 4 "0123456789ab"`}},
		{"compressed, one over that", Limits{MaxMessage: 10, MaxRSV: 12, RSV: RSV1}, rsv1(header(OpText, true, 13)), []string{tooBig}},
		{"compressed, in its second frame", Limits{MaxMessage: 10, MaxRSV: 12, RSV: RSV1}, slices.Concat(rsv1(up("binary+", "0123456789")), header(OpContinuation, true, 3)),
			[]string{`binary part rsv 4 "0123456789"`, tooBig}},
		{"plain, where a compressed one may be longer", Limits{MaxMessage: 10, MaxRSV: 12, RSV: RSV1}, slices.Concat(up("binary+", "0123456789"), header(OpContinuation, true, 1)),
			[]string{`binary part "0123456789"`, tooBig}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantLines(t, trace(t, new(Reader), tt.lim, tt.wire), tt.want...)
		})
	}
	for _, n := range []int{125, 126, 65535, 65536, 1 << 20} {
		p := strings.Repeat("x", n)
		wantLines(t, trace(t, new(Reader), Limits{MaxMessage: int64(n)}, up("text", p)), "text "+brief([]byte(p)))
		wantLines(t, trace(t, new(Reader), Limits{MaxMessage: int64(n) - 1}, up("text", p)), tooBig)
	}
}

func TestMaxFragments(t *testing.T) {
	const tooMany = "1008 too many fragments"
	three := Limits{MaxFragments: 3}
	for _, tt := range []struct {
		name string
		lim  Limits
		wire []byte
		want []string
	}{
		{"at the limit", three, slices.Concat(up("text+", "a"), up("+", "b"), up("+.", "c")),
			[]string{`text part "a"`, `text part "b"`, `text last "c"`}},
		{"one over, in two bytes", three, slices.Concat(up("text+", "a"), up("+", "b"), up("+", "c"), up("+.", "d")[:2]),
			[]string{`text part "a"`, `text part "b"`, `text part "c"`, tooMany}},
		{"empty ones count", three, slices.Concat(up("text+", ""), up("+", ""), up("+", ""), up("+.", "")),
			[]string{`text part ""`, `text part ""`, `text part ""`, tooMany}},
		{"control frames do not", three, slices.Concat(up("text+", "a"), up("ping", ""), up("+", "b"), up("pong", ""), up("+.", "c")),
			[]string{`text part "a"`, `ping ""`, `text part "b"`, `pong ""`, `text last "c"`}},
		{"counted anew", three, slices.Concat(up("text+", "a"), up("+", "b"), up("+.", "c"), up("text+", "d"), up("+", "e"), up("+.", "f")),
			[]string{`text part "a"`, `text part "b"`, `text last "c"`, `text part "d"`, `text part "e"`, `text last "f"`}},
		{"no fragments at all", Limits{MaxFragments: 1}, slices.Concat(up("text", "a"), up("text", "b"), up("text+", "c"), up("+.", "d")),
			[]string{`text "a"`, `text "b"`, `text part "c"`, tooMany}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantLines(t, trace(t, new(Reader), tt.lim, tt.wire), tt.want...)
		})
	}
}

// What a header announces costs nothing until it comes.
func TestAnnouncedCostsNothing(t *testing.T) {
	var a Assembler
	lim := Limits{MaxMessage: 16 << 20}
	b := append(header(OpBinary, true, 16<<20), "begin"...)
	ev, n, err := a.Next(b, &lim)
	if ev.Kind != NeedMore || n != len(b) || err != nil {
		t.Fatalf("%v, %d, %v", ev, n, err)
	}
	if got := a.Buffered(); got != 5 {
		t.Errorf("%d bytes kept, 5 came", got)
	}
	if got := cap(a.Take()); got > 64 {
		t.Errorf("room for %d bytes, 5 came", got)
	}
}

// Without a limit on fragments, a million empty ones are a matter of time only.
func TestEmptyFragmentsKeepNothing(t *testing.T) {
	var a Assembler
	wire := up("text+", "")
	if _, _, err := a.Next(wire, &server); err != nil {
		t.Fatal(err)
	}
	for range 1_000_000 {
		frame := [6]byte{0x00, 0x80, 1, 2, 3, 4}
		if ev, n, err := a.Next(frame[:], &server); ev.Kind != NeedMore || n != 6 || err != nil {
			t.Fatalf("%v, %d, %v", ev, n, err)
		}
	}
	if a.Buffered() != 0 || cap(a.Take()) != 0 {
		t.Errorf("%d bytes kept", a.Buffered())
	}
	if ev, _, err := a.Next(up("+.", ""), &server); ev.Kind != Message || len(ev.Payload) != 0 || err != nil {
		t.Errorf("%v, %v", ev, err)
	}
}
