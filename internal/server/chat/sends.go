package chat

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"sync"
	"time"

	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/ledger"
)

const (
	sendsTTL   = 2 * time.Minute
	maxWaiting = 8 // repetitions of one message that is still under way
)

// sendKey is a hash of (user, room, the client's id of the message).
type sendKey = [16]byte

// keyOf includes the room's epoch: a room that was deleted and made again has none of the old messages. id is JSON.
// Strings are the same id however they are escaped; numbers are compared as they are written, and differ from
// strings.
func keyOf(user, room, epoch string, id []byte) sendKey {
	h := sha256.New()
	for _, part := range [...]string{user, room, epoch} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	if bytes.IndexByte(id, '\\') >= 0 {
		var s string
		_ = json.Unmarshal(id, &s) // the message was parsed before
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

// sends remembers the messages of the last two minutes on this node. So a message that a client sends again, because
// it saw no acknowledgement, is not posted twice, and another message with the same id is not mistaken for it. A
// broker of several nodes does the same for all of them: it gets the name of each message (room.Message.Once).
//
// No message is forgotten before its time: one that cannot be remembered is refused. So the memory is divided among
// the senders. Any goroutine may call the methods.
type sends struct {
	clock clock.Clock

	mu     sync.Mutex
	known  map[sendKey]*record
	first  *record // in the order of their times
	last   *record
	pool   *ledger.Pool[ledger.Key]
	payers map[ledger.Key]*ledger.Share[ledger.Key]
}

// record is the memory of one message.
type record struct {
	sent
	key        sendKey
	content    [16]byte // hash of the message
	begun      int64    // by the monotonic clock
	under      *ack     // nil: it was posted; else it is under way
	payer      *ledger.Share[ledger.Key]
	prev, next *record
}

// recordCost is the size of a record, with its place in the map and its id: see TestSendsMemory.
const recordCost = 256

func newSends(c clock.Clock, memory int64) *sends {
	return &sends{
		clock: c, known: make(map[sendKey]*record),
		pool: ledger.NewPool[ledger.Key](memory), payers: make(map[ledger.Key]*ledger.Share[ledger.Key]),
	}
}

// sum is a hash of all fields of a message that the client chooses, except the room, which is in its key. It is the
// same on all nodes.
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

// standing is the relation of a message to earlier ones.
type standing int

const (
	isNew     standing = iota // the caller must publish it, and then call settle
	isPosted                  // it was posted before
	isWaiting                 // the same message is under way; the ack is given when that is settled
	isOther                   // another message has its id
	isCrowded                 // too many wait already, or it cannot be remembered
)

// begin returns what is known of the message of a, which payer has sent.
func (s *sends) begin(a *ack, payer ledger.Key) (was sent, is standing) {
	now := s.clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.first != nil && now-s.first.begun >= int64(sendsTTL) {
		s.forget(s.first)
	}
	if r := s.known[a.name.Key]; r != nil {
		switch {
		case r.content != a.name.Content:
			return sent{}, isOther
		case r.under == nil:
			return r.sent, isPosted
		case len(r.under.waiting) == maxWaiting:
			return sent{}, isCrowded
		}
		r.under.waiting = append(r.under.waiting, a)
		return sent{}, isWaiting
	}
	share := s.payers[payer]
	if share == nil {
		share = &ledger.Share[ledger.Key]{Owner: payer}
	}
	if s.pool.Take(share, recordCost) != nil {
		return sent{}, isCrowded
	}
	s.payers[payer] = share
	r := &record{key: a.name.Key, content: a.name.Content, begun: now, under: a, payer: share, prev: s.last}
	if s.known[r.key] = r; s.last == nil {
		s.first = r
	} else {
		s.last.next = r
	}
	s.last = r
	return sent{}, isNew
}

// forget removes a record. s.mu is held.
func (s *sends) forget(r *record) {
	delete(s.known, r.key)
	if r.prev == nil {
		s.first = r.next
	} else {
		r.prev.next = r.next
	}
	if r.next == nil {
		s.last = r.prev
	} else {
		r.next.prev = r.prev
	}
	if s.pool.Add(r.payer, -recordCost); r.payer.Held() == 0 {
		delete(s.payers, r.payer.Owner)
	}
}

// settle notes the result of a new message: one that failed may be tried again. It returns the acks that wait for it.
func (s *sends) settle(a *ack, as sent, err error) (waiting []*ack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.known[a.name.Key]; r != nil && r.under == a {
		if r.sent, r.under = as, nil; err != nil {
			s.forget(r)
		}
	}
	waiting, a.waiting = a.waiting, nil
	return waiting
}

// stats returns figures of the memory.
func (s *sends) stats() ledger.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pool.Stats()
}
