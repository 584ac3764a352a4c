package deflate

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	kpflate "github.com/klauspost/compress/flate"

	"github.com/perchws/perch/internal/puff"
)

// chat is n bytes of JSON as a chat sends it: the same for the same seed.
func chat(seed uint64, n int) []byte {
	words := strings.Fields("hello room the of general message what is up tomorrow we meet at noon deploy failed again ünïcödé 会议")
	r := rand.New(rand.NewPCG(seed, 0))
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, `{"type":"message","message":{"id":"%08x","message_type":"text","content":"`, r.Uint32())
		for range 3 + r.IntN(12) {
			b.WriteString(words[r.IntN(len(words))] + " ")
		}
		fmt.Fprintf(&b, `","sender_id":"u%d","timestamp":"2026-01-02T03:%02d:%02d.%03dZ"},"offset":%d}`,
			r.IntN(1000), r.IntN(60), r.IntN(60), r.IntN(1000), r.IntN(100000))
	}
	return b.Bytes()[:n]
}

// noise does not shrink.
func noise(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// standard inflates with the standard library.
func standard(p, before []byte) ([]byte, error) {
	in := io.MultiReader(bytes.NewReader(p), strings.NewReader(tail))
	return io.ReadAll(flate.NewReaderDict(in, before))
}

// standardCompress deflates with the standard library, and flushes as often as
// p has pieces of size n.
func standardCompress(t testing.TB, p, before []byte, n, level int) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriterDict(&b, level, before)
	if err != nil {
		t.Fatal(err)
	}
	for piece := range slicesOf(p, n) {
		w.Write(piece)
		w.Flush()
	}
	return bytes.TrimSuffix(b.Bytes(), []byte(flushed))
}

// last is the end of b that a window holds.
func last(b []byte, bits int) []byte { return b[max(0, len(b)-1<<bits):] }

// checkMessages sends messages from a Compressor to a Decompressor with a window
// of its own, and to two other inflaters.
func checkMessages(t *testing.T, c *Compressor, d *Decompressor, list [][]byte, bits int, takeover bool) {
	t.Helper()
	ours, theirs := NewWindow(bits), NewWindow(bits)
	var said []byte // what was compressed so far
	for i, p := range list {
		var out, got []byte
		var ok bool
		var err error
		if takeover {
			out, ok = c.CompressNext([]byte("head"), p, ours)
		} else {
			out, ok = c.Compress([]byte("head"), p, bits)
		}
		most := len(p) - 1
		if takeover && len(p) <= ShortMessage {
			most = len(p) + investment
		}
		if string(out[:4]) != "head" || ok != (len(out)-4 > 0) || ok && len(out)-4 > most {
			t.Fatalf("message %d of %d bytes: %d bytes, %t", i, len(p), len(out)-4, ok)
		}
		if !ok {
			continue
		}
		out = out[4:]
		before := last(said, bits)
		if !takeover {
			before = nil
		}
		if got, err = standard(out, before); err != nil || !bytes.Equal(got, p) {
			t.Fatalf("message %d of %d bytes, standard library: %d bytes, %v", i, len(p), len(got), err)
		}
		second, err := puff.Inflate(out, before)
		if err != nil || !bytes.Equal(second.Payload, p) {
			t.Fatalf("message %d of %d bytes, puff: %d bytes, %v", i, len(p), len(second.Payload), err)
		}
		if second.Farthest > 1<<bits {
			t.Fatalf("message %d refers %d bytes back, the window is %d", i, second.Farthest, 1<<bits)
		}
		if takeover {
			got, err = d.DecompressNext([]byte("head"), out, len(p), theirs)
		} else {
			got, err = d.Decompress([]byte("head"), out, len(p))
		}
		if err != nil || !bytes.Equal(got, append([]byte("head"), p...)) {
			t.Fatalf("message %d of %d bytes: %d bytes, %v", i, len(p), len(got)-4, err)
		}
		said = append(said, p...)
		if takeover && (!bytes.Equal(ours.b, last(said, bits)) || !bytes.Equal(theirs.b, last(said, bits)) || cap(ours.b) > 1<<bits) {
			t.Fatalf("message %d: windows of %d and %d bytes (room for %d), want %d", i, len(ours.b), len(theirs.b), cap(ours.b), len(last(said, bits)))
		}
	}
}

// One Compressor and one Decompressor for all: windows small and large,
// messages of every kind, of one connection and of others in between.
func TestRoundTrip(t *testing.T) {
	var c Compressor
	var d Decompressor
	list := [][]byte{nil, []byte("a"), chat(1, 1024), chat(1, 1024), noise(1, 1024), chat(2, 200), chat(3, 31), chat(4, 127), chat(5, 128),
		chat(6, 5000), chat(7, 32767), chat(8, 32768), chat(9, 40000), make([]byte, 70000), chat(1, 1024), noise(2, 70000), chat(10, 100000), chat(1, 1024)}
	for _, bits := range []int{8, 9, 12, 15} {
		edges := slices.Clone(list)
		for _, n := range []int{-1, 0, 1, 44} {
			edges = append(edges, chat(11, 1<<bits/2+n), chat(12, 1<<bits+n))
		}
		for _, takeover := range []bool{false, true} {
			checkMessages(t, &c, &d, edges, bits, takeover)
		}
	}
}

// A single byte less is a gain, the same length is none.
func TestGain(t *testing.T) {
	var c Compressor
	var b bytes.Buffer
	w, err := kpflate.NewWriter(&b, kpflate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{} // by how much shorter
	for n := 10; n < 300; n += 10 {
		for again := range 50 {
			p := noise(1, n)
			p = append(p, p[:min(again, n)]...)
			b.Reset()
			w.Reset(&b)
			w.Write(p)
			w.Flush()
			want := bytes.TrimSuffix(b.Bytes(), []byte(flushed))
			gain := len(p) - len(want)
			seen[gain] = true
			out, ok := c.Compress([]byte("head"), p, 15)
			if ok != (gain > 0) || ok && !bytes.Equal(out[4:], want) || !ok && string(out) != "head" {
				t.Fatalf("%d bytes: %d, %t; they can be %d", len(p), len(out)-4, ok, len(want))
			}
		}
	}
	if !seen[-1] || !seen[0] || !seen[1] {
		t.Errorf("gains of %v: the edge is not among them", slices.Sorted(maps.Keys(seen)))
	}
}

// What other compressors make, however hard they try and however often they flush.
func TestInflateStandard(t *testing.T) {
	var d Decompressor
	for _, p := range [][]byte{nil, []byte("a"), chat(1, 1024), noise(1, 1024), chat(2, 40000), make([]byte, 100000)} {
		for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, flate.BestSpeed, flate.DefaultCompression, flate.BestCompression} {
			for _, n := range []int{300, 4096, 1 << 20} {
				in := standardCompress(t, p, nil, n, level)
				if got, err := d.Decompress(nil, in, len(p)); err != nil || !bytes.Equal(got, p) {
					t.Fatalf("%d bytes, level %d, flushed every %d: %d bytes, %v", len(p), level, n, len(got), err)
				}
			}
		}
	}
}

// Messages cut out of the input go through windows of every size.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("Hello, Hello, Hello, Hello, Hello, Hello, Hello, Hello, Hello, Hello!"), uint8(15), uint16(20))
	f.Add(chat(1, 3000), uint8(8), uint16(1000))
	f.Add(chat(2, 3000), uint8(9+128), uint16(700))
	f.Add(append(chat(3, 600), noise(1, 600)...), uint8(10), uint16(600))
	f.Add(make([]byte, 2000), uint8(12+128), uint16(130))
	f.Fuzz(func(t *testing.T, in []byte, bits uint8, cut uint16) {
		if len(in) > 4096 {
			return // repeated below
		}
		var list [][]byte
		for piece := range slicesOf(bytes.Repeat(in, 1+int(bits>>4&7)), 1+int(cut)) {
			if list = append(list, piece); len(list) == 20 {
				break
			}
		}
		checkMessages(t, new(Compressor), new(Decompressor), list, 8+int(bits&7), bits&128 != 0)
	})
}

// checkSecond inflates in, and has a second inflater do it too.
func checkSecond(t *testing.T, d *Decompressor, in, before []byte, most int) (ok bool) {
	t.Helper()
	w := NewWindow(15)
	w.slide(before)
	got, err := d.DecompressNext([]byte("head"), in, most, w)
	if string(got[:4]) != "head" || err != nil && len(got) != 4 || most > 0 && len(got)-4 > most {
		t.Fatalf("%x: %d bytes of at most %d, %v", in, len(got)-4, most, err)
	}
	second, err2 := puff.Inflate(in, last(before, 15))
	if plain, ok := bytes.CutSuffix(in, []byte(flushed)); err2 != nil && ok && len(plain) > 0 {
		second, err2 = puff.Inflate(plain, last(before, 15))
	} else if len(in) == 0 {
		err2 = nil
	}
	want := second.Payload
	tooMuch := most > 0 && len(want) > most
	switch {
	case err == nil && err2 == nil && bytes.Equal(got[4:], want):
		return true
	case err != nil && (err2 != nil || tooMuch || second.Odd):
		return false
	case err == error(ErrBlocks) && len(in) > 11*freeBlocks: // none is shorter than 90 bits
		return false
	}
	t.Fatalf("%x: %d bytes, %v; puff: %d bytes, %v", in, len(got)-4, err, len(want), err2)
	return false
}

// Every bit of a message turned, every byte left out, and every cut: far more
// messages that almost are right than a fuzzer finds.
func TestEveryBitTurned(t *testing.T) {
	var d Decompressor
	before := chat(1, 100)
	p := chat(2, 300)
	for _, in := range [][]byte{
		standardCompress(t, p, before, 200, flate.BestCompression),
		standardCompress(t, p[:60], before, 20, flate.BestSpeed),
		standardCompress(t, p[:30], nil, 10, flate.NoCompression),
		unhex(t, "f3 48 cd c9 c9 07 00 f2 48 05 00 00 00 ff ff ca c9 c9 07 00"),
	} {
		if !checkSecond(t, &d, in, before, 0) {
			t.Fatalf("%x is refused", in)
		}
		for i := range in {
			for bit := range 8 {
				turned := bytes.Clone(in)
				turned[i] ^= 1 << bit
				checkSecond(t, &d, turned, before, 0)
			}
			checkSecond(t, &d, append(bytes.Clone(in[:i]), in[i+1:]...), before, 0)
			checkSecond(t, &d, in[:i], before, 0)
		}
	}
}

// checkLibraries inflates in, and has two libraries do it too: one stream, as they
// have no notion of a message. Input that they take must be taken, to the same end; input
// that they refuse must be refused, unless it goes on behind a final block.
func checkLibraries(t *testing.T, d *Decompressor, in, before []byte) {
	t.Helper()
	w := NewWindow(15)
	w.slide(before)
	got, err := d.DecompressNext(nil, in, 0, w)
	for name, newReader := range map[string]func(io.Reader, []byte) io.ReadCloser{"standard library": flate.NewReaderDict, "klauspost": kpflate.NewReaderDict} {
		from := strings.NewReader(string(in) + tail) // an io.ByteReader: what is behind the end is not read
		want, err2 := io.ReadAll(newReader(from, last(before, 15)))
		if plain, ok := strings.CutSuffix(string(in), flushed); err2 != nil && ok && plain != "" {
			from = strings.NewReader(plain + tail)
			want, err2 = io.ReadAll(newReader(from, last(before, 15)))
		} else if len(in) == 0 {
			want, err2 = nil, nil
			from.Reset("")
		}
		switch left := from.Len(); {
		case err == error(ErrBlocks) && len(in) > 11*freeBlocks:
		case err2 == nil && left > 0: // a stream ended; ours may have gone on with the next
			if err == nil && !bytes.HasPrefix(got, want) {
				t.Fatalf("%x: %d bytes, %s: %d other ones", in, len(got), name, len(want))
			}
		case (err == nil) != (err2 == nil), err == nil && !bytes.Equal(got, want):
			t.Fatalf("%x: %d bytes, %v; %s: %d bytes, %v", in, len(got), err, name, len(want), err2)
		}
	}
}

// Every block that compressors make, with some bits turned: two libraries and
// we say the same of it.
func FuzzLibraries(f *testing.F) {
	for _, level := range []int{flate.HuffmanOnly, flate.BestSpeed, flate.DefaultCompression, flate.BestCompression} {
		f.Add(standardCompress(f, chat(1, 2000), nil, 600, level), []byte{}, uint32(0))
		f.Add(standardCompress(f, append(noise(1, 300), chat(1, 1000)...), chat(1, 500), 1300, level), chat(1, 500), uint32(1))
	}
	f.Add(append(emptyDynamic(), 0), []byte("Hello"), uint32(7))
	var d Decompressor
	f.Fuzz(func(t *testing.T, in, before []byte, seed uint32) {
		checkLibraries(t, &d, in, before)
		r := rand.New(rand.NewPCG(uint64(seed), 2))
		// The same as content, compressed well and not so well; and that with a few faults.
		level := int(seed%12) - 2
		made := standardCompress(t, in, last(before, 15), 1+int(seed>>4%5000), level)
		checkLibraries(t, &d, made, before)
		if got, err := d.DecompressNext(nil, made, 0, &Window{b: bytes.Clone(last(before, 15)), bits: 15}); (err != nil || !bytes.Equal(got, in)) && (err != error(ErrBlocks) || level != flate.HuffmanOnly) {
			t.Fatalf("%x: %d bytes of %d, %v", made, len(got), len(in), err)
		}
		for range 1 + seed%4 {
			if len(made) > 0 {
				made[r.IntN(len(made))] ^= 1 << r.IntN(8)
				checkLibraries(t, &d, made, before)
			}
		}
	})
}

// What is no compressed message is refused, and what is one is read as a second
// inflater reads it.
func FuzzDecompress(f *testing.F) {
	for _, s := range []string{"f2 48 cd c9 c9 07 00", "f3 48 cd c9 c9 07 00 00", "00 05 00 fa ff 48 65 6c 6c 6f 00",
		"f2 48 05 00 00 00 ff ff ca c9 c9 07 00", "00", "03 00 03 00 00", "f2 00 11 00 00", ""} {
		f.Add(unhex(f, s), []byte("Hello"), uint16(5))
	}
	f.Add(standardCompress(f, chat(1, 2000), nil, 3000, 6), []byte{}, uint16(2000))
	f.Add(standardCompress(f, chat(1, 2000), chat(1, 500), 700, 9), chat(1, 500), uint16(3000))
	var d Decompressor
	f.Fuzz(func(t *testing.T, in, before []byte, most uint16) {
		checkSecond(t, &d, in, before, int(most))
	})
}
