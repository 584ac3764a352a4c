package frame

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// pieces cuts in: each byte of cuts is the length of a piece, what is left is one more.
func pieces(in, cuts []byte) (ps [][]byte) {
	for _, n := range cuts {
		if int(n) >= len(in) {
			break
		}
		ps = append(ps, in[:n])
		in = in[n:]
	}
	return append(ps, in)
}

// limitsOf makes limits of four bits.
func limitsOf(mode byte) (lim Limits) {
	lim.Client = mode&1 != 0
	if mode&2 != 0 {
		lim.RSV = RSV1
	}
	if mode&4 != 0 {
		lim.MaxMessage = 200
	}
	if mode&8 != 0 {
		lim.MaxFragments = 3
	}
	return lim
}

// outcome is all that a stream can come to: the messages, control frames and the
// error in their order; without an error also what is kept.
type outcome struct {
	lines      string
	left, part string
	idle       bool
}

// byReader reads with a Reader and joins the chunks here.
func byReader(t testing.TB, lim Limits, pieces [][]byte) outcome {
	r := new(Reader)
	tr := &tracer{t: t, from: r, lim: lim, joint: true}
	for _, p := range pieces {
		tr.feed(p)
	}
	o := outcome{lines: strings.Join(tr.lines, "\n")}
	if tr.err == nil {
		o.left, o.part, o.idle = string(tr.left), string(tr.part), r.Idle()
	}
	return o
}

// byAssembler has the Assembler join them.
func byAssembler(t testing.TB, lim Limits, pieces [][]byte) outcome {
	a := new(Assembler)
	tr := &tracer{t: t, from: a, lim: lim}
	for _, p := range pieces {
		tr.feed(p)
	}
	o := outcome{lines: strings.Join(tr.lines, "\n")}
	if tr.err == nil {
		o.left, o.part, o.idle = string(tr.left), string(a.Take()), a.Idle()
	}
	return o
}

// checkCuts demands that the stream comes to the same whole, cut, and byte by byte.
func checkCuts(t testing.TB, in, cuts []byte, lim Limits) {
	t.Helper()
	want := byReader(t, lim, [][]byte{in})
	for _, tt := range []struct {
		name string
		got  outcome
	}{
		{"Reader, cut", byReader(t, lim, pieces(in, cuts))},
		{"Reader, bytewise", byReader(t, lim, bytewise(in))},
		{"Assembler, whole", byAssembler(t, lim, [][]byte{in})},
		{"Assembler, cut", byAssembler(t, lim, pieces(in, cuts))},
		{"Assembler, bytewise", byAssembler(t, lim, bytewise(in))},
	} {
		if tt.got != want {
			t.Fatalf("%x, cuts %v, %+v\n%s:\n%+v\nReader, whole:\n%+v", in, cuts, lim, tt.name, tt.got, want)
		}
	}
}

// streams are seeds with something of everything, as a client sends them.
var streams = [][]byte{
	slices.Concat(up("text", "Hello, Wörld: a message that is longer than any word"), up("binary", "\xff\x00"), up("text", "")),
	slices.Concat(up("text+", "Gr\xc3"), up("ping", "\xff\xfe"), up("+", ""), up("+.", "\xbc\xc3\x9fe"), up("close", "\x03\xe8bye")),
	slices.Concat(up("binary+", strings.Repeat("x", 150)), up("+", strings.Repeat("y", 30)), up("+", "z"), up("+.", "end"), up("text", "€")),
	slices.Concat(up("text", strings.Repeat("é", 99)), up("pong", strings.Repeat("p", 125)), up("text+", "a"), up("text", "b")),
	slices.Concat(up("text", "ok"), up("text", "κόσμε\xf4\x90\x80\x80edited")),
	slices.Concat(up("text+", "\xe2\x82"), up("+.", "")),
	slices.Concat(up("binary", "ok"), header(OpBinary, true, 1<<40), []byte("begin")),
	append(up("text", "ok"), unhex("c1 83 01020304 00000000000000")...),
	append(up("text", "ok"), unhex("82 fe 0001 01020304 00")...),
	append(up("text", "ok"), unhex("82 ff 8000000000000000")...),
}

// Every stream cut in two at every place, and in three around every place.
func TestEveryCut(t *testing.T) {
	for _, in := range streams {
		for mode := range byte(16) {
			for cut := range min(len(in), 255) {
				lim := limitsOf(mode)
				want := byReader(t, lim, [][]byte{in})
				for _, cuts := range [][]byte{{byte(cut)}, {byte(cut), 1}, {byte(cut), 0, 5}} {
					if got := byReader(t, lim, pieces(in, cuts)); got != want {
						t.Fatalf("Reader: %x, cuts %v, %+v:\n%+v\nwhole:\n%+v", in, cuts, lim, got, want)
					}
					if got := byAssembler(t, lim, pieces(in, cuts)); got != want {
						t.Fatalf("Assembler: %x, cuts %v, %+v:\n%+v\nwhole:\n%+v", in, cuts, lim, got, want)
					}
				}
			}
		}
	}
}

// Any split of a stream comes to the same as no split. The pieces are copies and
// cleared once consumed; what is left over is presented again with more behind it.
func FuzzFeedChunks(f *testing.F) {
	for _, in := range streams {
		f.Add(in, []byte{1, 7, 3, 0, 40, 2}, byte(0))
		f.Add(in, []byte{9, 100, 1, 1, 1}, byte(14))
	}
	f.Add(slices.Concat(down("text+", "a"), down("ping", "p"), down("+.", "\xc3\xa9"), down("text", "done")), []byte{3, 1, 8}, byte(1))
	f.Fuzz(func(t *testing.T, in, cuts []byte, mode byte) {
		if len(in) > 4096 {
			in = in[:4096]
		}
		checkCuts(t, bytes.Clone(in), cuts, limitsOf(mode))
	})
}
