package frame

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

var benchSizes = []int{16, 128, 1 << 10, 16 << 10, 64 << 10}

// BenchmarkReader128 echoes 16 messages that came in one read, as a loop does.
func BenchmarkReader128(b *testing.B) {
	benchmarkEcho(b, 128, Limits{MaxMessage: 1 << 20})
}

func BenchmarkReader(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("server/%d", n), func(b *testing.B) { benchmarkEcho(b, n, Limits{MaxMessage: 1 << 20}) })
	}
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("client/%d", n), func(b *testing.B) { benchmarkEcho(b, n, Limits{MaxMessage: 1 << 20, Client: true}) })
	}
}

func benchmarkEcho(b *testing.B, size int, lim Limits) {
	var wire []byte
	p := bytes.Repeat([]byte("abcdefgh"), size/8)
	for range 16 {
		if lim.Client {
			wire = AppendFrame(wire, OpText, p)
		} else {
			wire = AppendMaskedFrame(wire, OpText, p, testKey)
		}
	}
	var a Assembler
	buf := make([]byte, len(wire))
	out := make([]byte, 0, 2*len(wire))
	b.SetBytes(int64(16 * size))
	b.ReportAllocs()
	for b.Loop() {
		out = echoes(b, &a, wire, buf, out[:0], &lim)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/16, "ns/msg")
}

func BenchmarkMask(b *testing.B) {
	for _, n := range append([]int{5, 35}, benchSizes...) {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := noise(n)
			b.SetBytes(int64(n))
			for b.Loop() {
				Mask(p, testKey, 0)
			}
		})
	}
}

func BenchmarkUTF8(b *testing.B) {
	for _, text := range []struct{ name, unit string }{
		{"ascii", "The quick brown fox jumps over the lazy dog. "},
		{"cjk", "天地玄黃宇宙洪荒"},
		{"mixed", "Größe: 12 €, naïve café, 東京 and plain words between. "},
	} {
		for _, n := range benchSizes {
			b.Run(fmt.Sprintf("%s/%d", text.name, n), func(b *testing.B) {
				p := []byte(strings.ToValidUTF8(strings.Repeat(text.unit, n/len(text.unit)+1)[:n], ""))
				b.SetBytes(int64(len(p)))
				for b.Loop() {
					if !ValidUTF8(p) {
						b.Fatal("refused")
					}
				}
			})
		}
	}
}

func BenchmarkParseHeader(b *testing.B) {
	for _, length := range []int64{100, 1000, 1 << 20} {
		wire := header(OpText, true, length)
		b.Run(fmt.Sprint(length), func(b *testing.B) {
			for b.Loop() {
				if _, n, err := ParseHeader(wire); n != len(wire) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkAppendFrame(b *testing.B) {
	p := noise(128)
	out := make([]byte, 0, 256)
	for b.Loop() {
		out = AppendFrame(out[:0], OpBinary, p)
	}
}
