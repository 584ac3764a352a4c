package label

import (
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Characters that have a rule of their own.
const (
	zwnj         = '\u200c' // zero width non-joiner
	zwj          = '\u200d' // zero width joiner
	keycap       = '\u20e3' // combining enclosing keycap
	tatweel      = '\u0640' // makes an Arabic word wider
	heh          = '\u0647' // with zwnj behind it a letter of its own, in Kurdish
	blackFlag    = '\U0001f3f4'
	tagEnd       = '\U000e007f'
	vowelMVS     = '\u180e' // Mongolian vowel separator
	textStyle    = '\ufe0e' // variation selector 15
	emojiStyle   = '\ufe0f' // variation selector 16
	lightestSkin = '\U0001f3fb'
	darkestSkin  = '\U0001f3ff'
)

// maxTags is how many tags a flag has at most: those of a region, like gbeng.
const maxTags = 6

// invisible are characters that look like nothing, or like a space, although Unicode counts them among letters, marks
// and symbols: Khmer inherent vowels, fillers and blanks of Hangul, Khitan, Egyptian hieroglyphs, braille and music,
// and what stands for an object that is not there.
var invisible = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x034f, Hi: 0x034f, Stride: 1}, {Lo: 0x115f, Hi: 0x1160, Stride: 1}, {Lo: 0x17b4, Hi: 0x17b5, Stride: 1},
		{Lo: 0x2800, Hi: 0x2800, Stride: 1}, {Lo: 0x3164, Hi: 0x3164, Stride: 1}, {Lo: 0xffa0, Hi: 0xffa0, Stride: 1},
		{Lo: 0xfffc, Hi: 0xfffc, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x13441, Hi: 0x13442, Stride: 1}, {Lo: 0x16fe4, Hi: 0x16fe4, Stride: 1}, {Lo: 0x1d159, Hi: 0x1d159, Stride: 1},
	},
}

const firstUnseen = '\u00ad'

// unseenTable are those, and the characters that Unicode says are not seen: format characters but for the Arabic,
// Syriac and Kaithi ones that stand around numbers, variation selectors, and whatever else is ignorable by default.
var unseenTable = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x00ad, Hi: 0x00ad, Stride: 1}, {Lo: 0x034f, Hi: 0x034f, Stride: 1}, {Lo: 0x061c, Hi: 0x061c, Stride: 1},
		{Lo: 0x115f, Hi: 0x1160, Stride: 1}, {Lo: 0x17b4, Hi: 0x17b5, Stride: 1}, {Lo: 0x180b, Hi: 0x180f, Stride: 1},
		{Lo: 0x200b, Hi: 0x200f, Stride: 1}, {Lo: 0x202a, Hi: 0x202e, Stride: 1}, {Lo: 0x2060, Hi: 0x206f, Stride: 1},
		{Lo: 0x2800, Hi: 0x2800, Stride: 1}, {Lo: 0x3164, Hi: 0x3164, Stride: 1}, {Lo: 0xfe00, Hi: 0xfe0f, Stride: 1},
		{Lo: 0xfeff, Hi: 0xfeff, Stride: 1}, {Lo: 0xffa0, Hi: 0xffa0, Stride: 1}, {Lo: 0xfff0, Hi: 0xfffc, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x13430, Hi: 0x13442, Stride: 1}, {Lo: 0x16fe4, Hi: 0x16fe4, Stride: 1}, {Lo: 0x1bca0, Hi: 0x1bca3, Stride: 1},
		{Lo: 0x1d159, Hi: 0x1d159, Stride: 1}, {Lo: 0x1d173, Hi: 0x1d17a, Stride: 1}, {Lo: 0xe0000, Hi: 0xe0fff, Stride: 1},
	},
}

// cursive are the scripts whose letters join, so that a zwnj between two of them is seen.
var cursive = []*unicode.RangeTable{
	unicode.Arabic, unicode.Syriac, unicode.Nko, unicode.Mandaic, unicode.Mongolian, unicode.Phags_Pa, unicode.Manichaean,
	unicode.Psalter_Pahlavi, unicode.Hanifi_Rohingya, unicode.Sogdian, unicode.Adlam, unicode.Chorasmian, unicode.Old_Uyghur,
}

// placed reports whether every character of a label has its place there.
func placed(s []rune) bool {
	for i := range s {
		if !hasPlace(s, i) {
			return false
		}
	}
	return true
}

// hasPlace reports whether the character at i can be seen, or has an effect where it is.
func hasPlace(s []rune, i int) bool {
	switch r := s[i]; {
	case r == zwnj:
		return afterVirama(s, i) || separates(s, i)
	case r == zwj:
		return afterVirama(s, i) || beforeVirama(s, i) || joinsEmoji(s, i)
	case r == vowelMVS:
		return unicode.Is(unicode.Mongolian, at(s, i-1)) && unicode.Is(unicode.Mongolian, at(s, i+1))
	case tag(r):
		return inFlag(s, i)
	case unicode.Is(unicode.Variation_Selector, r):
		return selects(r, at(s, i-1), at(s, i+1))
	default:
		return r != unicode.ReplacementChar && (unicode.IsPrint(r) || pictograph(r)) && !unicode.Is(invisible, r)
	}
}

// at is the character at i; 0 outside.
func at(s []rune, i int) rune {
	if i < 0 || i >= len(s) {
		return 0
	}
	return s[i]
}

// afterVirama is RFC 5892 A.1, first rule, and A.2.
func afterVirama(s []rune, i int) bool { return virama(at(s, i-1)) }

// beforeVirama: Bengali and Kannada r before y, and the touching letters of Sinhala, have the joiner before it.
func beforeVirama(s []rune, i int) bool { return virama(at(s, i+1)) && unicode.IsLetter(at(s, i-1)) }

func virama(r rune) bool {
	const combiningClass = 9
	return r != 0 && norm.NFC.PropertiesString(string(r)).CCC() == combiningClass
}

// separates: a zwnj between two letters that could join. RFC 5892 A.1, second rule, demands that they would; people
// write it between the parts of a word whether its last letter joins or not, and no name is another one by it.
func separates(s []rune, i int) bool {
	before, after := i-1, i+1
	for unicode.Is(unicode.Mn, at(s, before)) {
		before--
	}
	for unicode.Is(unicode.Mn, at(s, after)) {
		after++
	}
	return at(s, before) == heh || joining(at(s, before)) && joining(at(s, after))
}

func joining(r rune) bool { return unicode.IsLetter(r) && unicode.In(r, cursive...) }

// joinsEmoji: UTS #51, ED-15a and 16. A modifier of the first, a skin tone for instance, stands between it and
// the joiner.
func joinsEmoji(s []rune, i int) bool {
	before := i - 1
	for r := at(s, before); r == emojiStyle || r == keycap || skin(r) || tag(r); r = at(s, before) {
		before--
	}
	return emoji(at(s, before)) && emoji(at(s, i+1))
}

// emoji reports that r can begin an emoji. Unicode's own list is longer than what is needed here: symbols that are
// none do no harm.
func emoji(r rune) bool {
	switch r {
	case '\u203c', '\u2049', '\u2139', '\u3030', '\u303d': // that are no symbols by category
		return true
	}
	return r > unicode.MaxASCII && unicode.In(r, unicode.So, unicode.Sm) || pictograph(r)
}

// pictograph reports that r is, or will be, one: phones have the new ones of each year before our tables do.
func pictograph(r rune) bool {
	const first, last = '\U0001f300', '\U0001faff'
	return first <= r && r <= last
}

func skin(r rune) bool { return lightestSkin <= r && r <= darkestSkin }

// tag reports that r is a tag of a digit or a small letter, or the end of tags.
func tag(r rune) bool {
	const digit0, digit9, smallA, smallZ = '\U000e0030', '\U000e0039', '\U000e0061', '\U000e007a'
	return r == tagEnd || digit0 <= r && r <= digit9 || smallA <= r && r <= smallZ
}

// inFlag: UTS #51, ED-14a: the black flag, tags of a region, the end of tags.
func inFlag(s []rune, i int) bool {
	first := i
	for tag(at(s, first-1)) && at(s, first-1) != tagEnd {
		first--
	}
	end := i
	for tag(at(s, end)) && s[end] != tagEnd {
		end++
	}
	n := end - first
	return at(s, first-1) == blackFlag && at(s, end) == tagEnd && 3 <= n && n <= maxTags
}

// selects reports whether a variation selector says something about the character before it.
func selects(r, before, after rune) bool {
	switch {
	case r == textStyle || r == emojiStyle:
		return emoji(before) || skin(before) || after == keycap && (before == '#' || before == '*' || '0' <= before && before <= '9')
	case unicode.Is(unicode.Mongolian, r): // free variation selectors
		return unicode.Is(unicode.Mongolian, before)
	case r <= '\ufe02': // Standardized variants of ideographs and letters
		return unicode.In(before, unicode.Han, unicode.Myanmar, unicode.Phags_Pa)
	}
	return r > '\ufe0f' && unicode.Is(unicode.Han, before) // ideographic variants, as in Japanese names
}
