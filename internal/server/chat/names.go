package chat

import (
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/perchws/perch/internal/entropy"
	"github.com/perchws/perch/internal/label"
	"github.com/perchws/perch/internal/server/protocol"
)

// maxName bounds a name, in characters.
const maxName = 32

// systemID and systemName are the sender of the server's own messages. No user has an id or a name that looks like
// them.
const (
	systemID   = "system"
	systemName = "System"
)

// names are the names of the users that are connected. No two of them look alike (package label). Any goroutine may
// call the methods.
type names interface {
	// reserve takes a name for a user, with a number behind it if another user has it, and passes the result to answer,
	// during the call or later. Errors: name_invalid, and those of a table on another machine.
	reserve(name, user string, answer func(as string, err error))
	// release gives a name back; it must be called once for each reserve. It does not wait.
	release(name string)
}

// localNames are the names in this process.
type localNames struct {
	seed    maphash.Seed
	entropy entropy.Source

	mu    sync.Mutex
	taken map[uint64]holder // by hashes of their looks: if two hashes collide, the names count as alike
}

// holder is the user that has a name. A user that comes back while its old connection is still closing has its name
// twice.
type holder struct {
	user  uint32 // hash of the id
	times uint32
}

func newNames(e entropy.Source) *localNames {
	return &localNames{seed: maphash.MakeSeed(), entropy: e, taken: make(map[uint64]holder)}
}

// clean returns the shown form of a name and its looks, or an error if the name is invalid.
func clean(name string) (shown string, looks []string, err error) {
	shown, ok := label.Clean(name)
	if ok && utf8.RuneCountInString(shown) <= maxName {
		if looks = label.Looks(shown); !likeSystem(looks) {
			return shown, looks, nil
		}
	}
	return "", nil, &protocol.Error{Code: protocol.CodeNameInvalid, Field: "username"}
}

// likeSystem reports whether these looks are among those of the server's own id or name, with or without spaces,
// brackets and the like.
func likeSystem(looks []string) bool {
	theirs := systemLooks()
	return slices.ContainsFunc(looks, func(look string) bool { return slices.Contains(theirs, lettersOf(look)) })
}

var systemLooks = sync.OnceValue(func() (all []string) {
	for _, look := range append(label.Looks(systemName), label.Looks(systemID)...) {
		all = append(all, lettersOf(look))
	}
	return all
})

// lettersOf drops what is no letter, mark or digit.
func lettersOf(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.L, unicode.M, unicode.N) {
			return r
		}
		return -1
	}, s)
}

func (n *localNames) reserve(name, user string, answer func(string, error)) {
	answer(n.find(name, user))
}

// find takes a name for a user: the name itself, or name_2 to name_9, or one with a random number. The result is a
// valid name too, so that a user that resumes can reserve it again.
func (n *localNames) find(name, user string) (string, error) {
	shown, looks, err := clean(name)
	if err != nil {
		return "", err
	}
	as, places := shown, n.places(looks)
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := 2; !n.take(places, user); i++ {
		if i == 10 { // a name that very many want: do not try all numbers for each user
			i = 100_000 + entropy.IntN(n.entropy, 900_000)
		}
		suffix := "_" + strconv.Itoa(i)
		as = shorten(shown, maxName-len(suffix)) + suffix
		places = n.places(label.Looks(as))
	}
	return as, nil
}

// places returns the keys in taken for these looks.
func (n *localNames) places(looks []string) []uint64 {
	places := make([]uint64, len(looks))
	for i, l := range looks {
		places[i] = maphash.String(n.seed, l)
	}
	return places
}

// shorten returns the first characters of a name, at most so many, and fewer if a sequence of them would be cut.
func shorten(name string, most int) string {
	for name != "" && (utf8.RuneCountInString(name) > most || !label.Valid(name)) {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return name
}

// take takes a name, unless another user has one that looks like it; then it returns false. n.mu is held.
func (n *localNames) take(places []uint64, user string) bool {
	u := uint32(maphash.String(n.seed, user))
	for _, p := range places {
		if h := n.taken[p]; h.times > 0 && h.user != u {
			return false
		}
	}
	for _, p := range places {
		n.taken[p] = holder{u, n.taken[p].times + 1}
	}
	return true
}

// release gives a name back, once for each time that reserve returned it.
func (n *localNames) release(name string) {
	places := n.places(label.Looks(name))
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range places {
		if h := n.taken[p]; h.times > 1 {
			n.taken[p] = holder{h.user, h.times - 1}
		} else {
			delete(n.taken, p)
		}
	}
}
