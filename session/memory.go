package session

import (
	"context"
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/entropy"
	"github.com/perchws/perch/internal/ledger"
)

// The defaults of Config.
const (
	DefaultTTL          = 24 * time.Hour
	DefaultAnonymousTTL = 5 * time.Minute
	DefaultMaxBytes     = 256 << 20
)

// Config is how a Memory behaves. The zero Config is ready; a zero field means
// its default, a negative one no limit.
type Config struct {
	// TTL is how long a detached session of an authenticated user lives untouched.
	TTL time.Duration
	// AnonymousTTL is the same for all other users.
	AnonymousTTL time.Duration
	// MaxBytes bounds the memory of all sessions, as the store reckons it: a little
	// more than they take. (Its maps stay as large as they once had to be, about
	// 80 bytes for each of the most sessions there ever were.)
	//
	// When it is reached, the session that has been detached and untouched for longest goes. If another user or
	// address has more than twice as much as its owner, the oldest session of that one goes instead. Attached
	// sessions of one user or address may not take more than all attached ones leave free: then ErrFull.
	MaxBytes int64
	// Clock tells the time; nil is the real one. The lifetime of a session goes by the clock's monotonic time. The
	// times that a Session shows count from the time of day when the store was made.
	Clock clock.Clock
	// Entropy is the source of keys; nil is the system's.
	Entropy entropy.Source
}

// withDefaults fills in fields that are zero.
func (c Config) withDefaults() Config {
	if c.TTL == 0 {
		c.TTL = DefaultTTL
	}
	if c.AnonymousTTL == 0 {
		c.AnonymousTTL = DefaultAnonymousTTL
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	if c.Clock == nil {
		c.Clock = clock.Real()
	}
	if c.Entropy == nil {
		c.Entropy = entropy.System{}
	}
	return c
}

// Memory is the Store of one process. Any goroutine may call its methods, event
// loops too: none blocks, and none looks at its ctx.
type Memory struct {
	// Immutable after NewMemory.
	ttl      [kinds]int64 // ms; negative: for ever
	maxBytes int64        // negative: no limit
	clock    clock.Clock
	epoch    int64        // the time of day at the moment 0 of the clock, in Unix milliseconds
	seed     maphash.Seed // users may choose their ids: their hash must not be foreseen
	hash     func(user string) uint64
	fill     func([]byte) // with bytes that nobody can guess

	mu sync.Mutex // guards all fields below; held for a bounded number of steps

	now      int64 // in milliseconds of the clock, never less than before
	sessions map[uint64]*record
	users    map[uint64]*record // by hash of the user id: the first of a chain
	detached [kinds]list        // the longest untouched first
	payers   map[uint64]*payer
	held     int64                // bytes of attached sessions
	idle     *ledger.Pool[*payer] // bytes of detached ones, and which payer has most
	attached int
	evicted  uint64
	expired  uint64
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory(cfg Config) *Memory {
	cfg = cfg.withDefaults()
	seed := maphash.MakeSeed()
	now := cfg.Clock.Now() / int64(time.Millisecond)
	m := &Memory{
		maxBytes: cfg.MaxBytes,
		clock:    cfg.Clock,
		epoch:    cfg.Clock.Wall().UnixMilli() - now,
		hash:     func(user string) uint64 { return maphash.String(seed, user) },
		fill:     cfg.Entropy.Fill,
		sessions: make(map[uint64]*record),
		users:    make(map[uint64]*record),
		payers:   make(map[uint64]*payer),
		idle:     ledger.NewPool[*payer](-1),
		seed:     seed,
	}
	m.ttl[authenticated] = milliseconds(cfg.TTL)
	m.ttl[anonymous] = milliseconds(cfg.AnonymousTTL)
	return m
}

// milliseconds rounds up, so that no lifetime is shorter than it should be.
func milliseconds(d time.Duration) int64 {
	if d < 0 {
		return -1
	}
	n := d.Milliseconds()
	if d%time.Millisecond != 0 {
		n++
	}
	return n
}

// Stats are counters of a Memory, all taken at one moment.
type Stats struct {
	Sessions int    // expired ones too, until a sweep or a caller meets them
	Attached int    // of these, held by a connection
	Bytes    int64  // as MaxBytes counts
	Evicted  uint64 // dropped for want of memory, since the start
	Expired  uint64 // dropped because their time was over, since the start
}

// Stats returns the counters.
func (m *Memory) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Stats{
		Sessions: len(m.sessions),
		Attached: m.attached,
		Bytes:    m.bytes(),
		Evicted:  m.evicted,
		Expired:  m.expired,
	}
}

// Create implements Store.
func (m *Memory) Create(_ context.Context, n New) (Session, error) {
	if err := n.Check(); err != nil {
		return Session{}, err
	}
	var data Data
	if n.Data != nil {
		var err error
		if data, err = Merge("", n.Data); err != nil {
			return Session{}, err
		}
	}
	r := newRecord(n.ConnectionID, n.UserID)
	if n.Authenticated {
		r.kind = authenticated
	}
	r.state = string(n.State)
	r.extra = extra{data: data}.orNil()
	m.fill(r.key[:]) // not under the lock: it may be a system call

	m.lock()
	defer m.mu.Unlock()
	r.payer = m.payerOf(&n)
	if err := m.reserve(r.cost(), r.payer, n.ConnectionID != "", nil); err != nil {
		return Session{}, err
	}
	for m.sessions[r.key.selector()] != nil {
		m.fill(r.key[:])
	}
	r.created, r.accessed = m.now, m.now
	m.insert(r)
	if n.ConnectionID != "" {
		m.hold(r)
	}
	return m.snapshot(r), nil
}

// Get implements Store.
func (m *Memory) Get(_ context.Context, id Key) (Session, error) {
	m.lock()
	defer m.mu.Unlock()
	r := m.find(id)
	if r == nil {
		return Session{}, ErrNotFound
	}
	m.touch(r)
	return m.snapshot(r), nil
}

// Update implements Store. The merge is made without the lock. If another Update was quicker, the merge is made again
// on its result.
func (m *Memory) Update(_ context.Context, id Key, patch []byte) (Session, error) {
	m.lock()
	r := m.find(id)
	if r == nil {
		m.mu.Unlock()
		return Session{}, ErrNotFound
	}
	old := r.extras().data
	m.mu.Unlock()
	for {
		merged, err := Merge(old, patch)
		if err != nil {
			return Session{}, err
		}
		s, now, err := m.swapData(id, old, merged)
		if err != nil || now == old {
			return s, err
		}
		old = now
	}
}

// swapData sets the data if it still is old. It returns the data that it found: old if it did.
func (m *Memory) swapData(id Key, old, merged Data) (s Session, found Data, err error) {
	m.lock()
	defer m.mu.Unlock()
	r := m.find(id)
	if r == nil {
		return Session{}, "", ErrNotFound
	}
	e := r.extras()
	if e.data != old { // the very same string, as a rule: then only pointers are compared
		return Session{}, e.data, nil
	}
	e.data = merged
	if err := m.setExtra(r, e.orNil()); err != nil {
		return Session{}, "", err
	}
	m.touch(r)
	return m.snapshot(r), old, nil
}

// Keep implements Store.
func (m *Memory) Keep(_ context.Context, id Key, connection string, state []byte) error {
	if err := CheckState(state); err != nil {
		return err
	}
	kept := string(state)
	m.lock()
	defer m.mu.Unlock()
	r, err := m.findHeld(id, connection)
	if err != nil {
		return err
	}
	return m.setState(r, kept)
}

// Token implements Store. It shares the first part of the session's ID, so that
// the same look-up finds it.
func (m *Memory) Token(_ context.Context, id Key) (Key, error) {
	e := &extra{hasToken: true}
	m.fill(e.token[:])
	m.lock()
	defer m.mu.Unlock()
	r := m.find(id)
	if r == nil {
		return Key{}, ErrNotFound
	}
	e.data = r.extras().data
	if err := m.setExtra(r, e); err != nil {
		return Key{}, err
	}
	return newKey(r.key.selector(), &e.token), nil
}

// lock takes the lock and reads the clock.
func (m *Memory) lock() {
	now := m.clock.Now() / int64(time.Millisecond)
	m.mu.Lock()
	m.now = max(m.now, now)
}

// snapshot returns the session as the caller sees it. It allocates nothing.
func (m *Memory) snapshot(r *record) Session {
	e := r.extras()
	return Session{
		ID:            r.key,
		ConnectionID:  r.connection(),
		UserID:        r.user(),
		CreatedAt:     m.time(r.created),
		LastAccessed:  m.time(r.accessed),
		Data:          e.data,
		Active:        r.attached,
		Authenticated: r.kind == authenticated,
		State:         r.state,
	}
}

func (m *Memory) time(ms int64) time.Time {
	return time.UnixMilli(m.epoch + ms).UTC()
}

// joinNames returns a new string: user ids may be part of large messages, which it must not keep alive.
func joinNames(connection, user string) string {
	var b strings.Builder
	b.Grow(len(connection) + len(user))
	b.WriteString(connection)
	b.WriteString(user)
	return b.String()
}
