package puff

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// noise does not repeat itself.
func noise(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// What is compressed here the standard library reads, and Inflate does.
func TestCompress(t *testing.T) {
	words := []byte(strings.Repeat("the quick brown fox jumps over the lazy dog; ", 3000))
	for name, p := range map[string][]byte{
		"nothing": nil, "one": {'a'}, "every byte": append(noise(5000), noise(5000)...), "words": words[:40000],
		"zeros": make([]byte, 40000), "zeros, the longest match": make([]byte, 1+maxMatch), "and one less": make([]byte, maxMatch),
	} {
		for _, window := range []int{8, 9, 12, 15} {
			for _, before := range [][]byte{nil, noise(40000), words} {
				out := Compress(p, before, window)
				before = before[max(0, len(before)-1<<window):]
				in := io.MultiReader(bytes.NewReader(out), strings.NewReader(tail))
				if got, err := io.ReadAll(flate.NewReaderDict(in, before)); err != nil || !bytes.Equal(got, p) {
					t.Fatalf("%s, %d bits, after %d bytes: standard library: %d bytes, %v", name, window, len(before), len(got), err)
				}
				m, err := Inflate(out, before)
				if err != nil || !bytes.Equal(m.Payload, p) || m.Odd {
					t.Fatalf("%s, %d bits, after %d bytes: %d bytes, odd %t, %v", name, window, len(before), len(m.Payload), m.Odd, err)
				}
				if m.Farthest > 1<<window {
					t.Fatalf("%s, %d bits: refers %d bytes back", name, window, m.Farthest)
				}
			}
		}
	}
}

// References go to the edge of the window, and not a byte beyond.
func TestCompressToTheEdge(t *testing.T) {
	for window := 8; window <= 15; window++ {
		size := 1 << window
		b := noise(size)
		for _, tt := range []struct {
			before  []byte
			reaches bool
		}{
			{b, true},
			{append([]byte("x"), b...), true},
			{append(bytes.Clone(b), 'x'), false}, // one byte too far for the first
		} {
			out := Compress(b[:size/2], tt.before, window)
			m, err := Inflate(out, tt.before)
			if err != nil || !bytes.Equal(m.Payload, b[:size/2]) {
				t.Fatalf("%d bits: %v", window, err)
			}
			if tt.reaches != (m.Farthest == size) {
				t.Errorf("%d bits, after %d bytes: refers %d back", window, len(tt.before), m.Farthest)
			}
			if tt.reaches && len(out) > 40+size/2/maxMatch*4 {
				t.Errorf("%d bits: %d bytes", window, len(out))
			}
		}
	}
}

func TestInflateRefuses(t *testing.T) {
	good := Compress([]byte(strings.Repeat("hello ", 20)), []byte("hello "), 15)
	if _, err := Inflate(good, []byte("hello ")); err != nil {
		t.Fatal(err)
	}
	for name, message := range map[string][]byte{
		"refers to what was not said": good,
		"cut":                         good[:len(good)-4],
		"reserved block":              {0x06},
		"repeats no length":           {0x04, 0x00, 0xfe, 0xff, 0xff},
		"stored length does not fit":  {0x00, 0x01, 0x00, 0x00, 0x00, 'a'},
	} {
		if m, err := Inflate(message, nil); !errors.Is(err, ErrCorrupt) || m.Payload != nil {
			t.Errorf("%s: %q, %v", name, m.Payload, err)
		}
	}
}
