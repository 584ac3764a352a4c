package wire_test

import (
	"testing"

	"github.com/perchws/perch/internal/wire"
)

// Input is read as far as it goes, and a Read never waits.
func TestLoopReads(t *testing.T) {
	w, out := begun(newSink(), nil)
	w.EndHandshake()
	p := make([]byte, 3)
	if n, err := w.Read(p); n != 0 || err != wire.ErrDrained {
		t.Errorf("read %d bytes, %v, and nothing has come", n, err)
	}
	b := []byte("abcde")
	w.SetInput(b)
	for _, want := range []string{"abc", "de"} {
		if n, err := w.Read(p); string(p[:n]) != want || err != nil {
			t.Errorf("read %q, %v, want %q", p[:n], err, want)
		}
	}
	if _, err := w.Read(p); err != wire.ErrDrained {
		t.Errorf("behind the input: %v", err)
	}
	w.SetInput(b)
	w.SetInput(nil)
	if _, err := w.Read(p); err != wire.ErrDrained {
		t.Errorf("input that was taken away is read: %v", err)
	}
	for _, b := range []string{"12", "345"} {
		if n, err := w.Write([]byte(b)); n != len(b) || err != nil {
			t.Errorf("wrote %d bytes of %q, %v", n, b, err)
		}
	}
	if string(out.B) != "12345" {
		t.Errorf("the output is %q", out.B)
	}
	if w.Close() != nil || w.Socket() != nil || w.LocalAddr() == nil || w.RemoteAddr() == nil {
		t.Error("a wire on a loop has no socket, and closes none")
	}
}

// Every method of a loop asks whether it is that loop that calls.
func TestLoopAsks(t *testing.T) {
	s := newSink()
	w, asked := new(wire.Wire), 0
	out := &wire.Output{Check: func() { asked++ }}
	must := func(name string, f func()) {
		t.Helper()
		before := asked
		if f(); asked == before {
			t.Errorf("%s asks nobody", name)
		}
	}
	w.BeginHandshake(out, s, nil, address, address)
	before := asked
	w.Write([]byte("x"))
	if asked != before {
		t.Error("the goroutine of a handshake is not the loop")
	}
	must("Room", func() { w.Room() })
	must("Feed", func() { w.Feed([]byte("x")) })
	must("EndInput", func() { w.EndInput() })
	must("Abort", func() { w.Abort() })
	must("EndHandshake", func() { w.EndHandshake() })
	must("SetInput", func() { w.SetInput(nil) })
	must("Read", func() { w.Read(make([]byte, 1)) })
	must("Write", func() { w.Write([]byte("x")) })
	w.ToSocket(nil, nil)
	must("ToLoop", func() { w.ToLoop(out) })
}
