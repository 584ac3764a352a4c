package deflate

import (
	"bytes"
	stdflate "compress/flate"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// shorts are n messages of a chat, of about size bytes each: the same for the same
// size.
func shorts(size, n int) [][]byte {
	r := rand.New(rand.NewPCG(uint64(size), 7))
	words := strings.Fields("hello room the of general message what is up tomorrow we meet at noon deploy failed again ünïcödé 会议 ok yes no thanks the build is green ship it")
	list := make([][]byte, n)
	for i := range list {
		var text strings.Builder
		for text.Len() < size-80 {
			text.WriteString(words[r.IntN(len(words))] + " ")
		}
		switch {
		case size <= 40:
			list[i] = fmt.Appendf(nil, `{"type":"ping","timestamp":%d}`, 1700000000000+i*1037)
		case size <= 100:
			list[i] = fmt.Appendf(nil, `{"type":"user_typing","user_id":"u%d","username":"Ada %[1]d","room_id":"general","is_typing":%t}`, r.IntN(50), i%2 == 0)
		default:
			list[i] = fmt.Appendf(nil, `{"type":"message","message":{"id":"%08x","message_type":"text","content":"%s","sender_id":"u%d","sender_name":"User_%[3]d","room_id":"general","timestamp":"2026-01-02T03:%02d:%02d.%03dZ"},"offset":%d}`,
				r.Uint32(), text.String(), r.IntN(50), r.IntN(60), r.IntN(60), r.IntN(1000), 1000+i)
		}
	}
	return list
}

// Short messages are what takeover is for: they shrink as much as by a compressor
// with all its memory, or nearly.
func TestShortRatio(t *testing.T) {
	for _, test := range []struct {
		size       int
		most, over float64 // of the size; of what the standard library's best makes of it, with 15 bits
	}{{40, 0.25, 1.2}, {100, 0.12, 1.8}, {400, 0.32, 1.5}, {1000, 0.33, 1.5}} {
		var c Compressor
		var d Decompressor
		ours, theirs := NewWindow(12), NewWindow(12)
		var b bytes.Buffer
		best, _ := stdflate.NewWriter(&b, stdflate.BestCompression)
		var sum, least, total int
		for i, p := range shorts(test.size, 400) {
			out, ok := c.CompressNext(nil, p, ours)
			if !ok {
				t.Fatalf("message %d of %d bytes is not compressed: %q", i, len(p), p)
			}
			if back, err := d.DecompressNext(nil, out, len(p), theirs); err != nil || !bytes.Equal(back, p) {
				t.Fatalf("message %d: %q, %v, want %q", i, back, err, p)
			}
			b.Reset()
			best.Write(p)
			best.Flush()
			if i >= 50 {
				sum, least, total = sum+len(out), least+b.Len()-len(flushed), total+len(p)
			}
		}
		ratio, over := float64(sum)/float64(total), float64(sum)/float64(least)
		t.Logf("%d bytes: %.3f of it, %.2f × the least", test.size, ratio, over)
		if ratio > test.most || over > test.over {
			t.Errorf("%d bytes: %.3f of it, %.2f × the least; want %.2f and %.2f at most", test.size, ratio, over, test.most, test.over)
		}
	}
}

// A message that gains nothing is an investment: but not for ever, and what gains
// again is found.
func TestShortDull(t *testing.T) {
	var c Compressor
	w := NewWindow(12)
	sent := 0
	for i := range uint64(maxDull + 10*dullPause) {
		p := noise(i, 30)
		for j := range p {
			p[j] &= 0x7f // nine bits for each byte would be no investment
		}
		if _, ok := c.CompressNext(nil, p, w); ok {
			sent++
		}
	}
	if sent < maxDull || sent > maxDull+12 {
		t.Errorf("%d messages that gain nothing were sent compressed, want %d and one in %d", sent, maxDull, dullPause)
	}
	again := []byte(`{"type":"ping","timestamp":1700000000000}`)
	gained := 0
	for range 3 * dullPause {
		if out, ok := c.CompressNext(nil, again, w); ok && len(out) < len(again)/2 {
			gained++
		}
	}
	if gained < dullPause {
		t.Errorf("%d of %d messages gain, once they are all the same", gained, 3*dullPause)
	}
}

// FuzzShort compresses a script of messages with one window: pieces of its own, of the
// noise and of what was said before. All inflaters must agree, and nothing may be
// farther back than the window.
func FuzzShort(f *testing.F) {
	f.Add(uint8(12), []byte("\x20{\"type\":\"ping\"}\x20{\"type\":\"pong\"}\xff\x01\x7f\x00\x01\x02\x03\x04"))
	f.Add(uint8(8), bytes.Repeat([]byte("\x80abcabcabd"), 60))
	f.Add(uint8(15), bytes.Repeat([]byte("\x03\x03\x03\x03\xfe\xfe"), 400))
	var c Compressor
	var d Decompressor
	f.Fuzz(func(t *testing.T, bits uint8, script []byte) {
		bits = 8 + bits%8
		var list [][]byte
		for len(script) > 0 && len(list) < 64 {
			n := int(script[0]) * 5
			rest := script[1:]
			p := bytes.Clone(rest[:min(n, len(rest))])
			script = rest[min(n/4, len(rest)):] // overlapping: it repeats
			list = append(list, p)
			if n%3 == 0 {
				list = append(list, noise(uint64(n), n), bytes.Repeat(p, 3))
			}
		}
		checkMessages(t, &c, &d, list, int(bits), true)
	})
}
