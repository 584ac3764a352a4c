package label

import (
	_ "embed"
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
	for _, small := range smallCapitals {
		letter := string(small.letter)
		if like, ok := all[small.letter]; ok {
			letter = like
		}
		all[small.capital] = letter
		for r, like := range all {
			if strings.ContainsRune(like, small.capital) {
				all[r] = strings.ReplaceAll(like, string(small.capital), letter)
			}
		}
	}
	return all
})

// smallCapitals look like their letter. The table of Unicode keeps them apart, and has them for what the small letters
// of other scripts look like, as the Cyrillic в, к, м, н and т do: "Ѕуѕтем" is "System" to people.
var smallCapitals = []struct{ capital, letter rune }{
	{'ᴀ', 'a'}, {'ʙ', 'b'}, {'ᴄ', 'c'}, {'ᴅ', 'd'}, {'ᴇ', 'e'}, {'ꜰ', 'f'}, {'ɢ', 'g'}, {'ʜ', 'h'}, {'ɪ', 'i'}, {'ᴊ', 'j'},
	{'ᴋ', 'k'}, {'ĸ', 'k'}, {'ʟ', 'l'}, {'ᴍ', 'm'}, {'ʍ', 'm'}, {'ɴ', 'n'}, {'ᴏ', 'o'}, {'ᴘ', 'p'}, {'ꞯ', 'q'}, {'ʀ', 'r'},
	{'ꜱ', 's'}, {'ᴛ', 't'}, {'ᴜ', 'u'}, {'ᴠ', 'v'}, {'ᴡ', 'w'}, {'ʏ', 'y'}, {'ᴢ', 'z'},
}

func codePoint(hex string) rune {
	n, err := strconv.ParseUint(hex, 16, 21)
	if err != nil {
		panic("label: confusables.txt: " + err.Error()) // it is part of the program
	}
	return rune(n)
}

// skeleton is UTS #39 §4, of characters from a first one on: all, or those beyond ASCII. same: it has none that look
// like others.
func skeleton(s string, from rune) (skeleton string, same bool) {
	table := prototypes()
	s = norm.NFD.String(s)
	looksLikeOther := func(r rune) bool {
		_, ok := table[r]
		return ok && r >= from
	}
	first := strings.IndexFunc(s, looksLikeOther)
	if first < 0 {
		return s, true
	}
	b := []byte(s[:first])
	for _, r := range s[first:] {
		if looksLikeOther(r) {
			b = append(b, table[r]...)
		} else {
			b = utf8.AppendRune(b, r)
		}
	}
	return norm.NFD.String(string(b)), false
}

// Looks returns what labels that look alike have at least one of in common: one to three strings. They look alike if
// they do so
//
//   - with capitals made small ("gеneral" with a Cyrillic е, and "General"),
//   - with letters of other scripts made Latin, and then capitals small ("ЅУЅТЕМ" and "System"),
//   - as they stand ("AdaI" with a capital i, and "Adal").
//
// The same labels, by Key, always look alike.
func Looks(s string) []string {
	typed := settled(s, func(s string) string { return s })
	small := Key(typed)
	asItStands, _ := skeleton(typed, 0)
	looks := make([]string, 0, 3)
	if small == typed {
		looks = append(looks, fold(asItStands))
	} else {
		like, _ := skeleton(small, 0)
		looks = append(looks, fold(like))
	}
	if latin, same := skeleton(typed, utf8.RuneSelf); !same {
		like, _ := skeleton(fold(latin), 0)
		if like = fold(like); like != looks[0] {
			looks = append(looks, like)
		}
	}
	return append(looks, "\x00"+asItStands) // no other begins so
}
