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
	taken map[uint64]struct{} // by hash of the comparison key: two that collide are told apart for nothing
}

func newNames() *names {
	return &names{seed: maphash.MakeSeed(), taken: make(map[uint64]struct{})}
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
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) })
}

// reserve takes a name, or with a number behind it if somebody has it: name_2 to name_9, then any
func (n *names) reserve(name string) (string, error) {
	shown, key, err := clean(name)
	if err != nil {
		return "", err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	as, asKey := shown, key
	for i := 2; !n.take(asKey); i++ {
		if i == 10 { // a name that everybody wants: do not try all numbers for each
			i = 100_000 + rand.IntN(900_000)
		}
		suffix := "_" + strconv.Itoa(i)
		as, asKey = shown+suffix, key+suffix
	}
	return as, nil
}

func (n *names) take(key string) bool {
	h := maphash.String(n.seed, key)
	if _, ok := n.taken[h]; ok {
		return false
	}
	n.taken[h] = struct{}{}
	return true
}

// release gives a name back. It must be one that reserve returned.
func (n *names) release(name string) {
	key, err := precis.Nickname.CompareKey(name)
	if err != nil {
		return
	}
	n.mu.Lock()
	delete(n.taken, maphash.String(n.seed, key))
	n.mu.Unlock()
}
