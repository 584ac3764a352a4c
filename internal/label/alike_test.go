package label

import (
	"slices"
	"strings"
	"testing"
)

// alike reports whether two labels look alike.
func alike(a, b string) bool {
	theirs := Looks(b)
	return slices.ContainsFunc(Looks(a), func(look string) bool { return slices.Contains(theirs, look) })
}

func TestAlike(t *testing.T) {
	for _, tc := range [][2]string{
		{"Ada", "ada"}, {"Ada", "ADA"}, {"Ada", " ada "}, {"Ada", "Ａｄａ"}, {"Ada B", "ada\u00a0 b"}, {"straße", "STRASSE"},
		{"Zoé", "Zoe\u0301"}, {"Σωκράτης", "ΣΩΚΡΆΤΗΣ"}, {"Тест", "тест"}, {"①", "1"}, {"ﬁx", "fix"}, {"𝐀𝐝𝐚", "Ada"},
		{"می\u200cخواهم", "میخواهم"}, {"ശ്രീ\u200d", "ശ്രീ"}, {"❤️", "❤"}, {"❤︎", "❤️"}, {"葛\U000e0100城", "葛城"}, {"مـحمد", "محمد"},
		{"a\u200bda", "ada"}, {"a\u00adda", "ada"}, // wherever they may come from
		{"system", "ѕуѕtem"}, {"System", "ЅУЅТЕМ"}, {"System", "Ѕуѕtеm"}, {"SYSTEM", "ՏYՏTEM"}, {"System", "Sуstem"},
		{"System", "Ѕуѕтем"}, {"System", "ѕуѕтем"}, {"SYSTEM", "Ѕуѕтeм"}, {"System", "Sysтem"}, {"System", "Sуstеᴍ"}, {"System", "ꜱʏꜱᴛᴇᴍ"},
		{"Kate", "Кате"}, {"bob", "ʙoʙ"}, {"Anna", "ᴀɴɴᴀ"}, {"hat", "нат"},
		{"General", "Gеneral"}, {"general", "gеnеrаl"}, {"GENERAL", "GENERАL"}, {"general", "ɡeneral"},
		{"Ada", "Аda"}, {"ада", "aдa"}, {"Nik", "Νik"}, {"pop", "рор"}, {"Ꭹ", "ꭹ"}, {"İstanbul", "istanbul"}, {"ISTANBUL", "ıstanbul"}, {"ᏸ", "Ᏸ"},
		{"AdaI", "Adal"}, {"Paypal", "PaypaI"}, {"Ada1", "Adal"}, {"Bob0", "BobO"}, {"Bob0", "bobo"}, {"modern", "modem"},
		{"a-b", "a‐b"}, {"a.b", "a․b"}, {"O’Brien", "O'Brien"},
		{"二", "ニ"}, {"口", "ロ"}, {"データ", "デ一タ"},
	} {
		if !alike(tc[0], tc[1]) || !alike(tc[1], tc[0]) {
			t.Errorf("%q and %q: %q, %q", tc[0], tc[1], Looks(tc[0]), Looks(tc[1]))
		}
	}
	for _, tc := range [][2]string{
		{"Ada", "Adam"}, {"Ada", "Ida"}, {"Ian", "Lan"}, {"Ada", "Ádа"}, {"system", "systems"}, {"Zoe", "Zoé"}, {"Мария", "Марина"},
		{"Ada_2", "Ada_3"}, {"Ada", "Ada_2"}, {"User_0a", "User_0b"}, {"team-2", "team-3"}, {"c", "c++"}, {"c++", "c#"},
		{"山田", "山本"}, {"김", "강"}, {"😀", "😁"}, {"👍🏽", "👍🏿"},
		// England, Scotland
		{"🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"},
		{"ب", "ت"}, {"कमल", "कमला"},
	} {
		if alike(tc[0], tc[1]) {
			t.Errorf("%q and %q: %q, %q", tc[0], tc[1], Looks(tc[0]), Looks(tc[1]))
		}
	}
}

// The table is there, whole and sound.
func TestPrototypes(t *testing.T) {
	table := prototypes()
	if len(table) < 2500 || table['а'] != "a" || table['m'] != "rn" {
		t.Errorf("%d characters; %q, %q", len(table), table['а'], table['m'])
	}
	for r, like := range table {
		if like == "" || like == string(r) {
			t.Errorf("%+q looks like %+q", r, like)
		}
	}
}

func BenchmarkLooks(b *testing.B) {
	for b.Loop() {
		Looks("General Chat")
	}
}

// TestSmallCapitals: none is left in the table, so that what looks like one looks like its letter.
func TestSmallCapitals(t *testing.T) {
	for _, small := range smallCapitals {
		if !alike(string(small.capital), string(small.letter)) {
			t.Errorf("%c is not like %c", small.capital, small.letter)
		}
		for r, like := range prototypes() {
			if strings.ContainsRune(like, small.capital) {
				t.Errorf("%c looks like %s, with a small capital", r, like)
			}
		}
	}
}

// TestAlikeOneLetter: a label with one letter of another script, which the table says looks the same, is alike.
func TestAlikeOneLetter(t *testing.T) {
	others := make(map[string][]rune)
	for r, like := range prototypes() {
		others[like] = append(others[like], r)
	}
	n := 0
	for _, label := range []string{"System", "system", "SYSTEM", "General", "Ada"} {
		letters := []rune(label)
		for i, letter := range letters {
			for _, like := range []string{string(letter), prototypes()[letter]} {
				for _, r := range others[like] {
					fake := slices.Clone(letters)
					fake[i] = r
					shown, ok := Clean(string(fake))
					if n++; ok && !alike(shown, label) {
						t.Errorf("%s with %U, %q, is not like it", label, r, shown)
					}
				}
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d tried", n)
	}
}
