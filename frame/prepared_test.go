package frame

import (
	"bytes"
	"errors"
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

// What may not be sent has no bytes, and says why.
func TestPrepareIllegal(t *testing.T) {
	for op := range Opcode(255) { // a frame has four bits for it
		p := Prepare(op, []byte("text"))
		if legal := op == OpText || op == OpBinary; legal != (p.Err() == nil) || legal != (len(p.Bytes()) > 0) || !legal && !errors.Is(p.Err(), ErrNotData) {
			t.Errorf("%v: %v, %x", op, p.Err(), p.Bytes())
		}
	}
	for _, text := range []string{"\xff", "a\xc3", "\xed\xa0\x80"} {
		if p := Prepare(OpText, []byte(text)); !errors.Is(p.Err(), ErrNotText) || len(p.Bytes()) != 0 || len(p.Payload()) != 0 || p.Opcode() != 0 {
			t.Errorf("%q: %v", text, p.Err())
		}
		if p := Prepare(OpBinary, []byte(text)); p.Err() != nil {
			t.Errorf("binary %q: %v", text, p.Err())
		}
	}
	for _, p := range []*Prepared{nil, new(Prepared)} {
		if !errors.Is(p.Err(), ErrNotData) {
			t.Errorf("not made by Prepare: %v", p.Err())
		}
	}
}
