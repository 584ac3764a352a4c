package wstest

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/perchws/perch/frame"
)

func TestFrameBytes(t *testing.T) {
	long := bytes.Repeat([]byte{'x'}, 256)
	for _, tc := range []struct {
		name   string
		f      Frame
		server bool
		want   string // hex; for long payloads only the beginning
	}{
		// The examples of RFC 6455 section 5.7.
		{"unmasked text", Text("Hello"), true, "810548656c6c6f"},
		{"masked text", Text("Hello"), false, "818537fa213d7f9f4d5158"},
		{"fragment 1", Frame{Op: frame.OpText, Payload: []byte("Hel"), More: true}, true, "010348656c"},
		{"fragment 2", Frame{Payload: []byte("lo")}, true, "80026c6f"},
		{"ping", Ping("Hello"), true, "890548656c6c6f"},
		{"pong", Pong("Hello"), false, "8a8537fa213d7f9f4d5158"},
		{"256 bytes", Binary(long), true, "827e0100"},
		{"64 KiB", Binary(make([]byte, 1<<16)), true, "827f0000000000010000"},
		// Everything that can be wrong.
		{"mask against the role", Frame{Op: frame.OpText, Mask: MaskAlways, Key: [4]byte{1, 2, 3, 4}}, true, "818001020304"},
		{"no mask against the role", Frame{Op: frame.OpText, Mask: MaskNever}, false, "8100"},
		{"reserved", Frame{Op: 5, Rsv: 5, More: true}, true, "5500"},
		{"16 bits for 1", Frame{Op: frame.OpText, Payload: []byte("a"), Form: Length16}, true, "817e000161"},
		{"64 bits for 1", Frame{Op: frame.OpText, Payload: []byte("a"), Form: Length64}, true, "817f000000000000000161"},
		{"top bit", Frame{Op: frame.OpBinary, Claim: 1 << 63}, true, "827f8000000000000000"},
		{"lying", Frame{Op: frame.OpBinary, Payload: []byte("a"), Claim: 3}, true, "820361"},
		{"long ping", Frame{Op: frame.OpPing, Payload: long[:126]}, true, "897e007e"},
		{"close", Close(frame.CloseNormal, "bye"), true, "880503e8627965"},
	} {
		got := hex.EncodeToString(tc.f.Append(nil, !tc.server))
		if !strings.HasPrefix(got, tc.want) || len(tc.f.Payload) < 100 && got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

// mask agrees with the formula of RFC 6455 section 5.3 across its block size.
func TestMask(t *testing.T) {
	key := [4]byte{1, 2, 3, 0xff}
	for _, n := range []int{0, 1, 7, 4095, 4096, 4097, 10001} {
		p := make([]byte, n)
		mask(p, key)
		for i, b := range p {
			if b != key[i%4] {
				t.Fatalf("%d bytes: byte %d is %#x", n, i, b)
			}
		}
	}
}

func TestFragments(t *testing.T) {
	fs := Fragments(frame.OpText, []byte("abcdef"), 3)
	if len(fs) != 2 || fs[0].String() != `text (more) 3 bytes "abc"` || fs[1].String() != `continuation 3 bytes "def"` {
		t.Errorf("even cut: %v", fs)
	}
	if fs = Fragments(frame.OpBinary, nil, 3); len(fs) != 1 || fs[0].More || fs[0].Op != frame.OpBinary {
		t.Errorf("empty message: %v", fs)
	}
}

// Frames of every length class survive the round trip, and only they.
func TestReadFrame(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 0xffff, 0x10000} {
		for _, client := range []bool{true, false} {
			in := Frame{Op: frame.OpBinary, Payload: bytes.Repeat([]byte("perch"), n)[:n], More: true, Rsv: 2}
			wire := in.Append(nil, client)
			out, err := readFrame(bufio.NewReader(bytes.NewReader(wire)), client)
			if err != nil || out.Op != in.Op || !out.More || out.Rsv != 2 || !bytes.Equal(out.Payload, in.Payload) {
				t.Fatalf("%d bytes, client %v: %v, %v", n, client, out, err)
			}
			for _, cut := range []int{1, 2, 5, len(wire) - 1} {
				if cut >= len(wire) || cut < 1 {
					continue
				}
				_, err := readFrame(bufio.NewReader(bytes.NewReader(wire[:cut])), client)
				if err != io.ErrUnexpectedEOF {
					t.Fatalf("%d bytes cut at %d: %v", n, cut, err)
				}
			}
		}
	}
	if _, err := readFrame(bufio.NewReader(strings.NewReader("")), true); err != io.EOF {
		t.Errorf("no frame: %v, want EOF", err)
	}
}

func TestViolations(t *testing.T) {
	for name, wire := range map[string]struct {
		b          []byte
		fromClient bool
	}{
		"masked server":      {Text("a").Append(nil, true), false},
		"unmasked client":    {Text("a").Append(nil, false), true},
		"reserved opcode":    {Frame{Op: 11}.Append(nil, false), false},
		"fragmented control": {Frame{Op: frame.OpPing, More: true}.Append(nil, false), false},
		"long control":       {Frame{Op: frame.OpPong, Payload: make([]byte, 126)}.Append(nil, false), false},
		"16 bits for 125":    {Frame{Op: frame.OpText, Payload: make([]byte, 125), Form: Length16}.Append(nil, false), false},
		"64 bits for 65535":  {Frame{Op: frame.OpText, Payload: make([]byte, 65535), Form: Length64}.Append(nil, false), false},
		"top bit":            {Frame{Op: frame.OpText, Claim: 1 << 63}.Append(nil, false), false},
	} {
		_, err := readFrame(bufio.NewReader(bytes.NewReader(wire.b)), wire.fromClient)
		var v *ViolationError
		if !errors.As(err, &v) {
			t.Errorf("%s: %v, want a violation", name, err)
		}
	}
}

func TestCloseInfo(t *testing.T) {
	if code, reason := Close(4000, "why").CloseInfo(); code != 4000 || reason != "why" {
		t.Errorf("%d %q", code, reason)
	}
	if code, _ := (Frame{Op: frame.OpClose}).CloseInfo(); code != frame.CloseNoStatus {
		t.Errorf("empty close: %d", code)
	}
}
