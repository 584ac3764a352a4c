package deflate

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// zlib compresses the messages on its input, each behind its length, as one context
// with the window that it is told, over and over; it prints CPU nanoseconds a message
// and the compressed part of the size.
const zlib = `
import sys, struct, time, zlib
bits, level, rounds = map(int, sys.argv[1:])
b = sys.stdin.buffer.read()
messages = []
while b:
    n, = struct.unpack('<I', b[:4])
    messages.append(b[4:4+n])
    b = b[4+n:]
z = zlib.compressobj(level, zlib.DEFLATED, -bits)
compress, flush, sync = z.compress, z.flush, zlib.Z_SYNC_FLUSH
said = 0
begin = time.process_time_ns()
for _ in range(rounds):
    for m in messages:
        said += len(compress(m)) + len(flush(sync)) - 4
took = time.process_time_ns() - begin
print(took / rounds / len(messages), said / rounds / sum(map(len, messages)))
`

// BenchmarkShort compares chat messages with context takeover: ours, the library's
// encoder that longer messages go to, and zlib itself, which keeps 256 kB for each
// connection, by way of python3.
func BenchmarkShort(b *testing.B) {
	for _, size := range []int{40, 100, 400} {
		list := shorts(size, 500)
		var input bytes.Buffer
		total := 0
		for _, p := range list {
			binary.Write(&input, binary.LittleEndian, uint32(len(p)))
			input.Write(p)
			total += len(p)
		}
		for name, compress := range map[string]func(c *Compressor, dst, p []byte, w *Window) ([]byte, bool){
			"ours": (*Compressor).CompressNext,
			"library": func(c *Compressor, dst, p []byte, w *Window) ([]byte, bool) {
				out, ok := c.compress(dst, p, w.b, w.bits)
				if ok {
					w.slide(p)
				}
				return out, ok
			},
		} {
			b.Run(fmt.Sprintf("%d/%s", size, name), func(b *testing.B) {
				var c Compressor
				w := NewWindow(12)
				out := make([]byte, 0, 2*ShortMessage)
				b.ReportAllocs()
				sent, said := 0, 0
				for i := 0; b.Loop(); i++ {
					p := list[i%len(list)]
					var ok bool
					if out, ok = compress(&c, out[:0], p, w); !ok {
						out = append(out[:0], p...)
					}
					sent, said = sent+len(out), said+len(p)
				}
				b.ReportMetric(float64(sent)/float64(said), "of-size")
			})
		}
		for _, level := range []int{1, 6} {
			b.Run(fmt.Sprintf("%d/zlib-%d", size, level), func(b *testing.B) {
				python, err := exec.LookPath("python3")
				if err != nil {
					b.Skip("python3 is missing (apt install python3)")
				}
				for b.Loop() {
					cmd := exec.Command(python, "-c", zlib, "12", fmt.Sprint(level), "20")
					cmd.Stdin = bytes.NewReader(input.Bytes())
					out, err := cmd.Output()
					if err != nil {
						b.Fatal(err)
					}
					var took, ratio float64
					if _, err := fmt.Fscan(strings.NewReader(string(out)), &took, &ratio); err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(took, "ns/op")
					b.ReportMetric(ratio, "of-size")
				}
			})
		}
	}
}
