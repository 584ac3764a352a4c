package label

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// names are real ones, of many scripts, and emoji as phones write them.
var names = map[string]string{
	"Persian, zwnj between letters that join": "می\u200cخواهم",
	"Persian, zwnj behind one that does not":  "کار\u200cها",
	"Persian, zwnj behind a vowel sign":       "نامهِ\u200cمن",
	"Kurdish, zwnj behind heh":                "ژاله\u200c",
	"Arabic":                                  "مُحَمَّد بن عبد الله",
	"Arabic, tatweel":                         "مـحـمـد",
	"Urdu":                                    "ذوالفقار علی",
	"Hebrew":                                  "יַעֲקֹב ז\u05f4ל",
	"Hebrew, geresh":                          "צ\u05f3רלי",
	"Syriac":                                  "ܡܪܝܡ",
	"N'Ko":                                    "ߒߞߏ",
	"Mongolian, free variation selector":      "ᠮᠣᠩᠭᠣᠯ ᠠ\u180bᠷ",
	"Mongolian, vowel separator":              "ᠬᠠᠷ\u180eᠠ",
	"Hindi":                                   "श्रीमती नंदिनी",
	"Hindi, zwj behind the virama":            "क्\u200dष",
	"Hindi, zwnj behind the virama":           "क्\u200cष",
	"Marathi, eyelash r":                      "सार्\u200dया",
	"Bengali":                                 "শ্রীকৃষ্ণ",
	"Bengali, zwj before the virama":          "র\u200d্যাংকিন",
	"Bengali, khanda ta with zwj":             "সত্\u200d",
	"Gurmukhi":                                "ਗੁਰਪ੍ਰੀਤ",
	"Gujarati":                                "કૃષ્ણ",
	"Odia":                                    "ଶ୍ରୀ",
	"Tamil":                                   "ஸ்ரீராம்",
	"Telugu":                                  "శ్రీను",
	"Telugu, zwnj":                            "సాఫ్ట్\u200cవేర్",
	"Kannada, zwj before the virama":          "ರ\u200d್ಯಾಂಕ್",
	"Malayalam":                               "മോഹൻലാൽ",
	"Malayalam, chillu with zwj at the end":   "മോഹന്\u200dലാല്\u200d",
	"Sinhala":                                 "ශ්\u200dරී ලංකා",
	"Sinhala, touching letters":               "ක\u200d්ෂ",
	"Thai":                                    "สมชาย ใจดี",
	"Lao":                                     "ສົມສັກ",
	"Khmer":                                   "ស្រីមុំ",
	"Myanmar":                                 "အောင်ဆန်း",
	"Myanmar, dotted form":                    "ဢ\ufe00",
	"Tibetan":                                 "བསྟན་འཛིན་རྒྱ་མཚོ",
	"Georgian":                                "გიორგი",
	"Armenian":                                "Արմեն",
	"Ethiopic":                                "አበበ ቢቂላ",
	"Cherokee":                                "ᏣᎳᎩ",
	"Korean":                                  "김철수",
	"Korean, letters":                         "ㅋㅋㅋ ㅠㅠ",
	"Korean, decomposed":                      norm.NFD.String("김철수"),
	"Korean, old":                             "\u1112\u119e\u11ab\u1100\u1173\u11af",
	"Japanese":                                "山田 太郎",
	"Japanese, middle dot and prolonged sound": "マイケル・ジャクソン",
	"Japanese, an ideograph's variant":         "葛\U000e0100城",
	"Japanese, half width with sound marks":    "ﾊﾞﾅﾅ",
	"Chinese":                                  "欧阳娜娜",
	"Chinese, compatibility variant":           "邉\ufe00",
	"Greek":                                    "Σωκράτης",
	"Russian":                                  "Фёдор Достоевский",
	"Catalan, middle dot":                      "Gal·la",
	"Vietnamese":                               "Nguyễn Thị Ánh",
	"Irish":                                    "Seán O’Brien",
	"Hawaiian":                                 "Kaʻahumanu",
	"a heart":                                  "❤️",
	"a heart as text":                          "❤︎",
	"smiling":                                  "☺️",
	"plain emoji":                              "Ada 😀",
	"skin tone":                                "👍🏽",
	"skin tone and style":                      "☝🏽",
	"family":                                   "👨‍👩‍👧‍👦",
	"couple with skin tones":                   "👩🏽‍❤️‍👨🏿",
	"programmer":                               "👩🏽‍💻",
	"rainbow flag":                             "🏳️‍🌈",
	"pirate flag":                              "🏴‍☠️",
	"eye in speech bubble":                     "👁️‍🗨️",
	"black cat":                                "🐈‍⬛",
	"shaking head":                             "🙂‍↔️",
	"burning heart":                            "❤️‍🔥",
	"of Unicode 16 and later":                  "\U0001fae9\U0001faea\u200d\U0001f6d8",
	"country":                                  "🇯🇵🇫🇷",
	"England":                                  "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
	"Texas":                                    "🏴\U000e0075\U000e0073\U000e0074\U000e0078\U000e007f",
	"keycaps":                                  "1️⃣#️⃣*️⃣",
	"keycap without style":                     "1⃣",
	"emoji that are no symbols, or decompose": "ℹ️‼️⁉️™️©️〰️〽️Ⓜ️㊗️🈂️",
	"several": "Zoë 👩‍🚀 & نیما\u200cها 🏳️‍🌈",
	"punctuation and symbols of the keyboard": "~!@#$%^&*()_+-=[]{}|;':\",./<>?",
}

func TestValid(t *testing.T) {
	for what, name := range names {
		if strings.Contains(what, "half width") {
			continue
		}
		if !Valid(name) {
			t.Errorf("%s: %q (%+q) is refused", what, name, name)
		}
	}
}

func TestClean(t *testing.T) {
	for what, name := range names {
		shown, ok := Clean(name)
		want := norm.NFC.String(name)
		if strings.Contains(what, "half width") {
			want = "バナナ"
		}
		if !ok || shown != want {
			t.Errorf("%s: %q is shown as %q, %v", what, name, shown, ok)
		}
		if shown, ok := Clean("\u3000 " + name + "\u00a0"); !ok || shown != want {
			t.Errorf("%s: in spaces %q is shown as %q, %v", what, name, shown, ok)
		}
	}
}

// What has no place in a label. Where it says so, another place would do.
func TestInvalid(t *testing.T) {
	for what, s := range map[string]string{
		"nothing":                         "",
		"spaces":                          " ",
		"not UTF-8":                       "a\xff",
		"replacement character":           "a\ufffdb",
		"control characters":              "a\x00b",
		"a new line":                      "a\nb",
		"a tab":                           "a\tb",
		"delete":                          "a\x7fb",
		"next line":                       "a\u0085b",
		"line separator":                  "a\u2028b",
		"zero width space":                "a\u200bb",
		"zero width space alone":          "\u200b",
		"word joiner":                     "\u2060a",
		"soft hyphen":                     "a\u00adb",
		"byte order mark":                 "\ufeffa",
		"grapheme joiner":                 "a\u034fb",
		"left-to-right mark":              "a\u200eb",
		"right-to-left mark":              "א\u200fב",
		"Arabic letter mark":              "ا\u061cب",
		"right-to-left override":          "a\u202eb",
		"isolate":                         "\u2066a\u2069",
		"private use":                     "a\ue000",
		"private use, beyond":             "a\U000f0000",
		"unassigned":                      "a\u0378b",
		"not a character":                 "a\ufdd0",
		"Hangul fillers":                  "\u3164",
		"choseong filler":                 "\u115f",
		"half width filler":               "\uffa0",
		"braille blank":                   "a\u2800",
		"null notehead":                   "\U0001d159",
		"Khmer inherent vowel":            "ស\u17b4",
		"object replacement":              "\ufffc",
		"zwj in Latin":                    "a\u200db",
		"zwj at the end of Latin":         "a\u200d",
		"zwnj in Latin":                   "a\u200cb",
		"zwnj alone":                      "\u200c",
		"zwnj first":                      "\u200cمن",
		"zwnj at the end of Persian":      "می\u200c",
		"two zwnj":                        "می\u200c\u200cخواهم",
		"zwnj between Persian and Latin":  "می\u200ca",
		"zwj in Hindi, without virama":    "क\u200dष",
		"zwnj in Hindi, without virama":   "क\u200cष",
		"zwj between letters and emoji":   "a\u200d😀",
		"zwj at the end of emoji":         "👨\u200d",
		"zwj before a letter":             "👨\u200da",
		"two zwj":                         "👨\u200d\u200d👩",
		"emoji style on a letter":         "a\ufe0f",
		"emoji style on a digit":          "1\ufe0f",
		"emoji style first":               "\ufe0fa",
		"two emoji styles":                "❤\ufe0f\ufe0f",
		"variation selector on a letter":  "a\ufe00",
		"ideographic variant of a letter": "a\U000e0100",
		"Mongolian selector on a letter":  "a\u180b",
		"Mongolian separator in Latin":    "a\u180eb",
		"a tag on a letter":               "a\U000e0061",
		"tags without an end":             "🏴\U000e0067\U000e0062\U000e0065",
		"tags behind another emoji":       "😀\U000e0067\U000e0062\U000e0065\U000e007f",
		"the end of tags alone":           "🏴\U000e007f",
		"hidden text in tags":             "🏴" + strings.Repeat("\U000e0061", 7) + "\U000e007f",
		"a capital in tags":               "🏴\U000e0047\U000e0062\U000e0065\U000e007f",
		"deprecated language tag":         "a\U000e0001",
		"a combining mark first":          "\u0301a",
		"a vowel sign first":              "ि",
		"annotation":                      "a\ufff9b\ufffb",
	} {
		if Valid(s) {
			t.Errorf("%s: %+q is valid", what, s)
		}
		if shown, ok := Clean(s); ok {
			t.Errorf("%s: %+q is shown as %+q", what, s, shown)
		}
	}
	for _, s := range []string{" a", "a ", "a\u00a0b", "a\u3000b"} { // an id is as it is typed
		if Valid(s) {
			t.Errorf("%+q is valid", s)
		}
	}
}

func TestBlank(t *testing.T) {
	for _, s := range []string{
		"", " ", "\t\r\n", "\u00a0\u3000\u2003\u1680", "\u200b", "\u200b \u200d\u200c", "\u2060\ufeff", "\u3164", "\u115f\u1160\uffa0", "\u2800\u2800",
		"\u00ad", "\u034f", "\u202e\u202c", "\u2066\u2069", "\ufe0f", "\u180e\u180b", "\u17b4", "\U000e0041\U000e007f", "\U0001d159", "\u2028\u2029", "\x00\x1b",
		"\u2065", "\ufff0", "\U000e0fff", "\ufffc",
	} {
		if !Blank(s) {
			t.Errorf("%+q is not blank", s)
		}
	}
	for _, s := range []string{"a", " .", "\u200b1", "-", "\u0301", "❤️", "\ufffd", "㊗", "\u0600", "x\u3164", "\u200b😀"} {
		if Blank(s) {
			t.Errorf("%+q is blank", s)
		}
	}
	for what, name := range names {
		if Blank(name) {
			t.Errorf("%s: %q is blank", what, name)
		}
	}
}

// The table of what is not seen is what Unicode says and our own additions, and no more.
func TestUnseen(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		want := unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r) || unicode.Is(invisible, r) ||
			unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
		const hieroglyphBlanks = 0x13440 // a modifier of damaged ones, unassigned or a mark in some versions
		if unseen(r) != want && r != hieroglyphBlanks {
			t.Errorf("%U: unseen is %v, want %v", r, unseen(r), want)
		}
	}
}

func TestPassword(t *testing.T) {
	for _, tc := range []struct{ typed, form string }{
		{"Darjeeling", "Darjeeling"},
		{"cafe\u0301", "café"},
		{"  two  spaces ", "  two  spaces "},
		{"a\u00a0b\u3000c", "a b c"},
		{"Pa\u212bword", "PaÅword"}, // Ångström sign
		{"ＡＢ", "ＡＢ"},                // RFC 8265 §4.2: width stays
		{"ﬁ", "ﬁ"},                  // and compatible characters
		{"ß", "ß"},
		{" ", " "},
		{"❤️👩‍💻", "❤️👩‍💻"},
		{"می\u200cخواهم", "می\u200cخواهم"},
		{norm.NFD.String("김치"), "김치"},
	} {
		if form, ok := Password(tc.typed); !ok || form != tc.form {
			t.Errorf("%+q: %+q, %v", tc.typed, form, ok)
		}
	}
	for _, typed := range []string{"", "a\x00", "a\n", "\u200b", "a\u200b", "\u3164", "\ue000", "\u0378", "a\xff", "a\u202e", "\u0085"} {
		if form, ok := Password(typed); ok {
			t.Errorf("%+q is a password: %+q", typed, form)
		}
	}
}

// A few characters that stand for a sentence each may be in a name, but not so many that comparing it takes long.
func TestCleanBound(t *testing.T) {
	const sentence = "\ufdfa" // 33 bytes
	if _, ok := Clean(strings.Repeat(sentence, maxCompared/33)); !ok {
		t.Error("a few are refused")
	}
	if _, ok := Clean(strings.Repeat(sentence, maxCompared/33+1)); ok {
		t.Error("more are not refused")
	}
}

// Whatever comes in: what Clean lets pass is valid, its own clean form, and seen; forms settle.
func TestForms(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var all []rune
	for _, name := range names {
		all = append(all, []rune(name)...)
	}
	all = append(all, []rune("ΣςσİıẞßǅſK①ﬀＡ゛は\u0301\u0345\u00a8\ufdfa\u1e9e\u0130ﷺ\u3000\u200b\u202e\u3164")...)
	passed := 0
	for range 20_000 {
		var b strings.Builder
		for range 1 + random.IntN(6) {
			b.WriteRune(all[random.IntN(len(all))])
		}
		s := b.String()
		if k := Key(s); Key(k) != k {
			t.Fatalf("the key of %+q is %+q, and that of this %+q", s, k, Key(k))
		}
		shown, ok := Clean(s)
		if !ok {
			continue
		}
		passed++
		if again, ok := Clean(shown); !ok || again != shown || !Valid(shown) || Blank(shown) {
			t.Fatalf("%+q became %+q, and then %+q", s, shown, again)
		}
		if !alike(s, shown) || Key(s) != Key(shown) {
			t.Fatalf("%+q is shown as %+q, which is another name", s, shown)
		}
	}
	if passed < 1000 {
		t.Errorf("only %d passed", passed)
	}
}
