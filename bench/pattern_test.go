package bench

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"github.com/perchws/perch"
)

func TestPattern(t *testing.T) {
	for mode := range 4 {
		text := mode&1 != 0
		for _, size := range []int{8, 9, 200} {
			want := newPattern(size, text, mode&2 != 0)
			for _, n := range []uint64{0, 1, 63, 64, 1<<47 + 12345, tagMask} {
				m := want.clone()
				putTag(m.body, n)
				if got, ok := want.match(m.op, m.body); !ok || got != n {
					t.Errorf("size %d: tag %d, %v, want %d", size, got, ok, n)
				}
				if text && !utf8.Valid(m.body) {
					t.Errorf("size %d: text %q is not UTF-8", size, m.body)
				}
			}
		}
	}
}

// TestPatternMatch flips every bit of a message in turn: what matches has
// another tag.
func TestPatternMatch(t *testing.T) {
	want := newPattern(40, false, false)
	m := want.clone()
	putTag(m.body, 99)
	for bit := range 8 * len(m.body) {
		bad := bytes.Clone(m.body)
		bad[bit/8] ^= 1 << (bit % 8)
		if n, ok := want.match(perch.Binary, bad); ok && (n == 99 || bit >= 8*tagSize) {
			t.Errorf("bit %d flipped: matches with tag %d", bit, n)
		}
	}
	if _, ok := want.match(perch.Text, m.body); ok {
		t.Error("matches with another opcode")
	}
	if _, ok := want.match(perch.Binary, m.body[:39]); ok {
		t.Error("matches cut")
	}
}
