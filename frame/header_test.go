package frame

import (
	"bytes"
	"errors"
	"testing"

	"github.com/gobwas/ws"
)

// goldenHeaders are legal, so each reads and writes the same.
var goldenHeaders = []struct {
	name string
	// F RSV op   M length
	bits string
	// extended length, key
	rest string
	want Header
}{
	{"text", "1 000 0001 0 0000101", "", Header{Fin: true, Opcode: OpText, Length: 5}},
	{"first fragment", "0 000 0001 0 0000011", "", Header{Opcode: OpText, Length: 3}},
	{"continuation", "0 000 0000 0 0000011", "", Header{Opcode: OpContinuation, Length: 3}},
	{"last fragment", "1 000 0000 0 0000010", "", Header{Fin: true, Opcode: OpContinuation, Length: 2}},
	{"binary, empty", "1 000 0010 0 0000000", "", Header{Fin: true, Opcode: OpBinary}},
	{"close", "1 000 1000 0 0000010", "", Header{Fin: true, Opcode: OpClose, Length: 2}},
	{"ping", "1 000 1001 0 0000101", "", Header{Fin: true, Opcode: OpPing, Length: 5}},
	{"pong", "1 000 1010 0 1111101", "", Header{Fin: true, Opcode: OpPong, Length: 125}},
	{"RSV1", "1 100 0001 0 1100100", "", Header{Fin: true, Rsv: RSV1, Opcode: OpText, Length: 100}},
	{"RSV2", "1 010 0001 0 1100100", "", Header{Fin: true, Rsv: 2, Opcode: OpText, Length: 100}},
	{"RSV3", "1 001 0001 0 1100100", "", Header{Fin: true, Rsv: 1, Opcode: OpText, Length: 100}},
	{"masked", "1 000 0001 1 0000101", "37fa213d", Header{Fin: true, Opcode: OpText, Masked: true, Key: testKey, Length: 5}},
	{"masked with key 0", "1 000 0001 1 0000101", "00000000", Header{Fin: true, Opcode: OpText, Masked: true, Length: 5}},
	{"7 bits, longest", "1 000 0010 0 1111101", "", Header{Fin: true, Opcode: OpBinary, Length: 125}},
	{"16 bits, shortest", "1 000 0010 0 1111110", "007e", Header{Fin: true, Opcode: OpBinary, Length: 126}},
	{"16 bits", "1 000 0010 0 1111110", "0100", Header{Fin: true, Opcode: OpBinary, Length: 256}},
	{"16 bits, longest", "1 000 0010 0 1111110", "ffff", Header{Fin: true, Opcode: OpBinary, Length: 65535}},
	{"16 bits, masked", "1 000 0010 1 1111110", "0102 37fa213d", Header{Fin: true, Opcode: OpBinary, Masked: true, Key: testKey, Length: 258}},
	{"64 bits, shortest", "1 000 0010 0 1111111", "0000000000010000", Header{Fin: true, Opcode: OpBinary, Length: 65536}},
	{"64 bits, each byte", "1 000 0010 0 1111111", "0102030405060708", Header{Fin: true, Opcode: OpBinary, Length: 0x0102030405060708}},
	{"64 bits, longest", "1 000 0010 0 1111111", "7fffffffffffffff", Header{Fin: true, Opcode: OpBinary, Length: 1<<63 - 1}},
	{"64 bits, masked", "0 000 0000 1 1111111", "0000000100000000 37fa213d", Header{Masked: true, Key: testKey, Length: 1 << 32}},
}

func TestHeaderGolden(t *testing.T) {
	for _, tt := range goldenHeaders {
		t.Run(tt.name, func(t *testing.T) {
			wire := append(octets(tt.bits), unhex(tt.rest)...)
			for _, tail := range []string{"", "\xff\xff\xff"} {
				h, n, err := ParseHeader(append(bytes.Clone(wire), tail...))
				if h != tt.want || n != len(wire) || err != nil {
					t.Errorf("ParseHeader = %+v, %d, %v\nwant %+v, %d", h, n, err, tt.want, len(wire))
				}
			}
			for i := range wire {
				if _, n, err := ParseHeader(wire[:i]); n != 0 || err != nil {
					t.Errorf("ParseHeader of %d bytes = %d, %v, want 0: more is needed", i, n, err)
				}
			}
			if got := AppendHeader([]byte("x"), tt.want); string(got) != "x"+string(wire) {
				t.Errorf("AppendHeader = %x, want x and %x", got, wire)
			}
			if got := HeaderSize(int(tt.want.Length), tt.want.Masked); got != len(wire) {
				t.Errorf("HeaderSize = %d, want %d", got, len(wire))
			}
			comparePeer(t, wire, tt.want)
		})
	}
}

// comparePeer has gobwas/ws read wire and write h.
func comparePeer(t testing.TB, wire []byte, h Header) {
	t.Helper()
	peer, err := ws.ReadHeader(bytes.NewReader(wire))
	if err != nil {
		t.Fatalf("gobwas cannot read %x: %v", wire, err)
	}
	key := uint32(peer.Mask[0]) | uint32(peer.Mask[1])<<8 | uint32(peer.Mask[2])<<16 | uint32(peer.Mask[3])<<24
	if got := (Header{peer.Fin, peer.Rsv, Opcode(peer.OpCode), peer.Masked, key, peer.Length}); got != h {
		t.Errorf("gobwas reads %x as %+v, we as %+v", wire, got, h)
	}
	var b bytes.Buffer
	if err := ws.WriteHeader(&b, peer); err != nil || !bytes.Equal(b.Bytes(), wire) {
		t.Errorf("gobwas writes %+v as %x, %v, we as %x", h, b.Bytes(), err, wire)
	}
}

// Each case breaks one rule that the header alone decides, in its last byte: one
// byte less must not be judged yet, more behind it must not help.
func TestHeaderFaults(t *testing.T) {
	for _, tt := range []struct {
		name string
		// F RSV op   M length
		bits string
		rest string
		want *ProtocolError
	}{
		{"opcode 3", "1 000 0011 1 0000101", "", ErrOpcode}, // §5.2
		{"opcode 4", "1 000 0100 1 0000101", "", ErrOpcode},
		{"opcode 5", "1 000 0101 1 0000101", "", ErrOpcode},
		{"opcode 6", "1 000 0110 1 0000101", "", ErrOpcode},
		{"opcode 7", "0 000 0111 1 0000101", "", ErrOpcode},
		{"opcode 11", "1 000 1011 1 0000101", "", ErrOpcode},
		{"opcode 12", "1 000 1100 1 0000101", "", ErrOpcode},
		{"opcode 13", "1 000 1101 1 0000101", "", ErrOpcode},
		{"opcode 14", "1 000 1110 1 0000101", "", ErrOpcode},
		{"opcode 15", "0 000 1111 1 0000101", "", ErrOpcode},
		{"close in fragments", "0 000 1000 1 0000010", "", ErrControlFragment}, // §5.5
		{"ping in fragments", "0 000 1001 1 0000000", "", ErrControlFragment},
		{"pong in fragments", "0 000 1010 1 0000000", "", ErrControlFragment},
		{"close with 16 bits", "1 000 1000 1 1111110", "", ErrControlLong},
		{"ping with 16 bits", "1 000 1001 1 1111110", "", ErrControlLong},
		{"pong with 64 bits", "1 000 1010 1 1111111", "", ErrControlLong},
		{"0 in 16 bits", "1 000 0001 1 1111110", "0000", ErrLengthNotMinimal}, // §5.2
		{"125 in 16 bits", "1 000 0001 0 1111110", "007d", ErrLengthNotMinimal},
		{"125 in 64 bits", "1 000 0001 1 1111111", "000000000000007d", ErrLengthNotMinimal},
		{"65535 in 64 bits", "1 000 0001 1 1111111", "000000000000ffff", ErrLengthNotMinimal},
		{"2^63", "1 000 0010 1 1111111", "80", ErrLengthTopBit},
		{"2^64 - 1", "1 000 0010 0 1111111", "ff", ErrLengthTopBit},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wire := append(octets(tt.bits), unhex(tt.rest)...)
			for i := range wire {
				if _, n, err := ParseHeader(wire[:i]); n != 0 || err != nil {
					t.Errorf("%d bytes: %d, %v, want 0: more is needed", i, n, err)
				}
			}
			for range 20 {
				if _, n, err := ParseHeader(wire); n != 0 || !errors.Is(err, tt.want) {
					t.Fatalf("%x: %d, %v, want %v", wire, n, err, tt.want)
				}
				wire = append(wire, 0)
			}
		})
	}
}

func TestHeaderSize(t *testing.T) {
	for _, tt := range []struct{ length, want int }{
		{0, 2}, {1, 2}, {125, 2}, {126, 4}, {127, 4}, {65535, 4}, {65536, 10}, {1 << 40, 10},
	} {
		if got := HeaderSize(tt.length, false); got != tt.want {
			t.Errorf("HeaderSize(%d, false) = %d, want %d", tt.length, got, tt.want)
		}
		if got := HeaderSize(tt.length, true); got != tt.want+4 {
			t.Errorf("HeaderSize(%d, true) = %d, want %d", tt.length, got, tt.want+4)
		}
	}
	if got := HeaderSize(1<<40, true); got != MaxHeaderSize {
		t.Errorf("the largest header has %d bytes, MaxHeaderSize is %d", got, MaxHeaderSize)
	}
}

// The frames of RFC 6455 §5.7.
func TestAppendFrameGolden(t *testing.T) {
	zeros := make([]byte, 65536)
	for _, tt := range []struct {
		name      string
		got, want []byte
	}{
		{"unmasked text", AppendFrame(nil, OpText, []byte("Hello")), unhex("81 05 48 65 6c 6c 6f")},
		{"masked text", AppendMaskedFrame(nil, OpText, []byte("Hello"), testKey), unhex("81 85 37 fa 21 3d 7f 9f 4d 51 58")},
		{"ping", AppendFrame(nil, OpPing, []byte("Hello")), unhex("89 05 48 65 6c 6c 6f")},
		{"masked pong", AppendMaskedFrame(nil, OpPong, []byte("Hello"), testKey), unhex("8a 85 37 fa 21 3d 7f 9f 4d 51 58")},
		{"256 bytes", AppendFrame(nil, OpBinary, zeros[:256]), append(unhex("82 7e 0100"), zeros[:256]...)},
		{"64 KiB", AppendFrame(nil, OpBinary, zeros), append(unhex("82 7f 0000000000010000"), zeros...)},
		{"125 bytes", AppendFrame(nil, OpBinary, zeros[:125]), append(unhex("82 7d"), zeros[:125]...)},
		{"126 bytes", AppendFrame(nil, OpBinary, zeros[:126]), append(unhex("82 7e 007e"), zeros[:126]...)},
		{"65535 bytes", AppendFrame(nil, OpBinary, zeros[:65535]), append(unhex("82 7e ffff"), zeros[:65535]...)},
		{"behind other bytes", AppendMaskedFrame([]byte("abc"), OpText, []byte("Hello"), testKey), append([]byte("abc"), unhex("81 85 37 fa 21 3d 7f 9f 4d 51 58")...)},
	} {
		if !bytes.Equal(tt.got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, brief(tt.got), brief(tt.want))
		}
	}
}

// Masking what is sent must not touch what the caller holds.
func TestAppendMaskedFrameCopies(t *testing.T) {
	p := []byte("Hello")
	AppendMaskedFrame(nil, OpText, p, testKey)
	if string(p) != "Hello" {
		t.Errorf("payload is now %q", p)
	}
}

func TestOpcode(t *testing.T) {
	names := map[Opcode]string{0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong", 3: "opcode 3", 15: "opcode 15", 255: "opcode 255"}
	for o, want := range names {
		if got := o.String(); got != want {
			t.Errorf("Opcode(%d).String() = %q, want %q", o, got, want)
		}
	}
	for o := range Opcode(16) {
		if got, want := o.IsControl(), o >= 8; got != want {
			t.Errorf("%v.IsControl() = %v", o, got)
		}
		if got, want := o.IsData(), o == 1 || o == 2; got != want {
			t.Errorf("%v.IsData() = %v", o, got)
		}
	}
}

// What is read is written again, byte for byte, and a peer sees the same in it.
func FuzzHeaderRoundTrip(f *testing.F) {
	for _, tt := range goldenHeaders {
		f.Add(append(octets(tt.bits), unhex(tt.rest)...))
	}
	f.Add(unhex("81 7f 8000000000000000"))
	f.Add(unhex("82 fe 0001 00000000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := ParseHeader(b)
		if err != nil && n != 0 || n > len(b) || n > MaxHeaderSize || n == 0 && err == nil && len(b) >= MaxHeaderSize {
			t.Fatalf("%x: %+v, %d, %v", b, h, n, err)
		}
		for i := range len(b) { // a fault stays, a need ends with enough bytes
			_, m, e := ParseHeader(b[:i])
			if e != nil && !errors.Is(err, e) || m != 0 && m != n || n != 0 && m == 0 && i >= n {
				t.Fatalf("%d bytes of %x: %d, %v; all: %d, %v", i, b, m, e, n, err)
			}
		}
		if n == 0 {
			return
		}
		if got := AppendHeader(nil, h); !bytes.Equal(got, b[:n]) {
			t.Fatalf("%x is written again as %x", b[:n], got)
		}
		if h.Length < 0 || h.Opcode.IsControl() && (h.Length > MaxControlPayload || !h.Fin) {
			t.Fatalf("%+v", h)
		}
		comparePeer(t, b[:n], h)
	})
}
