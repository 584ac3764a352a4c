package frame

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gobwas/ws"

	"github.com/perchws/perch/internal/owner"
)

// maskBytes is RFC 6455 §5.3 as it is written: octet i is XORed with key octet
// i MOD 4.
func maskBytes(p []byte, key uint32, pos int) {
	var k [4]byte
	binary.LittleEndian.PutUint32(k[:], key)
	for i := range p {
		p[i] ^= k[(pos+i)%4]
	}
}

// isASCII is what maskText is to find out.
func isASCII(p []byte) bool {
	return !slices.ContainsFunc(p, func(b byte) bool { return b >= 0x80 })
}

func noise(n int) []byte {
	r := rand.New(rand.NewPCG(6455, 53))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

func TestMaskGolden(t *testing.T) { // RFC 6455 §5.7
	p := []byte("Hello")
	Mask(p, testKey, 0)
	if want := unhex("7f 9f 4d 51 58"); !bytes.Equal(p, want) {
		t.Fatalf("%x, want %x", p, want)
	}
	Mask(p, testKey, 0)
	if string(p) != "Hello" {
		t.Fatalf("masked twice: %q", p)
	}
}

// Every alignment in memory, every offset in the payload, every length that
// passes through all the loops; the bytes around stay as they are.
func TestMaskAlignments(t *testing.T) {
	maxLen := 200
	if owner.Enabled {
		maxLen = 80
	}
	src := noise(8 + maxLen + 8)
	got, want := make([]byte, len(src)), make([]byte, len(src))
	for at := range 8 {
		for pos := range 9 {
			for n := range maxLen {
				copy(got, src)
				copy(want, src)
				Mask(got[at:at+n], testKey, pos)
				maskBytes(want[at:at+n], testKey, pos)
				if !bytes.Equal(got, want) {
					t.Fatalf("at %d, pos %d, %d bytes:\n%x, want\n%x", at, pos, n, got, want)
				}
				if pos != 0 {
					continue
				}
				copy(got, src)
				ascii := maskText(got[at:at+n], testKey)
				if !bytes.Equal(got, want) || ascii != isASCII(want[at:at+n]) {
					t.Fatalf("maskText at %d, %d bytes: ASCII %v\n%x, want\n%x", at, n, ascii, got, want)
				}
			}
		}
	}
}

// One byte that is not ASCII is seen wherever it stands.
func TestMaskText(t *testing.T) {
	for n := range 150 {
		for bad := -1; bad < n; bad++ {
			p := bytes.Repeat([]byte{'a'}, n)
			if bad >= 0 {
				p[bad] = 0x80
			}
			want := bytes.Clone(p)
			maskBytes(p, testKey, 0)
			if ascii := maskText(p, testKey); ascii != (bad < 0) || !bytes.Equal(p, want) {
				t.Fatalf("%d bytes, 80 at %d: ASCII %v, %x", n, bad, ascii, p)
			}
		}
	}
}

// In two pieces, cut anywhere, it is the same.
func TestMaskPieces(t *testing.T) {
	want := noise(133)
	maskBytes(want, testKey, 0)
	for cut := range len(want) + 1 {
		got := noise(133)
		Mask(got[:cut], testKey, 0)
		Mask(got[cut:], testKey, cut)
		if !bytes.Equal(got, want) {
			t.Fatalf("cut at %d: %x, want %x", cut, got, want)
		}
	}
}

func FuzzMask(f *testing.F) {
	f.Add([]byte("Hello"), uint32(testKey), 0, 2)
	f.Add(noise(200), uint32(0x80000001), 3, 71)
	f.Add(noise(64), uint32(0xff), 1<<40+1, 64)
	f.Fuzz(func(t *testing.T, p []byte, key uint32, pos, cut int) {
		pos &= 1<<62 - 1
		cut = int(uint(cut) % uint(len(p)+1))
		want, got, peer := bytes.Clone(p), bytes.Clone(p), bytes.Clone(p)
		maskBytes(want, key, pos)
		Mask(got[:cut], key, pos)
		Mask(got[cut:], key, pos+cut)
		if !bytes.Equal(got, want) {
			t.Fatalf("key %08x, pos %d, cut %d: %x, want %x", key, pos, cut, got, want)
		}
		ws.Cipher(peer, [4]byte(binary.LittleEndian.AppendUint32(nil, key)), pos)
		if !bytes.Equal(got, peer) {
			t.Fatalf("key %08x, pos %d: %x, gobwas %x", key, pos, got, peer)
		}
		maskBytes(want, key, pos)
		maskBytes(want, key, 0)
		copy(got, p)
		if ascii := maskText(got, key); ascii != isASCII(want) || !bytes.Equal(got, want) {
			t.Fatalf("maskText with key %08x: ASCII %v, %x, want %x", key, ascii, got, want)
		}
	})
}
