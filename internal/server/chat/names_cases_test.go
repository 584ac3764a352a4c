package chat

import (
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/perchws/perch/internal/entropy"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// Valid names, and the form in which they are shown; a name that looks like one in use gets a number.
func TestNames(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	longest := strings.Repeat("é", maxName)
	for _, tc := range []struct{ name, shown string }{
		{"Ada", "Ada"},
		{"Ada", "Ada_2"},
		{"ada", "ada_3"},
		{"  Ada ", "Ada_4"},
		{"Ａｄａ", "Ada_5"}, // full width
		{"Ada_2", "Ada_2_2"},
		{"Ada B", "Ada B"},
		{"Ada   b", "Ada b_2"},
		{"Ada\u00a0B", "Ada B_3"}, // no-break space
		{"Ада", "Ада"},
		{"阿达", "阿达"},
		{"Zoe\u0301", "Zoé"},
		{"Zoé", "Zoé_2"},
		{"😀", "😀"},
		{"Аdа", "Аdа_6"}, // Cyrillic А and а
		{"AdaI", "AdaI"},
		{"Adal", "Adal_2"},
		{"می\u200cخواهم", "می\u200cخواهم"}, // Persian
		{"میخواهم", "میخواهم_2"},
		{"ශ්\u200dරී", "ශ්\u200dරී"},         // Sinhala
		{"മോഹന്\u200d", "മോഹന്\u200d"},       // Malayalam
		{"র\u200d্যাংকিন", "র\u200d্যাংকিন"}, // Bengali
		{"👩🏽\u200d🚀 ❤️", "👩🏽\u200d🚀 ❤️"},
		{"👨\u200d👩\u200d👧\u200d👦", "👨\u200d👩\u200d👧\u200d👦"},
		{"🏳️\u200d🌈", "🏳️\u200d🌈"},
		{"🏳\u200d🌈", "🏳\u200d🌈_2"}, // the same flag
		{"systems", "systems"},
		{longest, longest},
		{longest, strings.Repeat("é", maxName-2) + "_2"},
		{longest + " ", strings.Repeat("é", maxName-2) + "_3"},
	} {
		_, init := s.guestAlone(tc.name)
		if got := init["username"]; got != tc.shown {
			t.Errorf("%q is shown as %q, want %q", tc.name, got, tc.shown)
		}
	}
}

// guestAlone is a guest that leaves general at once, so that other tests' clients hear nothing more of it.
func (s *server) guestAlone(name string) (*client, object) {
	s.t.Helper()
	c := s.dial("/ws/chat")
	c.say(object{"username": name, "token": sign(s.t, auth.Claims{Subject: "nobody-" + s.chat.newID(), Rooms: []string{"elsewhere"}})})
	return c, c.next("init")
}

// Invalid names: the client may try another.
func TestNameInvalid(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	for _, name := range []string{
		"system", "System", " SYSTEM ", "ｓｙｓｔｅｍ", "ſystem", "system\u2800", "Ѕуѕтем", "ѕуѕтем", "Sysтem", "[System]", "*System*", "S y s t e m", "System.", "~Ѕуѕтем~",
		"ѕуѕtem", "Sуstem", "ЅУЅТЕМ", "SYSTЕM", "sуѕtеm", // Cyrillic letters
		" ", "\u3000",
		strings.Repeat("é", maxName+1),
		"a\nb", "a\tb", "a\x00b", "a\x7fb", "a\u0085b",
		"a\u200bb", "a\u200d", "\u2060a", "a\u00adb", "\ufeffa", "a\u034fb", "a\ufe0f", // invisible
		"a\u202eb", "\u2066a", // turn the direction of the text
		"\u3164", "\u115f", "\uffa0", "\u2800", "a\u2800", // look like nothing, or like a space
		"a\ufffdb", "a\ue000", "a\u2028b",
	} {
		c := s.dial("/ws/chat")
		c.say(object{"username": name, "id": 1})
		if o := c.fails("name_invalid"); o["id"] != 1.0 || o["field"] != "username" {
			t.Errorf("%q: %v", name, o)
		}
		c.say(object{"username": "Ada"})
		c.next("init")
		c.Close()
	}
	c := s.dial("/ws/chat")
	c.say(object{"username": strings.Repeat("a", maxUsername+1)})
	c.fails("too_long")
	c.say(object{"username": 7})
	c.fails("wrong_type")
}

// A client without a name gets one; the name of a client that has gone is free again.
func TestNameDefaultAndFree(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	for _, first := range []object{{}, {"username": ""}, {"username": nil}} {
		_, init := s.guest(first)
		if name := init["username"].(string); !regexp.MustCompile(`^User_[0-9a-f]{8}$`).MatchString(name) {
			t.Errorf("%v: name %q", first, name)
		}
	}
	s = start(t, Config{}, room.Config{})
	bob := s.named("Bob")
	ada := s.named("Ada", bob)
	ada.Reset()
	bob.next("system_message")
	bob.next("user_status")
	// that happens after the others were told
	wstest.Eventually(t, "the name is free", func() bool { return s.chat.names.(*localNames).count() == 1 })
	if _, init := s.guest(object{"username": "ADA"}, bob); init["username"] != "ADA" {
		t.Errorf("%v", init["username"])
	}
}

// A name with a number behind it is kept over a resume, however long the name was.
func TestNameWithNumberResumed(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	longest := strings.Repeat("a", maxName)
	one := s.named(longest)
	two, init := s.guest(object{"username": longest}, one)
	two.Reset()
	one.next("system_message")
	one.next("user_status")
	again := s.dial("/ws/chat")
	again.say(object{"resume": object{"session": init["session"]}})
	if o := again.next("init"); o["resumed"] != true || o["username"] != init["username"] || o["user_id"] != init["user_id"] {
		t.Errorf("%v, was %v", o, init)
	}
}

// count returns how many users have names.
func (n *localNames) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	users := make(map[uint32]bool)
	for _, h := range n.taken {
		users[h.user] = true
	}
	return len(users)
}

// A name in its shown form is valid, and has the same shown form, also with a number behind it; and giving it back
// frees it. Else a user who resumes would lose the name, and nobody could have it again.
func TestNamesGivenBack(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	names := 0
	for range 60 {
		n := newNames(entropy.System{})
		var b strings.Builder
		for range 1 + random.IntN(maxName) {
			switch random.IntN(5) {
			case 4:
				b.WriteString([]string{"👨\u200d👩\u200d👧", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "می\u200cخ", "ශ්\u200dරී", "❤️", "1️⃣", "葛\U000e0100"}[random.IntN(7)])
			case 0:
				b.WriteRune(rune(' ' + random.IntN(95)))
			case 1:
				b.WriteRune(rune(0x80 + random.IntN(0x780)))
			case 2:
				b.WriteRune(rune(0x1e00 + random.IntN(0x300)))
			default:
				b.WriteRune([]rune("ΣςσİıẞßǅſK①ﬀＡ゛は\u0301\u0345")[random.IntN(17)])
			}
		}
		if name := shorten(b.String(), maxName); name != "" { // of the greatest length
			b.Reset()
			b.WriteString(name)
		}
		var taken []string
		for i := range 12 {
			name, err := n.find(b.String(), strconv.Itoa(i))
			if err != nil {
				break
			}
			taken = append(taken, name)
			if shown, _, err := clean(name); err != nil || shown != name {
				t.Fatalf("%q became %q, and then %q: %v", b.String(), name, shown, err)
			}
			names++
		}
		for _, name := range taken {
			n.release(name)
		}
		if n.count() != 0 {
			t.Errorf("%q: %q were given back, and %d are still taken", b.String(), taken, n.count())
		}
	}
	if names < 100 {
		t.Errorf("only %d names tried", names)
	}
}
