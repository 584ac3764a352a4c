package conformance

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// A group is one family of 6.5 to 6.23.
type group struct {
	name string
	list []string
}

// sequences are the byte sequences of Markus Kuhn's UTF-8 decoder stress test, in
// the order of the suite. Which of them are valid the standard library decides;
// TestSequences holds it to the suite's counts.
func sequences() []group {
	incomplete := []string{
		"\xc0", "\xe0\x80", "\xf0\x80\x80", "\xf8\x80\x80\x80", "\xfc\x80\x80\x80\x80",
		"\xdf", "\xef\xbf", "\xf7\xbf\xbf", "\xfb\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf",
	}
	return []group{
		{"valid", []string{"hello$world", "hello¢world", "hello€world", "hello𤭢world", kosme}},
		{"prefix", prefixes(kosme)},
		{"first of its length", []string{"\x00", "\xc2\x80", "\xe0\xa0\x80", "\xf0\x90\x80\x80"}},
		{"first of 5 and 6", []string{"\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80"}},
		{"last of its length", []string{"\x7f", "\xdf\xbf", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf"}},
		{"last of 4, 5 and 6", []string{"\xf7\xbf\xbf\xbf", "\xfb\xbf\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf\xbf"}},
		{"boundary", []string{"\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbd", "\xf4\x8f\xbf\xbf", "\xf4\x90\x80\x80"}},
		{"unexpected continuation", []string{"\x80",
			"\xbf", "\x80\xbf", "\x80\xbf\x80", "\x80\xbf\x80\xbf", "\x80\xbf\x80\xbf\x80", "\x80\xbf\x80\xbf\x80\xbf",
			span(0x80, 0xbf, "")}},
		{"lonely start", []string{
			span(0xc0, 0xdf, " "), span(0xe0, 0xef, " "), span(0xf0, 0xf7, " "), span(0xf8, 0xfb, " "), span(0xfc, 0xfd, " "),
		}},
		{"last octet missing", incomplete},
		{"incomplete ones in a row", []string{strings.Join(incomplete, "")}},
		{"impossible", []string{"\xfe", "\xff", "\xfe\xfe\xff\xff"}},
		{"overlong slash", []string{
			"\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xf8\x80\x80\x80\xaf", "\xfc\x80\x80\x80\x80\xaf",
		}},
		{"longest overlong", []string{
			"\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xf8\x87\xbf\xbf\xbf", "\xfc\x83\xbf\xbf\xbf\xbf",
		}},
		{"overlong NUL", []string{
			"\xc0\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf8\x80\x80\x80\x80", "\xfc\x80\x80\x80\x80\x80",
		}},
		{"surrogate", []string{
			"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbe\x80", "\xed\xbf\xbf",
		}},
		{"surrogate pair", []string{
			"\xed\xa0\x80\xed\xb0\x80", "\xed\xa0\x80\xed\xbf\xbf", "\xed\xad\xbf\xed\xb0\x80", "\xed\xad\xbf\xed\xbf\xbf",
			"\xed\xae\x80\xed\xb0\x80", "\xed\xae\x80\xed\xbf\xbf", "\xed\xaf\xbf\xed\xb0\x80", "\xed\xaf\xbf\xed\xbf\xbf",
		}},
		{"non-character", nonCharacters()},
		{"special", []string{
			"\xef\xbf\xb9", "\xef\xbf\xba", "\xef\xbf\xbb", "\xef\xbf\xbc", "\xef\xbf\xbd", "\xef\xbf\xbe", "\xef\xbf\xbf",
		}},
	}
}

func prefixes(s string) []string {
	var list []string
	for i := range len(s) {
		list = append(list, s[:i+1])
	}
	return list
}

// span is the octets from lo up to but not including hi, as the suite has them,
// each followed by sep.
func span(lo, hi int, sep string) string {
	var b strings.Builder
	for c := lo; c < hi; c++ {
		b.WriteByte(byte(c))
		b.WriteString(sep)
	}
	return b.String()
}

// nonCharacters are the last two code points of every plane: no characters, but
// valid UTF-8 (RFC 3629).
func nonCharacters() []string {
	var list []string
	for plane := rune(0); plane <= 16; plane++ {
		list = append(list, string(plane<<16|0xfffe), string(plane<<16|0xffff))
	}
	return list
}

// TestSequences compares the groups with what the suite says of them.
func TestSequences(t *testing.T) {
	counts := []struct{ valid, invalid int }{
		{5, 0}, {5, 6}, {4, 0}, {0, 2}, {4, 0}, {0, 3}, {4, 1}, {0, 8}, {0, 5}, {0, 10},
		{0, 1}, {0, 3}, {0, 5}, {0, 5}, {0, 5}, {0, 7}, {0, 8}, {34, 0}, {7, 0},
	}
	groups := sequences()
	if len(groups) != len(counts) {
		t.Fatalf("%d groups, want %d", len(groups), len(counts))
	}
	for i, g := range groups {
		got := counts[i]
		got.valid, got.invalid = 0, 0
		for _, s := range g.list {
			if utf8.ValidString(s) {
				got.valid++
			} else {
				got.invalid++
			}
		}
		if got != counts[i] {
			t.Errorf("6.%d %s: %+v, want %+v", 5+i, g.name, got, counts[i])
		}
	}
}
