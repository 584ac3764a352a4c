package chat

import (
	"hash/maphash"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"

	"github.com/perchws/perch/internal/server/protocol"
)

// maxName bounds a name, in characters.
const maxName = 32

// systemID and systemName are what messages of the server's own are from. No user has either.
const (
	systemID   = "system"
	systemName = "System"
)

// names are the names of the users who are connected. No two of them look alike: what differs in case,
// spaces or width only is the same name (RFC 8266). Any goroutine.
type names struct {
	seed maphash.Seed

	mu    sync.Mutex
	taken map[uint64]holder // by hash of the comparison key: two that collide are told apart for nothing
}

// holder is who has a name. Somebody who comes back while it is still going has its name twice.
type holder struct {
	user  uint32 // hash of the id
	times uint32
}

func newNames() *names {
	return &names{seed: maphash.MakeSeed(), taken: make(map[uint64]holder)}
}

// clean returns a name as it is shown, and the key that tells names apart. An error if it cannot be one.
func clean(name string) (shown, key string, err error) {
	shown, err = precis.Nickname.String(name)
	if err == nil {
		key, err = precis.Nickname.CompareKey(shown)
	}
	if err != nil || !printable(shown) || utf8.RuneCountInString(shown) > maxName || key == systemID {
		return "", "", &protocol.Error{Code: protocol.CodeNameInvalid, Field: "username"}
	}
	return shown, key, nil
}

// printable reports that every character of a name can be seen, but for spaces between words.
func printable(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r == utf8.RuneError || r == blank || !unicode.IsPrint(r) })
}

// blank is braille without a dot: a symbol, but it looks like a space.
const blank = '\u2800'

// reserve takes a name for a user, or with a number behind it if somebody else has it: name_2 to name_9, then
// any. What it returns is a name too, which who resumes can reserve again.
func (n *names) reserve(name, user string) (string, error) {
	shown, key, err := clean(name)
	if err != nil {
		return "", err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	as := shown
	for i := 2; !n.take(key, user); i++ {
		if i == 10 { // a name that everybody wants: do not try all numbers for each
			i = 100_000 + rand.IntN(900_000)
		}
		suffix := "_" + strconv.Itoa(i)
		if as, key, err = clean(shorten(shown, maxName-len(suffix)) + suffix); err != nil {
			return "", err
		}
	}
	return as, nil
}

// shorten returns the first characters of a name, so many at most.
func shorten(name string, most int) string {
	for utf8.RuneCountInString(name) > most {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return name
}

func (n *names) take(key, user string) bool {
	k, u := maphash.String(n.seed, key), uint32(maphash.String(n.seed, user))
	h := n.taken[k]
	if h.times > 0 && h.user != u {
		return false
	}
	n.taken[k] = holder{u, h.times + 1}
	return true
}

// release gives a name back, once for each time that reserve returned it.
func (n *names) release(name string) {
	key, err := precis.Nickname.CompareKey(name)
	if err != nil {
		return
	}
	k := maphash.String(n.seed, key)
	n.mu.Lock()
	defer n.mu.Unlock()
	if h := n.taken[k]; h.times > 1 {
		n.taken[k] = holder{h.user, h.times - 1}
	} else {
		delete(n.taken, k)
	}
}
