package frame

import (
	"slices"
	"strings"
	"testing"
)

var (
	server = Limits{}             // what a server accepts
	client = Limits{Client: true} // what a client accepts
)

// Sequences of frames as a server gets them, in one piece. Each one is read again
// as a client would get it.
var sequences = []struct {
	name   string
	frames []string // name and payload in turn: see up
	want   []string
}{
	{"text", []string{"text", "Hello"}, []string{`text "Hello"`}},
	{"binary", []string{"binary", "\x00\xff"}, []string{`binary "\x00\xff"`}},
	{"empty text", []string{"text", ""}, []string{`text ""`}},
	{"empty binary", []string{"binary", ""}, []string{`binary ""`}},
	{"two in a row", []string{"text", "a", "binary", "b"}, []string{`text "a"`, `binary "b"`}},
	{"ping, pong, close", []string{"ping", "p", "pong", "", "close", "\x03\xe8bye"}, []string{`ping "p"`, `pong ""`, `close "\x03\xe8bye"`}},
	{"longest control frame", []string{"ping", strings.Repeat("p", 125)}, []string{`ping ` + brief([]byte(strings.Repeat("p", 125)))}},
	{"fragments", []string{"text+", "Hel", "+", "l", "+.", "o"}, []string{`text part "Hel"`, `text part "l"`, `text last "o"`}},
	{"two fragmented messages", []string{"text+", "a", "+.", "b", "binary+", "c", "+.", "d"},
		[]string{`text part "a"`, `text last "b"`, `binary part "c"`, `binary last "d"`}},
	{"control between fragments", []string{"text+", "a", "ping", "1", "+", "b", "pong", "2", "ping", "3", "+.", "c"},
		[]string{`text part "a"`, `ping "1"`, `text part "b"`, `pong "2"`, `ping "3"`, `text last "c"`}},
	{"close between fragments", []string{"binary+", "a", "close", ""}, []string{`binary part "a"`, `close ""`}},
	{"empty fragments", []string{"text+", "", "+", "", "+.", ""}, []string{`text part ""`, `text part ""`, `text last ""`}},
	{"empty last fragment", []string{"text+", "a", "+.", ""}, []string{`text part "a"`, `text last ""`}},
	{"character over two fragments", []string{"text+", "\xe2", "+", "", "+.", "\x82\xac"}, []string{`text part "\xe2"`, `text part ""`, `text last "\x82\xac"`}},
	{"character around a ping", []string{"text+", "\xf0\x9f", "ping", "\xff", "+.", "\x98\x80"}, []string{`text part "\xf0\x9f"`, `ping "\xff"`, `text last "\x98\x80"`}},
	{"binary is not text", []string{"binary", "\xff", "binary+", "\xc3", "+.", "\x28"}, []string{`binary "\xff"`, `binary part "\xc3"`, `binary last "("`}},
	{"text after a binary one", []string{"binary+", "\xc3", "+.", "", "text", "a"}, []string{`binary part "\xc3"`, `binary last ""`, `text "a"`}},
}

func TestReaderSequences(t *testing.T) {
	for _, tt := range sequences {
		t.Run(tt.name, func(t *testing.T) {
			var sent, received []byte
			for i := 0; i < len(tt.frames); i += 2 {
				sent = append(sent, up(tt.frames[i], tt.frames[i+1])...)
				received = append(received, down(tt.frames[i], tt.frames[i+1])...)
			}
			wantLines(t, trace(t, new(Reader), server, sent), tt.want...)
			wantLines(t, trace(t, new(Reader), client, received), tt.want...)
		})
	}
}

// Every length at which the header or a way through the reader changes.
func TestReaderLengths(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 7, 8, 63, 64, 65, 124, 125, 126, 127, 255, 256, 65534, 65535, 65536, 65537, 1 << 20} {
		for _, name := range []string{"text", "binary"} {
			p := strings.Repeat("é", n/2) + strings.Repeat("x", n%2)
			want := name + " " + brief([]byte(p))
			wantLines(t, trace(t, new(Reader), server, up(name, p)), want)
			wantLines(t, trace(t, new(Reader), client, down(name, p)), want)
		}
	}
}

// A payload that comes in pieces is handed on in pieces, and nothing is kept.
func TestReaderChunks(t *testing.T) {
	wire := up("text", "Hello")
	for _, tt := range []struct {
		name string
		cuts []int
		want []string
	}{
		{"within the header", []int{1}, []string{`text "Hello"`}},
		{"before the key", []int{2}, []string{`text "Hello"`}},
		{"within the key", []int{5}, []string{`text "Hello"`}},
		{"behind the header", []int{6}, []string{`text last "Hello"`}},
		{"in the payload", []int{9}, []string{`text part "Hel"`, `text last "lo"`}},
		{"twice", []int{7, 10}, []string{`text part "H"`, `text part "ell"`, `text last "o"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var pieces [][]byte
			at := 0
			for _, cut := range append(tt.cuts, len(wire)) {
				pieces = append(pieces, wire[at:cut])
				at = cut
			}
			wantLines(t, trace(t, new(Reader), server, pieces...), tt.want...)
		})
	}
}

// Idle is false from a first fragment's header to the message's last byte, also
// between its frames, and an idle Reader is the zero value.
func TestReaderIdle(t *testing.T) {
	wire := slices.Concat(up("text+", "ab"), up("ping", "p"), up("+.", "c"), up("ping", "q"), up("text", "d"))
	first, last := 6, len(up("text+", "ab"))+len(up("ping", "p"))+len(up("+.", "c"))
	lastHeader := len(wire) - 1
	var r Reader
	tr := &tracer{t: t, from: &r, lim: server}
	for i, piece := range bytewise(wire) {
		n := i + 1
		tr.feed(piece)
		want := n < first || n >= last && n < lastHeader || n == len(wire)
		if r.Idle() != want {
			t.Errorf("after %d bytes Idle is %v", n, !want)
		}
		if want && r != (Reader{}) {
			t.Errorf("after %d bytes an idle Reader is %+v", n, r)
		}
	}
}

// Payloads lie in the bytes given, and cannot be appended to over the next frame.
func TestReaderInPlace(t *testing.T) {
	b := slices.Concat(up("text", "Hello"), up("ping", "ab"), up("text+", "cd"), up("+.", "ef"))
	var r Reader
	for _, at := range []int{6, 6, 6, 6} {
		ev, n, err := r.Next(b, &server)
		if err != nil || len(ev.Payload) == 0 {
			t.Fatalf("%v, %v", ev, err)
		}
		if &ev.Payload[0] != &b[at] || cap(ev.Payload) != len(ev.Payload) {
			t.Errorf("%v %q: not in place, or with room for %d", ev.Kind, ev.Payload, cap(ev.Payload))
		}
		b = b[n:]
	}
}

// With a reserved bit negotiated, a first frame may carry it, and compressed text
// is not checked: it is text only after inflating.
func TestReaderRSV(t *testing.T) {
	rsv1 := func(frame []byte) []byte { frame[0] |= RSV1 << 4; return frame }
	lim := Limits{RSV: RSV1}
	wantLines(t, trace(t, new(Reader), lim, rsv1(up("text", "\xff")), up("text", "a")), `text rsv 4 "\xff"`, `text "a"`)
	wantLines(t, trace(t, new(Reader), lim, rsv1(up("text+", "\xff")), up("ping", ""), up("+.", "\xfe")),
		`text part rsv 4 "\xff"`, `ping ""`, `text last rsv 4 "\xfe"`)
	wantLines(t, trace(t, new(Reader), lim, rsv1(up("binary+", "a")), up("+.", "b"), up("text", "\xff")),
		`binary part rsv 4 "a"`, `binary last rsv 4 "b"`, "1007 text is not UTF-8")
	wantLines(t, trace(t, new(Reader), lim, up("text+", "a"), rsv1(up("+.", "b"))), `text part "a"`, "1002 reserved bit set")
	wantLines(t, trace(t, new(Reader), lim, rsv1(up("ping", ""))), "1002 reserved bit set")
}
