package frame

import (
	"reflect"
	"testing"
	"unsafe"

	"github.com/perchws/perch/internal/owner"
)

// What is kept per connection, and what is returned per event, stays small.
func TestSizes(t *testing.T) {
	for _, tt := range []struct {
		name      string
		got, most uintptr
	}{
		{"Reader", unsafe.Sizeof(Reader{}), 48},
		{"Assembler", unsafe.Sizeof(Assembler{}), 48 + 24},
		{"UTF8", unsafe.Sizeof(UTF8(0)), 1},
		{"Header", unsafe.Sizeof(Header{}), 24},
		{"Event", unsafe.Sizeof(Event{}), 32},
	} {
		if tt.got > tt.most {
			t.Errorf("%s has %d bytes, %d at most", tt.name, tt.got, tt.most)
		}
	}
}

// Event and what it embeds have at most four fields each, so that the compiler
// keeps them in registers: see Subject.
func TestEventFitsRegisters(t *testing.T) {
	for _, typ := range []reflect.Type{reflect.TypeFor[Event](), reflect.TypeFor[Subject]()} {
		if typ.NumField() > 4 {
			t.Errorf("%v has %d fields", typ, typ.NumField())
		}
	}
}

// echoes reads all of wire from buf and answers into out.
func echoes(t testing.TB, a *Assembler, wire, buf, out []byte, lim *Limits) []byte {
	in := buf[:copy(buf, wire)]
	for len(in) > 0 {
		ev, n, err := a.Next(in, lim)
		if err != nil || n == 0 {
			t.Fatalf("%v, %d, %v", ev, n, err)
		}
		switch {
		case ev.Kind == Message:
			out = AppendFrame(out, ev.Opcode, ev.Payload)
		case ev.Opcode == OpPing:
			out = AppendFrame(out, OpPong, ev.Payload)
		}
		in = in[n:]
	}
	return out
}

// No allocation per message, in place or gathered in a buffer given.
func TestEchoAllocatesNothing(t *testing.T) {
	if owner.Enabled {
		t.Skip("the race detector allocates")
	}
	long := string(make([]byte, 70_000))
	for _, tt := range []struct {
		name   string
		frames []string
	}{
		{"text", []string{"text", "Hello, Wörld"}},
		{"binary", []string{"binary", "\x00\xff"}},
		{"ping", []string{"ping", "12345678"}},
		{"64-bit length", []string{"binary", long}},
		{"fragments", []string{"text+", "Hel", "ping", "", "+.", "lo"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var wire []byte
			for i := 0; i < len(tt.frames); i += 2 {
				wire = append(wire, up(tt.frames[i], tt.frames[i+1])...)
			}
			buf, out := make([]byte, len(wire)), make([]byte, 0, 2*len(wire))
			lim := Limits{MaxMessage: 1 << 20, MaxFragments: 1024}
			a := new(Assembler)
			a.Buffer(make([]byte, 64))
			if n := testing.AllocsPerRun(100, func() { out = echoes(t, a, wire, buf, out[:0], &lim) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
			if len(out) == 0 {
				t.Error("nothing answered")
			}
		})
	}
}

// Preparing costs the wire bytes and the handle to them, no growing.
func TestPrepareAllocates(t *testing.T) {
	if owner.Enabled {
		t.Skip("the race detector allocates")
	}
	for _, n := range []int{0, 10, 1000, 100_000} {
		p := make([]byte, n)
		var m *Prepared
		if got := testing.AllocsPerRun(100, func() { m = Prepare(OpText, p) }); got != 2 {
			t.Errorf("%d bytes: %v allocations, want 2", len(m.Payload()), got)
		}
	}
}
