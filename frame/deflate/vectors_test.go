package deflate

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/perchws/perch/frame"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// messages gives wire, cut after every n bytes, to an Assembler, and inflates
// what comes out.
func messages(t *testing.T, wire []byte, n int, w *Window) (got []string) {
	t.Helper()
	var a frame.Assembler
	var d Decompressor
	lim := frame.Limits{RSV: frame.RSV1, Client: true}
	var b []byte
	for piece := range slicesOf(wire, n) {
		b = append(b, piece...)
		for {
			ev, m, err := a.Next(b, &lim)
			if err != nil {
				t.Fatal(err)
			}
			b = b[m:]
			if ev.Kind == frame.NeedMore {
				break
			}
			if ev.Rsv != frame.RSV1 {
				got = append(got, string(ev.Payload))
				continue
			}
			out, err := []byte(nil), error(nil)
			if w == nil {
				out, err = d.Decompress(nil, ev.Payload, 0)
			} else {
				out, err = d.DecompressNext(nil, ev.Payload, 0, w)
			}
			if err != nil || !frame.ValidUTF8(out) {
				t.Fatalf("%x: %q, %v", ev.Payload, out, err)
			}
			got = append(got, string(out))
		}
	}
	return got
}

func slicesOf(b []byte, n int) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for ; len(b) > n; b = b[n:] {
			if !yield(b[:n]) {
				return
			}
		}
		yield(b)
	}
}

// The examples of RFC 7692 §7.2.3, as frames.
func TestVectors(t *testing.T) {
	for _, tt := range []struct {
		name, wire string
		takeover   bool
		want       []string
	}{
		{"7.2.3.1", "c1 07 f2 48 cd c9 c9 07 00", false, []string{"Hello"}},
		{"7.2.3.1 fragmented", "41 03 f2 48 cd 80 04 c9 c9 07 00", false, []string{"Hello"}},
		{"7.2.3.1 a ping in between", "41 03 f2 48 cd 89 00 80 04 c9 c9 07 00", false, []string{"", "Hello"}},
		{"7.2.3.1 empty fragments", "41 00 00 03 f2 48 cd 00 00 00 04 c9 c9 07 00 80 00", false, []string{"Hello"}},
		{"7.2.3.2", "c1 07 f2 48 cd c9 c9 07 00 c1 05 f2 00 11 00 00", true, []string{"Hello", "Hello"}},
		{"7.2.3.2 without a window", "c1 07 f2 48 cd c9 c9 07 00 c1 07 f2 48 cd c9 c9 07 00", false, []string{"Hello", "Hello"}},
		{"7.2.3.2 plain in between", "c1 07 f2 48 cd c9 c9 07 00 81 03 79 6f 75 c1 05 f2 00 11 00 00", true, []string{"Hello", "you", "Hello"}},
		{"7.2.3.3", "c1 0b 00 05 00 fa ff 48 65 6c 6c 6f 00", false, []string{"Hello"}},
		{"7.2.3.4", "c1 08 f3 48 cd c9 c9 07 00 00", false, []string{"Hello"}},
		{"7.2.3.4 without the last octet", "c1 07 f3 48 cd c9 c9 07 00", false, []string{"Hello"}},
		{"7.2.3.4 twice in a message", "c1 0f f3 48 cd c9 c9 07 00 f3 48 cd c9 c9 07 00 00", false, []string{"HelloHello"}},
		{"7.2.3.4 and another block", "c1 0e f3 48 cd c9 c9 07 00 f2 48 cd c9 c9 07 00", false, []string{"HelloHello"}},
		{"7.2.3.5", "c1 0d f2 48 05 00 00 00 ff ff ca c9 c9 07 00", false, []string{"Hello"}},
		{"7.2.3.6", "c1 01 00 81 00", false, []string{"", ""}},
		{"7.2.3.6 another empty block", "c1 02 02 00", false, []string{""}},
	} {
		wire := unhex(t, tt.wire)
		for n := 1; n <= len(wire); n++ {
			var w *Window
			if tt.takeover {
				w = NewWindow(15)
			}
			got := messages(t, bytes.Clone(wire), n, w)
			if strings.Join(got, "|") != strings.Join(tt.want, "|") {
				t.Fatalf("%s, by %d bytes: %q, want %q", tt.name, n, got, tt.want)
			}
			if tt.takeover && string(w.b) != "HelloHello" {
				t.Fatalf("%s: window %q", tt.name, w.b)
			}
		}
	}
}

// The other way. "Hello" alone we leave as it is: so little is stored, and stored
// it does not shrink.
func TestVectorsCompress(t *testing.T) {
	var c Compressor
	for _, s := range []string{"", "H", "Hello"} {
		if out, ok := c.Compress([]byte("x"), []byte(s), 15); ok || string(out) != "x" {
			t.Errorf("%q: %q, %t", s, out, ok)
		}
	}
	long := []byte(strings.Repeat("Hello", 300))
	w := NewWindow(15)
	for i := range 3 {
		out, ok := c.CompressNext([]byte("x"), long, w)
		if !ok || len(out) > 60 || out[0] != 'x' {
			t.Fatalf("message %d: %d bytes, %t", i, len(out), ok)
		}
		got, err := standard(out[1:], bytes.Repeat(long, i))
		if err != nil || !bytes.Equal(got, long) {
			t.Fatalf("message %d: %.20q, %v", i, got, err)
		}
	}
}

// A final block ends the window: what it said cannot be referred to, as in zlib.
func TestFinalBlockEndsWindow(t *testing.T) {
	var d Decompressor
	for _, tt := range []struct{ name, message, window string }{
		{"at the end", "f3 48 cd c9 c9 07 00 00", ""},
		{"at the very end", "f3 48 cd c9 c9 07 00", ""},
		{"in the middle", "f3 48 cd c9 c9 07 00 f2 48 cd c9 c9 07 00", "Hello"},
		{"at the start, empty", "03 00 f2 48 cd c9 c9 07 00", "Hello"},
	} {
		w := NewWindow(15)
		w.slide([]byte("before"))
		if _, err := d.DecompressNext(nil, unhex(t, tt.message), 0, w); err != nil || string(w.b) != tt.window {
			t.Errorf("%s: window %q, want %q; %v", tt.name, w.b, tt.window, err)
		}
	}
	// The second message refers to the first.
	w := NewWindow(15)
	d.DecompressNext(nil, unhex(t, "f3 48 cd c9 c9 07 00 00"), 0, w)
	if out, err := d.DecompressNext(nil, unhex(t, "f2 00 11 00 00"), 0, w); err != error(ErrCorrupt) {
		t.Errorf("%q, %v", out, err)
	}
}
