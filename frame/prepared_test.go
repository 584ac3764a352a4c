package frame

import (
	"bytes"
	"sync"
	"testing"
)

func TestPrepared(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 65535, 65536} {
		p := bytes.Repeat([]byte("x"), n)
		want := bytes.Clone(p)
		m := Prepare(OpBinary, p)
		clear(p)
		if m.Opcode() != OpBinary || !bytes.Equal(m.Payload(), want) {
			t.Errorf("%d bytes: %v %s", n, m.Opcode(), brief(m.Payload()))
		}
		if !bytes.Equal(m.Bytes(), AppendFrame(nil, OpBinary, want)) {
			t.Errorf("%d bytes: wire form %s", n, brief(m.Bytes()))
		}
		if cap(m.Bytes()) > len(m.Bytes())+len(m.Bytes())/8+16 {
			t.Errorf("%d bytes: room for %d", len(m.Bytes()), cap(m.Bytes()))
		}
		wantLines(t, trace(t, new(Reader), client, m.Bytes()), "binary "+brief(want))
	}
	if got := Prepare(OpText, []byte("a")); got.Opcode() != OpText {
		t.Errorf("%v", got.Opcode())
	}
}

// Any number of goroutines read it at once: the race detector watches.
func TestPreparedConcurrent(t *testing.T) {
	m := Prepare(OpText, []byte("Hello"))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			own := bytes.Clone(m.Bytes())
			if m.Opcode() != OpText || !bytes.HasSuffix(own, m.Payload()) {
				t.Errorf("%v %x", m.Opcode(), own)
			}
		})
	}
	wg.Wait()
}
