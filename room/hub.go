package room

import (
	"cmp"
	"hash/maphash"
	"iter"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/entropy"
	"github.com/perchws/perch/internal/label"
	"github.com/perchws/perch/internal/ledger"
)

// Config configures the rooms. The zero value is ready; a zero field means the default in its comment, −1 no limit.
type Config struct {
	MaxRooms          int   // 100,000; one Options.Payer gets half of those that others leave
	MaxRoomsPerMember int   // rooms of one connection; 100
	MaxQueue          int   // publishes of a room accepted and not yet settled and walked by all loops; 1000
	MaxHistory        int   // messages kept of a room; 1000
	MaxHistoryBytes   int   // the same in bytes; 1 MiB
	MaxHistoryTotal   int64 // bytes of all histories; 256 MiB. See Payer
	MaxRecovery       int   // messages that a join can be given again; 300
	MaxRecoveryBytes  int   // the same in bytes, and of recent messages; 512 KiB
	PresenceEach      int   // members up to which each coming and going is told; 100
	PresenceNames     int   // members up to which the summary has names; 1000

	Broker        Broker        // nil: one for this process alone
	BrokerTimeout time.Duration // deadline for answers of the broker, kept to the second; 10 s

	// Calls that wait while a room is being opened: publishes, joins and so on. Each counts as 512 bytes and its
	// message.
	MaxWaiting      int   // calls for one room; 1000
	MaxWaitingBytes int   // the same in bytes; 1 MiB
	MaxWaitingTotal int64 // bytes for all rooms; 64 MiB

	// Encode makes a message of dialect 0 from a payload; nil: the message is the payload. It is called with locks
	// held: it may compute, but not call the hub. The message already has its place in the order, so text that it
	// makes must be sent: bytes that are not UTF-8 are replaced by U+FFFD. The same holds for Translate.
	Encode func(dst []byte, room string, offset uint64, payload []byte) []byte
	// Translate makes a message of another dialect from one of dialect 0; nil: it is the same message.
	Translate func(dst []byte, d Dialect, room string, message []byte) []byte
	// Announce makes the messages in which members are told about each other; nil: there are none. It is called like
	// Encode. A frame that may not be sent is left out, and counted.
	Announce func(e Event) Frames
	// Offline is called when the last connection of a user has signed out, or is gone, on the loop of that
	// connection.
	Offline func(u *User)

	// Looks returns keys for an id or a name: two labels that look alike have at least one key in common. Two public
	// rooms must not look alike: Create returns an error. Private rooms are left out, so that nobody finds them by
	// trying. nil: names may look alike.
	Looks func(label string) []string

	Now func() time.Time // the time of day; nil: that of Clock

	// Clock tells when something is due, and Entropy makes epochs and salts. nil: those of the server, or the
	// system's.
	Clock   clock.Clock
	Entropy entropy.Source

	// Panicked is called when a function of this Config, of its Broker, or of a message panics with v, or calls
	// runtime.Goexit: then v is nil. It runs on the same goroutine, in a deferred call. nil: the panic is hidden; the
	// engine sets Panicked to log and count.
	Panicked func(function string, v any)
}

// Hub has all rooms of a server, and all users connected to them. Any goroutine may call its methods. They do not
// wait, except for the Broker, and where their comments say so.
type Hub struct {
	// Immutable.
	cfg       Config
	seed      maphash.Seed
	loops     []Loop    // after Attach
	budget    Budget    // after Attach; nil: there is no bound
	verbatim  bool      // messages are sent as they are published
	directory Directory // nil: all connections are on this node
	hashing   chan struct{}

	// Atomic.
	waiting      atomic.Int64 // callers that wait for a password to be checked
	waitingBytes atomic.Int64 // of calls that wait for rooms to be opened
	published    atomic.Uint64
	delivered    atomic.Uint64
	active       atomic.Int64 // rooms with members
	shed         atomic.Uint64
	invalid      atomic.Uint64

	mu      sync.Mutex
	rooms   map[string]*Room
	listed  []*Room          // the same, in no order
	alike   map[uint64]*Room // public rooms, by hashes of their looks
	running bool             // the hub looks at its rooms once a second
	stop    func() bool      // stops the next look; nil: there was none
	closed  bool

	looking sync.Mutex // held during a look; taken before mu

	usersMu sync.Mutex
	users   map[string]*User

	changedMu sync.Mutex
	changed   []*Room // with changes that members have not been told of

	owedMu   sync.Mutex
	owed     map[*Room]struct{} // rooms whose broker owes an answer
	owedOver error              // not nil: the hub has ended, and no answer is owed any more

	inquiries inquiries

	expiry    expiry
	histories histories
	makers    *ledger.Account // counts rooms by their makers
}

// New makes a hub without rooms.
func New(c Config) *Hub {
	def := func(p *int, n int) {
		if *p == 0 {
			*p = n
		}
		if *p < 0 {
			*p = int(^uint(0) >> 1)
		}
	}
	def(&c.MaxRooms, 100_000)
	def(&c.MaxRoomsPerMember, 100)
	def(&c.MaxQueue, 1000)
	def(&c.MaxHistory, 1000)
	def(&c.MaxHistoryBytes, 1<<20)
	def(&c.MaxRecovery, 300)
	def(&c.MaxRecoveryBytes, 512<<10)
	def(&c.PresenceEach, 100)
	def(&c.PresenceNames, 1000)
	total := int(c.MaxHistoryTotal)
	def(&total, 256<<20)
	c.MaxHistoryTotal = int64(total)
	def(&c.MaxWaiting, 1000)
	def(&c.MaxWaitingBytes, 1<<20)
	total = int(c.MaxWaitingTotal)
	def(&total, 64<<20)
	c.MaxWaitingTotal = int64(total)
	if c.BrokerTimeout == 0 {
		c.BrokerTimeout = 10 * time.Second
	}
	if c.Clock == nil {
		c.Clock = clock.Real()
	}
	if c.Entropy == nil {
		c.Entropy = entropy.System{}
	}
	if c.Broker == nil {
		c.Broker = newMemory(c.Entropy)
	}
	verbatim := c.Encode == nil
	c.guard()
	if verbatim {
		c.Encode = func(dst []byte, _ string, _ uint64, payload []byte) []byte { return append(dst, payload...) }
	}
	if c.Translate == nil {
		c.Translate = func(dst []byte, _ Dialect, _ string, message []byte) []byte { return append(dst, message...) }
	}
	if c.Announce == nil {
		c.Announce = func(Event) Frames { return Frames{} }
	}
	if c.Offline == nil {
		c.Offline = func(*User) {}
	}
	if c.Now == nil {
		c.Now = c.Clock.Wall
	}
	h := &Hub{
		cfg: c, verbatim: verbatim, seed: maphash.MakeSeed(),
		rooms: make(map[string]*Room), alike: make(map[uint64]*Room), users: make(map[string]*User),
		owed:      make(map[*Room]struct{}),
		hashing:   make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		histories: newHistories(c.MaxHistoryTotal),
		makers:    ledger.NewAccount(int64(c.MaxRooms)),
	}
	node{h}.serve()
	return h
}

// Attach gives the hub its loops, and the bound on messages on their way to them; nil: there is none. The engine
// calls it before a loop runs and before anything is sent.
func (h *Hub) Attach(loops []Loop, b Budget) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.loops, h.budget = slices.Clone(loops), b
	h.start()
}

// MaxID bounds the id of a room, in bytes.
const MaxID = 64

// CheckID returns ErrID for an invalid room id. A valid one has 1 to MaxID bytes of visible characters, in any
// script, emoji included, and single spaces inside.
func CheckID(id string) error {
	if len(id) > MaxID || !label.Valid(id) || strings.Contains(id, "  ") {
		return ErrID
	}
	return nil
}

// start lets the hub look at its rooms once a second, from the first room on, and at its questions to a Directory. h.mu
// is held.
func (h *Hub) start() {
	if !h.running && !h.closed && h.loops != nil && (len(h.rooms) > 0 || h.directory != nil) {
		h.running = true
		h.stop = h.cfg.Clock.AfterFunc(sweepEach, h.look)
	}
}

// sweepEach is how often the hub calls Sweep.
const sweepEach = time.Second

// look looks at the rooms once. The next look follows in any case until Close, also if a function of the application
// does not return.
func (h *Hub) look() {
	h.looking.Lock()
	defer h.looking.Unlock()
	if h.isClosed() {
		return
	}
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if !h.closed {
			h.stop = h.cfg.Clock.AfterFunc(sweepEach, h.look)
		}
	}()
	h.Sweep()
}

func (h *Hub) isClosed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}

// Room returns the room of an id; nil: there is none on this node. If the broker does not answer at once, the room
// may not be open yet.
func (h *Hub) Room(id string) *Room {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rooms[id]
}

// Each calls f for every room that is open on this node: see All.
func (h *Hub) Each(f func(*Room)) {
	for r := range h.All() {
		f(r)
	}
}

// All returns all rooms that are open on this node, in no order. The body of the loop may call the hub. With many
// rooms it takes a while, but it blocks nothing meanwhile: a room that is made in that time may be left out, and one
// may come twice when others are deleted.
func (h *Hub) All() iter.Seq[*Room] {
	return func(yield func(*Room) bool) {
		var some [256]*Room
		for end := math.MaxInt; end > 0; {
			n := 0
			end, n = h.before(end, some[:])
			for _, r := range some[:n] {
				if !yield(r) {
					return
				}
			}
		}
	}
}

// before fills some with open rooms that are listed before end, last first. It returns where to go on, and how many
// rooms it has found. When a room is deleted, a room that was visited already takes its place.
func (h *Hub) before(end int, some []*Room) (next, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for next = min(end, len(h.listed)); next > 0 && n < len(some); next-- {
		if r := h.listed[next-1]; !r.opening.Load() {
			some[n] = r
			n++
		}
	}
	return next, n
}

// Len returns the number of rooms on this node, including those that are being opened.
func (h *Hub) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.listed)
}

// Rooms returns all rooms that are open on this node, sorted by id. It is not for event loops: there may be very
// many.
func (h *Hub) Rooms() []*Room {
	var all []*Room
	h.Each(func(r *Room) { all = append(all, r) })
	slices.SortFunc(all, func(a, b *Room) int { return cmp.Compare(a.id, b.id) })
	return slices.Compact(all)
}

// Delete ends a room on all nodes: its members are told the reason and removed, and its history is dropped. It does
// not wait for the broker. Errors: ErrNotFound if it is deleted already, ErrOpening.
func (h *Hub) Delete(r *Room, reason string) error {
	if r == nil || r.audience {
		return ErrNotFound
	}
	return r.close(reason, func() { h.end(r, Deleted, reason) })
}

// end stops following a closed room. The order ends before the room is unlisted, so that a new room of the same id
// does not continue it.
func (h *Hub) end(r *Room, how Ending, reason string) {
	defer h.unlist(r) // also if the broker does not return
	h.cfg.call("Broker.Close", func() { r.topic.Close(how, reason) })
}

// Sweep tells members of large rooms who came and went, gives up calls that the broker has not answered in time,
// deletes rooms that were empty for too long, and trims histories that are over the limit. The hub calls it itself,
// once a second.
func (h *Hub) Sweep() {
	now := h.cfg.Clock.Now()
	h.tellChanges(now)
	h.overdue(now, nil)
	h.inquiries.overdue(h, now, nil)
	h.expire(now)
	h.trim()
}

// tellChanges sends the summaries of rooms with changes, except where it is too early.
func (h *Hub) tellChanges(now int64) {
	h.changedMu.Lock()
	left := h.changed
	h.changed = nil
	h.changedMu.Unlock()
	var early []*Room
	defer func() { // also if Announce does not return
		h.changedMu.Lock()
		defer h.changedMu.Unlock()
		h.changed = append(append(h.changed, early...), left...)
	}()
	for len(left) > 0 {
		r := left[0]
		left = left[1:]
		if r.tellChanges(now) {
			early = append(early, r)
		}
	}
}

// Close ends the hub's looks at its rooms, waits for one under way, and refuses new rooms. Calls that wait for the
// broker get ErrClosed. Members stay: the engine ends them.
func (h *Hub) Close() {
	h.mu.Lock()
	closed := h.closed
	h.closed = true
	if h.stop != nil {
		h.stop()
	}
	h.mu.Unlock()
	if closed {
		return
	}
	h.looking.Lock() // no look is under way now, and a late one finds the hub closed
	defer h.looking.Unlock()
	h.overdue(0, ErrClosed)
	h.inquiries.overdue(h, 0, ErrClosed)
}

// Stats are counters since the start, and a few gauges.
type Stats struct {
	Rooms        int // now, including those that are being opened
	Active       int // of these, with members
	Users        int // signed in now
	HistoryBytes int64
	Published    uint64 // messages that were given an offset
	Delivered    uint64 // messages of every kind queued for a connection
	Shed         uint64 // presence and typing left out for connections that did not keep up
	Invalid      uint64 // messages of Config.Announce that may not be sent: see frame.Prepared's Err
}

// Stats returns the counters.
func (h *Hub) Stats() Stats {
	s := Stats{
		HistoryBytes: h.histories.bytes.Load(), Published: h.published.Load(),
		Delivered: h.delivered.Load(), Shed: h.shed.Load(), Invalid: h.invalid.Load(),
	}
	s.Rooms, s.Active = h.Len(), int(h.active.Load())
	h.usersMu.Lock()
	s.Users = len(h.users)
	h.usersMu.Unlock()
	return s
}
