package deflate

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"

	"github.com/perchws/perch/internal/owner"
)

// Nothing is allocated for a message once there is room.
func TestNoAllocations(t *testing.T) {
	if owner.Enabled {
		t.Skip("the race detector allocates")
	}
	var c Compressor
	var d Decompressor
	out, back := make([]byte, 0, 8<<10), make([]byte, 0, 8<<10)
	p, loud := chat(1, 4000), noise(1, 4000)
	for bits := 9; bits <= 15; bits += 3 {
		ours, theirs := NewWindow(bits), NewWindow(bits)
		for name, f := range map[string]func(){
			"message": func() {
				out, _ = c.Compress(out[:0], p, bits)
				back, _ = d.Decompress(back[:0], out, len(p))
			},
			"takeover": func() {
				out, _ = c.CompressNext(out[:0], p, ours)
				back, _ = d.DecompressNext(back[:0], out, len(p), theirs)
			},
			"no gain": func() { out, _ = c.Compress(out[:0], loud, bits) },
			"too big": func() {
				out, _ = c.Compress(out[:0], p, bits)
				back, _ = d.Decompress(back[:0], out, 100)
			},
			"corrupt": func() { back, _ = d.Decompress(back[:0], loud, 8<<10) },
		} {
			for range 10 { // windows and tables have grown
				f()
			}
			if n := testing.AllocsPerRun(100, f); n != 0 {
				t.Errorf("%s, %d bits: %v allocations, want none", name, bits, n)
			}
		}
	}
}

// held is how much memory make's result holds, in bytes.
func held[T any](make func() T) float64 {
	const times = 4
	var before, after runtime.MemStats
	list := [times]T{}
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range list {
		list[i] = make()
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(&list)
	return float64(after.HeapAlloc-before.HeapAlloc) / times
}

// BenchmarkMemory reports what each type holds once it has been used: the figures
// of the package's comment.
func BenchmarkMemory(b *testing.B) {
	p := chat(1, 100000)
	message, _ := new(Compressor).Compress(nil, p, 15)
	for _, bits := range []int{9, 12, 15} {
		b.Run(fmt.Sprintf("compressor/%d", bits), func(b *testing.B) {
			dst := make([]byte, 0, len(p))
			for b.Loop() {
				b.ReportMetric(held(func() *Compressor {
					c := new(Compressor)
					c.Compress(dst, p, bits)
					return c
				}), "B/compressor")
			}
		})
		b.Run(fmt.Sprintf("window/%d", bits), func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(held(func() *Window {
					w := NewWindow(bits)
					for piece := range slicesOf(p, 1000) {
						w.slide(piece)
					}
					return w
				}), "B/window")
			}
		})
	}
	b.Run("decompressor", func(b *testing.B) {
		dst := make([]byte, 0, len(p)+1)
		for b.Loop() {
			b.ReportMetric(held(func() *Decompressor {
				d := new(Decompressor)
				d.Decompress(dst, message, len(p))
				return d
			}), "B/decompressor")
		}
	})
}

func BenchmarkCompress(b *testing.B) {
	for _, n := range []int{1 << 10, 4 << 10, 64 << 10} {
		for _, bits := range []int{9, 11, 12, 13, 15} {
			for _, takeover := range []bool{false, true} {
				b.Run(fmt.Sprintf("%d/window=%d/takeover=%t", n, bits, takeover), func(b *testing.B) {
					var c Compressor
					var list [64][]byte
					for i := range list {
						list[i] = chat(uint64(i), n)
					}
					w := NewWindow(bits)
					out := make([]byte, 0, n)
					b.SetBytes(int64(n))
					b.ReportAllocs()
					i, sum := 0, 0
					for b.Loop() {
						if takeover {
							out, _ = c.CompressNext(out[:0], list[i%len(list)], w)
						} else {
							out, _ = c.Compress(out[:0], list[i%len(list)], bits)
						}
						sum += len(out)
						i++
					}
					b.ReportMetric(100*float64(sum)/float64(i)/float64(n), "%/message")
				})
			}
		}
	}
}

// BenchmarkNoGain is what a message costs that is then sent as it is.
func BenchmarkNoGain(b *testing.B) {
	var c Compressor
	p := noise(1, 4096)
	out := make([]byte, 0, len(p))
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		out, _ = c.Compress(out[:0], p, 15)
	}
}

func BenchmarkDecompress(b *testing.B) {
	for _, n := range []int{1 << 10, 4 << 10, 64 << 10} {
		for _, takeover := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d/takeover=%t", n, takeover), func(b *testing.B) {
				var c Compressor
				var d Decompressor
				p := chat(1, n)
				in, _ := c.Compress(nil, p, 15)
				w := NewWindow(15)
				out := make([]byte, 0, n+1)
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					if takeover {
						out, _ = d.DecompressNext(out[:0], in, n, w)
					} else {
						out, _ = d.Decompress(out[:0], in, n)
					}
				}
			})
		}
	}
}

// BenchmarkEmptyBlocks is the most that a message of 64 KiB can cost us.
func BenchmarkEmptyBlocks(b *testing.B) {
	for name, block := range emptyBlocks() {
		b.Run(name, func(b *testing.B) {
			var d Decompressor
			in := append(bytes.Repeat(block, 64<<10/len(block)), 0)
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				if out, err := d.Decompress(nil, in, 1); len(out) != 0 || err != nil && err != error(ErrBlocks) {
					b.Fatal(len(out), err)
				}
			}
		})
	}
}

// emptyBlocks are blocks, in whole bytes, that say nothing.
func emptyBlocks() map[string][]byte {
	return map[string][]byte{
		"stored":         {0x00, 0x00, 0x00, 0xff, 0xff},
		"fixed":          {0x02, 0x08, 0x20, 0x80, 0x00},
		"dynamic":        emptyDynamic(),
		"streams":        {0x03, 0x00},
		"stored streams": {0x01, 0x00, 0x00, 0xff, 0xff},
	}
}

// emptyDynamic is the shortest block with codes of its own and nothing in it,
// eight times: that is whole bytes.
func emptyDynamic() (b []byte) {
	at := 0
	put := func(v, n int) {
		for i := range n {
			if at%8 == 0 {
				b = append(b, 0)
			}
			b[at/8] |= byte(v>>i&1) << (at % 8)
			at++
		}
	}
	for range 8 {
		put(0, 1)
		put(2, 2)
		put(0, 5+5) // 257 literals and lengths, 1 distance
		put(14, 4)  // 18 code lengths, in their order: 16 17 18 0 8 7 9 6 10 5 11 4 12 3 13 2 14 1
		for i := range 18 {
			switch i {
			case 2: // 18: zeros, by the code 0
				put(1, 3)
			case 17: // 1: by the code 1; sorted by symbol, 1 comes before 18
				put(1, 3)
			default:
				put(0, 3)
			}
		}
		put(1, 1) // 138 zeros
		put(127, 7)
		put(1, 1) // 118 zeros
		put(107, 7)
		put(0, 1) // 256 has length 1
		put(0, 1) // distance 0 has length 1
		put(0, 1) // end of block
	}
	return b
}
