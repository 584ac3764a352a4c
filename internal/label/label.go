package label

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

// Valid reports whether s may be an id as it is: characters that have their place, the first not one that goes with
// the one before, spaces at most inside. How long it may be is the caller's to say.
func Valid(s string) bool {
	return s != "" && utf8.ValidString(s) && s[0] != ' ' && s[len(s)-1] != ' ' && wellFormed(norm.NFC.String(s))
}

// wellFormed is Valid but for the spaces. s is in NFC.
func wellFormed(s string) bool {
	runes := []rune(s)
	return len(runes) > 0 && !unicode.IsMark(runes[0]) && placed(runes)
}

// rounds is how often a form is made, at most, until it is its own: Unicode promises fewer.
const rounds = 5

// maxCompared bounds the form in which a name is compared, in bytes: one character may become 18, and work for us.
const maxCompared = 256

// Clean returns a name as it is shown: with plain single spaces, none at the ends, letters of common width, and
// composed (NFC). ok is false if it cannot be a name. Clean of what it returned is that again.
//
// RFC 8266 shows NFKC instead, which takes emoji and the Korean ㅋㅋ apart. Key compares that form all the same.
func Clean(name string) (shown string, ok bool) {
	if !utf8.ValidString(name) {
		return "", false
	}
	for range rounds {
		shown = spaces(norm.NFC.String(width.Fold.String(name)))
		if shown == name {
			return shown, wellFormed(shown) && len(norm.NFKC.String(shown)) <= maxCompared
		}
		name = shown
	}
	return "", false
}

// spaces makes every space a plain one, and runs of them one, and takes them from the ends.
func spaces(s string) string {
	if ascii(s) && !strings.Contains(s, "  ") {
		return strings.Trim(s, " ")
	}
	s = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Zs, r) {
			return ' '
		}
		return r
	}, s)
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == ' ' }), " ")
}

// ascii reports that s is of ASCII alone, as most labels are: then it is in every normal form, and all of it is seen.
func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Blank reports that nothing of s would be seen: it is empty, or white space, control and format characters, fillers
// and the like.
func Blank(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !unseen(r) && !unicode.IsSpace(r) && !unicode.IsControl(r) }) < 0
}

// unseen reports that r is not seen itself.
func unseen(r rune) bool { return r >= firstUnseen && unicode.Is(unseenTable, r) }

// Key returns what labels that are the same have in common.
func Key(s string) string { return settled(s, fold) }

// fold makes cases one. Cherokee folds to its capitals (Unicode 5.18), which x/text takes for small ones. The dot on
// the i that comes from a Turkish İ is not seen.
func fold(s string) string {
	if ascii(s) {
		return strings.ToLower(s)
	}
	s = strings.ReplaceAll(cases.Fold().String(s), "i\u0307", "i")
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cherokee, r) {
			return unicode.ToUpper(r)
		}
		return r
	}, s)
}

// settled drops what is not seen, but for the tags that tell flags apart, and brings s into NFKC and the form that
// fold makes.
func settled(s string, fold func(string) string) string {
	if ascii(s) {
		return spaces(fold(s))
	}
	for range rounds {
		next := spaces(norm.NFKC.String(fold(norm.NFKC.String(strings.Map(func(r rune) rune {
			if unseen(r) && !tag(r) || r == tatweel {
				return -1
			}
			return r
		}, s)))))
		if next == s {
			break
		}
		s = next
	}
	return s
}

// Password returns a password in the form in which it is compared (RFC 8265 OpaqueString): with plain spaces, and in
// NFC, so that it does not matter on which keyboard it was typed. ok is false if it is empty, or has a character that
// has no place there.
func Password(s string) (form string, ok bool) {
	if !utf8.ValidString(s) {
		return "", false
	}
	form = norm.NFC.String(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Zs, r) {
			return ' '
		}
		return r
	}, s))
	return form, form != "" && placed([]rune(form))
}
