package frame

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// The sequences of the Reader, but whole messages come out.
func TestAssemblerSequences(t *testing.T) {
	for _, tt := range []struct {
		name string
		wire []byte
		want []string
	}{
		{"whole", slices.Concat(up("text", "Hello"), up("binary", "")), []string{`text "Hello"`, `binary ""`}},
		{"fragments", slices.Concat(up("text+", "Hel"), up("+", "l"), up("+.", "o")), []string{`text "Hello"`}},
		{"two fragmented messages", slices.Concat(up("text+", "a"), up("+.", "b"), up("binary+", "c"), up("+.", "d")), []string{`text "ab"`, `binary "cd"`}},
		{"control between fragments", slices.Concat(up("text+", "a"), up("ping", "1"), up("+", "b"), up("ping", "2"), up("close", ""), up("+.", "c")),
			[]string{`ping "1"`, `ping "2"`, `close ""`, `text "abc"`}},
		{"empty fragments", slices.Concat(up("text+", ""), up("+", ""), up("+.", "")), []string{`text ""`}},
		{"character over two fragments", slices.Concat(up("text+", "\xe2"), up("+.", "\x82\xac")), []string{`text "€"`}},
		{"bad text in the second fragment", slices.Concat(up("text", "ok"), up("text+", "\xe2"), up("+.", "(")), []string{`text "ok"`, "1007 text is not UTF-8"}},
		{"fault behind a fragment", slices.Concat(up("text+", "a"), up("text", "b")), []string{"1002 new message within a message"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantLines(t, trace(t, new(Assembler), server, tt.wire), tt.want...)
			wantLines(t, trace(t, new(Assembler), server, bytewise(tt.wire)...), tt.want...)
		})
	}
	lim := Limits{RSV: RSV1}
	wire := slices.Concat(up("text+", "\xff"), up("+.", "b"))
	wire[0] |= RSV1 << 4
	wantLines(t, trace(t, new(Assembler), lim, wire), `text rsv 4 "\xffb"`)
}

// Sizes at which the header grows, each cut in the middle.
func TestAssemblerLengths(t *testing.T) {
	for _, n := range []int{0, 1, 2, 125, 126, 127, 65535, 65536, 65537} {
		p := strings.Repeat("€", n/3) + strings.Repeat("x", n%3)
		wire := up("text", p)
		wantLines(t, trace(t, new(Assembler), server, wire[:len(wire)/2], wire[len(wire)/2:]), "text "+brief([]byte(p)))
	}
}

// A message that came in one piece is not copied; one that came in two is, into the
// buffer given, which comes back.
func TestAssemblerBuffer(t *testing.T) {
	var a Assembler
	b := up("text", "Hello")
	ev, _, err := a.Next(b, &server)
	if err != nil || &ev.Payload[0] != &b[6] {
		t.Fatalf("%v, %v: copied", ev, err)
	}
	if a.Take() != nil {
		t.Error("a buffer, and none was given or needed")
	}

	buf := make([]byte, 100)
	a.Buffer(buf)
	for _, text := range []string{"Hello", "again"} {
		b = up("text", text)
		if ev, n, err := a.Next(b[:8], &server); ev.Kind != NeedMore || n != 8 || err != nil {
			t.Fatalf("%v, %d, %v", ev, n, err)
		}
		if a.Buffered() != 2 || a.Idle() {
			t.Errorf("Buffered %d, Idle %v; 2 bytes came", a.Buffered(), a.Idle())
		}
		clear(b[:8]) // what was consumed may be overwritten
		ev, n, err := a.Next(b[8:], &server)
		if ev.Kind != Message || !ev.Fin || ev.Opcode != OpText || n != 3 || err != nil || string(ev.Payload) != text {
			t.Fatalf("%v, %d, %v", ev, n, err)
		}
		if &ev.Payload[0] != &buf[0] {
			t.Error("not gathered in the buffer given")
		}
		clear(b)
		if string(ev.Payload) != text {
			t.Errorf("the payload %q depends on the input", ev.Payload)
		}
		if !a.Idle() {
			t.Error("not idle behind a message")
		}
	}
	if got := a.Take(); &got[:1][0] != &buf[0] {
		t.Error("Take returns another buffer")
	}
	if a.Take() != nil || a.Buffered() != 0 {
		t.Error("Take leaves something")
	}
}

// A buffer is emptied when it is given, and grows past its end.
func TestAssemblerBufferGrows(t *testing.T) {
	var a Assembler
	buf := []byte("old!")
	a.Buffer(buf)
	if a.Buffered() != 0 {
		t.Errorf("%d bytes of something else", a.Buffered())
	}
	p := strings.Repeat("x", 1000)
	wire := up("binary", p)
	var got Event
	for piece := range slices.Chunk(wire, 100) {
		ev, _, err := a.Next(piece, &server)
		if err != nil {
			t.Fatal(err)
		}
		got = ev
	}
	if string(got.Payload) != p {
		t.Errorf("%v %s", got.Kind, brief(got.Payload))
	}
	if got := a.Take(); cap(got) < 1000 {
		t.Errorf("the buffer that comes back has room for %d", cap(got))
	}
}

// A message in place behind a gathered one keeps the buffer for the next.
func TestAssemblerMixed(t *testing.T) {
	var a Assembler
	a.Buffer(make([]byte, 0, 64))
	wire := slices.Concat(up("text+", "a"), up("+.", "b"), up("text", "cd"), up("ping", "p"), up("text+", "e"), up("+.", "f"))
	var got []string
	for len(wire) > 0 {
		ev, n, err := a.Next(wire, &server)
		if err != nil || n == 0 {
			t.Fatalf("%v, %d, %v", ev, n, err)
		}
		got = append(got, string(ev.Payload))
		wire = wire[n:]
	}
	wantLines(t, got, "ab", "cd", "p", "ef")
	if cap(a.Take()) != 64 {
		t.Error("the buffer was changed for another")
	}
}

// NeedMore consumes what it can: header and payload as they come. It leaves a cut
// header, or a cut control frame, and those only.
func TestNeedMore(t *testing.T) {
	ping := up("ping", strings.Repeat("p", 125))
	for _, tt := range []struct {
		name string
		b    []byte
		n    int
	}{
		{"nothing", nil, 0},
		{"one byte", []byte{0x81}, 0},
		{"header without its key", up("text", "Hello")[:5], 0},
		{"header", up("text", "Hello")[:6], 6},
		{"header and payload", up("text", "Hello")[:10], 10},
		{"long header, cut", header(OpText, true, 1<<20)[:13], 0},
		{"long header", header(OpText, true, 1<<20), 14},
		{"fragment and cut header", append(up("text+", "abc"), up("+.", "d")[:3]...), 9},
		{"fragment and cut control frame", append(up("text+", "abc"), ping[:len(ping)-1]...), 9},
		{"two fragments", slices.Concat(up("text+", "abc"), up("+", "d")), 16},
		{"control frame, cut", ping[:len(ping)-1], 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var a Assembler
			before := bytes.Clone(tt.b)
			ev, n, err := a.Next(tt.b, &server)
			if ev.Kind != NeedMore || ev.Payload != nil || n != tt.n || err != nil {
				t.Fatalf("%v, %d, %v, want NeedMore and %d", ev, n, err, tt.n)
			}
			if !bytes.Equal(tt.b[n:], before[n:]) {
				t.Errorf("bytes left over changed: %x, was %x", tt.b[n:], before[n:])
			}
			if rest := len(tt.b) - n; rest >= MaxHeaderSize+MaxControlPayload {
				t.Errorf("%d bytes left over", rest)
			}
		})
	}
}
