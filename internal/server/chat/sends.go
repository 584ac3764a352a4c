package chat

import (
	"crypto/sha256"
	"sync"
	"time"
)

const (
	sendsTTL = 2 * time.Minute
	maxSends = 1 << 19 // the oldest go first
)

// sendKey is who sent what where, hashed: (user, room, the client's id of the message).
type sendKey [16]byte

func keyOf(user, room string, id []byte) sendKey {
	h := sha256.New()
	h.Write([]byte(user))
	h.Write([]byte{0})
	h.Write([]byte(room))
	h.Write([]byte{0})
	h.Write(id)
	return sendKey(h.Sum(nil)[:16])
}

// sent is a message that was published.
type sent struct {
	id     string
	offset uint64
	at     time.Time // the message's timestamp

	begun time.Time
}

// sends remembers what was sent in the last two minutes, so that what a client sends again, because it saw
// no acknowledgement, is not posted twice. Any goroutine.
type sends struct {
	clock func() time.Time
	most  int // remembered

	mu    sync.Mutex
	known map[sendKey]sent // sent.id is "" while it is under way
	queue []sendEntry      // in the order of their time
}

type sendEntry struct {
	key sendKey
	at  time.Time
}

func newSends(clock func() time.Time) *sends {
	return &sends{clock: clock, most: maxSends, known: make(map[sendKey]sent)}
}

// begin reports what is known of a message. It is new if ok is false: the caller publishes it, and then
// calls done or forget. With ok and an empty id somebody else is doing that now.
func (s *sends) begin(k sendKey) (was sent, ok bool) {
	now := s.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 && now.Sub(s.queue[0].at) >= sendsTTL {
		s.drop()
	}
	if was, ok = s.known[k]; ok {
		return was, true
	}
	if len(s.queue) >= s.most {
		s.drop()
	}
	s.known[k] = sent{begun: now}
	s.queue = append(s.queue, sendEntry{k, now})
	return sent{}, false
}

// drop forgets the oldest. s.mu is held.
func (s *sends) drop() {
	first := s.queue[0]
	s.queue = s.queue[1:]
	if s.known[first.key].begun.Equal(first.at) { // not one that was forgotten and begun anew
		delete(s.known, first.key)
	}
}

// done notes what became of it.
func (s *sends) done(k sendKey, as sent) {
	s.mu.Lock()
	if was, ok := s.known[k]; ok {
		as.begun = was.begun
		s.known[k] = as
	}
	s.mu.Unlock()
}

// forget notes that nothing became of it: it may be tried again.
func (s *sends) forget(k sendKey) {
	s.mu.Lock()
	delete(s.known, k)
	s.mu.Unlock()
}
