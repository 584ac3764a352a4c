package label

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

//go:embed confusables.txt
var confusablesText string

// prototypes maps a character to what it looks like. ASCII has some of its own: I, 1 and |, 0, m and rn.
var prototypes = sync.OnceValue(func() map[rune]string {
	all := make(map[rune]string, 1<<12)
	for line := range strings.Lines(confusablesText) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] == "#" {
			continue
		}
		var like strings.Builder
		for _, f := range fields[1:] {
			like.WriteRune(codePoint(f))
		}
		all[codePoint(fields[0])] = like.String()
	}
	return all
})

func codePoint(hex string) rune {
	n, err := strconv.ParseUint(hex, 16, 21)
	if err != nil {
		panic("label: confusables.txt: " + err.Error()) // it is part of the program
	}
	return rune(n)
}

// skeleton is UTS #39 §4, of characters from a first one on: all, or those beyond ASCII.
func skeleton(s string, from rune) string {
	var b strings.Builder
	table := prototypes()
	for _, r := range norm.NFD.String(s) {
		if like, ok := table[r]; ok && r >= from {
			b.WriteString(like)
		} else {
			b.WriteRune(r)
		}
	}
	return norm.NFD.String(b.String())
}

// Looks returns what labels that look alike have at least one of in common: one to three strings. They look alike if they do so
//
//   - with capitals made small ("gеneral" with a Cyrillic е, and "General"),
//   - with letters of other scripts made Latin, and then capitals small ("ЅУЅТЕМ" and "System"),
//   - as they stand ("AdaI" with a capital i, and "Adal").
//
// The same labels, by Key, always look alike.
func Looks(s string) []string {
	typed := settled(s, func(s string) string { return s })
	small := func(s string) string { return fold(skeleton(fold(s), 0)) }
	looks := []string{small(Key(s)), small(skeleton(typed, utf8.RuneSelf)), "=" + skeleton(typed, 0)}
	return slices.Compact(looks)
}

// Alike reports whether two labels look alike.
func Alike(a, b string) bool {
	theirs := Looks(b)
	return slices.ContainsFunc(Looks(a), func(look string) bool { return slices.Contains(theirs, look) })
}
