package frame

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// halver is a Deflater that cuts a payload in half and says for which window. Of
// what begins with "no" it makes nothing.
type halver struct{ asked atomic.Int32 }

func (h *halver) Compress(dst, p []byte, window int) ([]byte, bool) {
	h.asked.Add(1)
	if bytes.HasPrefix(p, []byte("no")) {
		return dst, false
	}
	return fmt.Appendf(dst, "%02d%s", window, p[:len(p)/2]), true
}

// TestPreparedDeflated: for each window who gets what, asked one after the other,
// and how often it was compressed for that.
func TestPreparedDeflated(t *testing.T) {
	for _, tt := range []struct {
		name    string
		payload []byte
		windows []int
		want    []int // the window that each was compressed for; 0: plain
		asked   int
	}{
		{"one window", make([]byte, 70000), []int{15, 15, 15}, []int{15, 15, 15}, 1},
		{"it fits into all", make([]byte, 255), []int{8, 15, 9, 11}, []int{15, 15, 15, 15}, 1},
		{"one byte too many", make([]byte, 256), []int{8, 15, 9}, []int{8, 15, 15}, 2},
		{"two", make([]byte, 5000), []int{15, 12, 13, 14, 12}, []int{15, 12, 15, 15, 12}, 2},
		{"larger ones get that of a smaller", make([]byte, 20000), []int{9, 12, 14, 15}, []int{9, 9, 9, 15}, 2},
		{"a third is plain", make([]byte, 20000), []int{12, 15, 11, 8, 14}, []int{12, 15, 0, 0, 12}, 2},
		{"no gain", []byte("no gain"), []int{15, 15, 9}, []int{0, 0, 0}, 1},
		{"empty", []byte("no")[:0], []int{15}, []int{15}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := Prepare(OpText, tt.payload)
			var h halver
			for i, w := range tt.windows {
				got := p.Deflated(w, &h)
				want := p.Bytes()
				if tt.want[i] != 0 {
					half := fmt.Appendf(nil, "%02d%s", tt.want[i], tt.payload[:len(tt.payload)/2])
					want = append(AppendHeader(nil, Header{Fin: true, Rsv: RSV1, Opcode: OpText, Length: int64(len(half))}), half...)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("window %d: %s, want %s", w, brief(got), brief(want))
				}
			}
			if n := int(h.asked.Load()); n != tt.asked {
				t.Errorf("compressed %d times, want %d", n, tt.asked)
			}
			p.Forget()
			p.Deflated(tt.windows[0], &h)
			if n := int(h.asked.Load()); n != tt.asked+1 {
				t.Errorf("forgotten, and compressed %d times, want %d", n, tt.asked+1)
			}
		})
	}
}

// Any number of goroutines ask at once, and once it is compressed.
func TestPreparedDeflatedOnce(t *testing.T) {
	p := Prepare(OpBinary, bytes.Repeat([]byte("x"), 10000))
	var h halver
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for range 100 {
				if b := p.Deflated(14+i%2, &h); b[0] != 0xC2 || len(b) != 4+2+5000 {
					t.Errorf("%s", brief(b))
				}
			}
		})
	}
	wg.Wait()
	if n := h.asked.Load(); n != 1 {
		t.Errorf("compressed %d times", n)
	}
}
