package chat

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"sync"
	"time"

	"github.com/perchws/perch/internal/clock"
)

const (
	sendsTTL   = 2 * time.Minute
	maxSends   = 1 << 19 // the oldest go first
	maxWaiting = 8       // repetitions of one message that is still under way
)

// sendKey is who sent what where, hashed: (user, room, the client's id of the message).
type sendKey = [16]byte

// keyOf takes the room's epoch too: a room that was deleted and made anew has none of the messages of before. id is
// JSON. Strings are the same id however they are escaped; numbers are compared as they are written, and are no strings.
func keyOf(user, room, epoch string, id []byte) sendKey {
	h := sha256.New()
	for _, part := range [...]string{user, room, epoch} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	if bytes.IndexByte(id, '\\') >= 0 {
		var s string
		_ = json.Unmarshal(id, &s) // it was parsed before
		id = append(append([]byte{'"'}, s...), '"')
	}
	h.Write(id)
	return sendKey(h.Sum(nil)[:16])
}

// sent is a message that was published.
type sent struct {
	id     string
	offset uint64
	at     time.Time // the message's timestamp
}

// sends remembers what was sent on this node in the last two minutes, so that what a client sends again, because it
// saw no acknowledgement, is not posted twice, and that another message of the same id is not taken for it. A broker
// of several nodes does the same for all of them: it gets the name of each message (room.Message.Once). Any goroutine.
type sends struct {
	clock clock.Clock
	most  int // remembered

	mu    sync.Mutex
	known map[sendKey]record
	queue []sendEntry // in the order of their time
}

// record is what is remembered of a message.
type record struct {
	sent
	content [16]byte // sum of it
	begun   int64    // by the monotonic clock
	first   *ack     // nil: it was posted; else it is under way
}

type sendEntry struct {
	key sendKey
	at  int64
}

func newSends(c clock.Clock) *sends {
	return &sends{clock: c, most: maxSends, known: make(map[sendKey]record)}
}

// sum is a hash of all that a client chooses of a message, but for the room, which is in its key. It is the same on
// all nodes.
func sum(p *post) [16]byte {
	var buf [512]byte
	b := buf[:0]
	for _, field := range [...]string{p.Content, p.MessageType, p.ReplyTo} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(field)))
		b = append(b, field...)
	}
	sum := sha256.Sum256(b)
	return [16]byte(sum[:16])
}

// standing is how a message stands to those before it.
type standing int

const (
	isNew     standing = iota // the caller publishes it, and then calls settle
	isPosted                  // and known
	isWaiting                 // its ack is given when the same message, which is under way, is settled
	isOther                   // its id is that of another message
	isCrowded                 // too many wait already
)

// begin reports what is known of the message that a is for.
func (s *sends) begin(a *ack) (was sent, is standing) {
	now := s.clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 && now-s.queue[0].at >= int64(sendsTTL) {
		s.drop()
	}
	if r, ok := s.known[a.name.Key]; ok {
		switch {
		case r.content != a.name.Content:
			return sent{}, isOther
		case r.first == nil:
			return r.sent, isPosted
		case len(r.first.waiting) == maxWaiting:
			return sent{}, isCrowded
		}
		r.first.waiting = append(r.first.waiting, a)
		return sent{}, isWaiting
	}
	if len(s.queue) >= s.most {
		s.drop()
	}
	s.known[a.name.Key] = record{content: a.name.Content, begun: now, first: a}
	s.queue = append(s.queue, sendEntry{a.name.Key, now})
	return sent{}, isNew
}

// drop forgets the oldest. s.mu is held.
func (s *sends) drop() {
	first := s.queue[0]
	s.queue = s.queue[1:]
	if s.known[first.key].begun == first.at { // not one that failed and was begun anew
		delete(s.known, first.key)
	}
}

// settle notes what became of a new message: one that failed may be tried again. It returns the acks that wait for it.
func (s *sends) settle(a *ack, as sent, err error) (waiting []*ack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.known[a.name.Key]; ok && r.first == a {
		if r.sent, r.first = as, nil; err == nil {
			s.known[a.name.Key] = r
		} else {
			delete(s.known, a.name.Key)
		}
	}
	waiting, a.waiting = a.waiting, nil
	return waiting
}
