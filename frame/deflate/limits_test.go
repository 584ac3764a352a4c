package deflate

import (
	"bytes"
	"compress/flate"
	"errors"
	"math"
	"runtime"
	"strconv"
	"testing"

	"github.com/perchws/perch/frame"
)

// bomb is n MiB of zeros in about a thousandth of it.
func bomb(t testing.TB, n int) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	piece := make([]byte, 1<<20)
	w.Write(piece)
	w.Flush()
	first := b.Len()
	w.Write(piece)
	w.Flush()
	again := b.Bytes()[first:] // it refers to zeros before it, so it may stand any number of times
	return bytes.TrimSuffix(append(b.Bytes()[:first:first], bytes.Repeat(again, n-1)...), []byte(flushed))
}

// What is one byte over the limit is too big, whatever it is; at the limit it is
// not.
func TestMost(t *testing.T) {
	var d Decompressor
	for _, n := range []int{1, 2, 511, 512, 513, 1024, 32767, 32768, 32769, 65536} {
		for _, p := range [][]byte{make([]byte, n), noise(1, n), chat(1, n)} {
			in := standardCompress(t, p, nil, n, flate.BestSpeed)
			for _, room := range []int{0, n, n + 1, 2 * n} {
				dst := append(make([]byte, 0, 4+room), "head"...)
				for _, most := range []int{0, n, n + 1, math.MaxInt} {
					out, err := d.Decompress(dst, in, most)
					if err != nil || !bytes.Equal(out[4:], p) || string(out[:4]) != "head" {
						t.Fatalf("%d bytes, at most %d, room for %d: %d bytes, %v", n, most, room, len(out)-4, err)
					}
				}
				if n == 1 {
					continue // at most 0 is no limit
				}
				out, err := d.Decompress(dst, in, n-1)
				if !errors.Is(err, frame.ErrTooBig) || string(out) != "head" {
					t.Fatalf("%d bytes, one less allowed, room for %d: %d bytes, %v", n, room, len(out)-4, err)
				}
			}
		}
	}
}

// allocated is what f takes from the heap, in bytes.
func allocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// A gigabyte in a megabyte costs the limit in memory; and in time: the end of it,
// which is none, is not looked at.
func TestBomb(t *testing.T) {
	var d Decompressor
	small := bomb(t, 4)
	if out, err := d.Decompress(nil, small, 4<<20); err != nil || !bytes.Equal(out, make([]byte, 4<<20)) {
		t.Fatalf("4 MiB of it: %d bytes, %v", len(out), err)
	}
	if _, err := d.Decompress(nil, append(small, "no end"...), 0); err != error(ErrCorrupt) {
		t.Fatalf("4 MiB of it, and no end: %v", err)
	}
	in := append(bomb(t, 1024), "no end"...)
	if len(in) > 2<<20 {
		t.Fatalf("a bomb of %d bytes is none", len(in))
	}
	for _, most := range []int{1, 1 << 10, 64 << 10, 1 << 20} {
		var err error
		n := allocated(func() { _, err = d.Decompress(nil, in, most) })
		if !errors.Is(err, frame.ErrTooBig) {
			t.Fatalf("at most %d: %v", most, err)
		}
		if n > int64(4*most+4096) {
			t.Errorf("at most %d: %d bytes allocated", most, n)
		}
	}
}

// Blocks without content, of all kinds, cost what they are long.
func TestEmptyBlocks(t *testing.T) {
	var d Decompressor
	for name, block := range emptyBlocks() {
		in := append(bytes.Repeat(block, 64<<10/len(block)), 0)
		var out []byte
		var err error
		n := allocated(func() { out, err = d.Decompress(nil, in, 1) })
		if (name == "dynamic") != (err == error(ErrBlocks)) || name != "dynamic" && err != nil || len(out) != 0 {
			t.Errorf("%s: %d bytes, %v", name, len(out), err)
		}
		if n > 64<<10 {
			t.Errorf("%s: %d bytes allocated", name, n)
		}
	}
}

// At the limit of blocks with codes of their own, and one beyond; another message
// starts anew; and what was said allows for more.
func TestBlocks(t *testing.T) {
	var d Decompressor
	eight := emptyDynamic()
	free := bytes.Repeat(eight, freeBlocks/8)
	for range 2 {
		if out, err := d.Decompress(nil, append(bytes.Clone(free), 0), 0); err != nil || len(out) != 0 {
			t.Errorf("%d blocks: %d bytes, %v", freeBlocks, len(out), err)
		}
		if _, err := d.Decompress([]byte("head"), append(append(bytes.Clone(free), eight...), 0), 0); err != error(ErrBlocks) {
			t.Errorf("%d blocks: %v", freeBlocks+8, err)
		}
	}
	said := standardCompress(t, noise(1, 8*blockGain), nil, 8*blockGain, flate.NoCompression)
	in := append(append(append(bytes.Clone(said), flushed...), free...), eight...)
	if out, err := d.Decompress([]byte("head"), append(bytes.Clone(in), 0), 0); err != nil || len(out) != 4+8*blockGain {
		t.Errorf("%d blocks after %d bytes: %d bytes, %v", freeBlocks+8, 8*blockGain, len(out)-4, err)
	}
	if _, err := d.Decompress([]byte("head"), append(append(in, eight...), 0), 0); err != error(ErrBlocks) {
		t.Errorf("%d blocks after %d bytes: %v", freeBlocks+16, 8*blockGain, err)
	}
}

// A message that ends too early, or is none.
func TestCorrupt(t *testing.T) {
	var d Decompressor
	whole := standardCompress(t, chat(1, 3000), nil, 3000, flate.BestCompression)
	bad := map[string][]byte{
		"reserved block":          {0x06},
		"stored, wrong check":     unhex(t, "00 05 00 fa fe 48 65 6c 6c 6f 00"),
		"stored, too short":       unhex(t, "00 05 01 fa fe 48 65 6c 6c 6f 00"),
		"nothing to refer to":     unhex(t, "f2 00 11 00 00"),
		"text":                    []byte("Hello, this is no DEFLATE stream at all."),
		"zlib header":             append([]byte{0x78, 0x9c}, whole...),
		"the tail is there twice": append(bytes.Clone(whole), flushed+flushed...),
		"the tail alone":          []byte(flushed),
		"a byte behind":           append(bytes.Clone(whole), 0),
		"behind a final block":    append(unhex(t, "f3 48 cd c9 c9 07 00"), "garbage"...),
	}
	for cut := 1; cut < len(whole); cut++ {
		bad["cut at "+strconv.Itoa(cut)] = whole[:cut]
	}
	for name, in := range bad {
		out, err := d.Decompress([]byte("head"), in, 0)
		if err != error(ErrCorrupt) || string(out) != "head" {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
	if ErrCorrupt.Code != frame.CloseInvalidPayload {
		t.Error(ErrCorrupt)
	}
	// None of it is left behind.
	if out, err := d.Decompress(nil, whole, 3000); err != nil || !bytes.Equal(out, chat(1, 3000)) {
		t.Errorf("afterwards: %d bytes, %v", len(out), err)
	}
}

// What has only one meaning is taken: no bytes at all, and the four at the end that a
// sender should have left off, of one message after another.
func TestLenient(t *testing.T) {
	var d Decompressor
	w, v := NewWindow(15), NewWindow(15)
	for i, p := range [][]byte{chat(1, 3000), nil, chat(2, 40), noise(3, 300), chat(1, 2000), nil} {
		for _, level := range []int{flate.NoCompression, flate.BestSpeed, flate.BestCompression} {
			in := standardCompress(t, p, nil, 3000, level)
			if len(p) > 0 {
				in = append(in, flushed...)
			} else {
				in = nil
			}
			if out, err := d.DecompressNext([]byte("head"), in, 3000, w); err != nil || string(out) != "head"+string(p) {
				t.Errorf("message %d, level %d: %d bytes of %d, %v", i, level, len(out)-4, len(p), err)
			}
			v.slide(p)
		}
	}
	if !bytes.Equal(w.b, v.b) {
		t.Error("the window has moved otherwise")
	}
	if out, err := d.Decompress(nil, append(standardCompress(t, chat(1, 3000), nil, 3000, 6), flushed...), 2999); err != error(frame.ErrTooBig) {
		t.Errorf("the limit: %d bytes, %v", len(out), err)
	}
}

// A peer that goes farther back than its window was agreed to reach finds
// nothing there in another message, and its own bytes in this one.
func TestLargerWindow(t *testing.T) {
	var d Decompressor
	for bits := 8; bits < 15; bits++ {
		far := append(append(noise(1, 300), noise(2, 1<<bits)...), noise(1, 300)...)
		if out, err := d.DecompressNext(nil, standardCompress(t, far, nil, len(far), flate.BestCompression), 0, NewWindow(bits)); err != nil || !bytes.Equal(out, far) {
			t.Errorf("%d bits, one message: %d bytes, %v", bits, len(out), err)
		}
		w := NewWindow(bits)
		said := far[:300+1<<bits]
		w.slide(said)
		in := standardCompress(t, far[:300], said, 300, flate.BestCompression)
		if len(in) > 100 {
			t.Fatalf("%d bits: %d bytes do not refer to what was said", bits, len(in))
		}
		if out, err := d.DecompressNext(nil, in, 0, w); err != error(ErrCorrupt) {
			t.Errorf("%d bits, two messages: %d bytes, %v", bits, len(out), err)
		}
	}
}
