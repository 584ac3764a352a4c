package session

import "crypto/subtle"

// kind decides how long a detached session lives.
type kind uint8

const (
	anonymous kind = iota
	authenticated
	kinds // the number of kinds
)

// record is a session in memory: 144 bytes, one string for its names and one for
// its state. Facts that few sessions have stand in extra.
type record struct {
	key      Key
	names    string // the connection's id, then the user's, in one allocation
	created  int64  // in milliseconds of the clock, as accessed
	accessed int64
	state    string // of Keep
	extra    *extra // nil if empty; never changed, only replaced

	payer              *payer  // the payer of its bytes; nil: nobody
	links              [2]link // in Memory.detached and payer.detached, if not attached
	prevPeer, nextPeer *record // sessions of the same user, or hash of one

	split    uint8 // where the user's id begins in names
	kind     kind
	attached bool
}

// extra has the fields that most sessions do not need.
type extra struct {
	data     Data
	token    [secretSize]byte
	hasToken bool
}

// The reckoned size of a record and an extra, with their share of the maps, a payer, and an allocator's rounding: see
// TestMemoryReckoning.
const (
	recordCost = 400 // with a connection id of the greatest length, so that Attach needs no more
	extraCost  = 64
)

func newRecord(connection, user string) *record {
	return &record{names: joinNames(connection, user), split: uint8(len(connection))}
}

// connect changes the connection but not the user, so the cost stays the same.
func (r *record) connect(connection string) {
	r.names, r.split = joinNames(connection, r.user()), uint8(len(connection))
}

func (r *record) connection() string { return r.names[:r.split] }

func (r *record) user() string { return r.names[r.split:] }

// named compares the key in constant time.
func (r *record) named(id Key) bool {
	return r.key.selector() == id.selector() && subtle.ConstantTimeCompare(r.key.secret(), id.secret()) == 1
}

// extras returns a copy of the extra, also if there is none.
func (r *record) extras() extra {
	if r.extra == nil {
		return extra{}
	}
	return *r.extra
}

func (r *record) cost() int64 {
	return recordCost + stringCost(len(r.user())) + stringCost(len(r.state)) + r.extra.cost()
}

func (e *extra) cost() int64 {
	if e == nil {
		return 0
	}
	return extraCost + stringCost(len(e.data))
}

func (e extra) orNil() *extra {
	if e.data == "" && !e.hasToken {
		return nil
	}
	return &e
}

// stringCost rounds up as the allocator does at the worst: by 15 bytes, by a
// fifth between its classes, and from 32 KiB on to whole pages of 8 KiB.
func stringCost(n int) int64 {
	switch {
	case n == 0:
		return 0
	case n >= 32<<10:
		return int64(n+8191) &^ 8191
	}
	return int64(n + n/5 + 16)
}

// insert adds a detached record to every index of the store.
func (m *Memory) insert(r *record) {
	m.sessions[r.key.selector()] = r
	if r.payer != nil {
		m.payers[r.payer.key] = r.payer
	}
	if user := r.user(); user != "" {
		h := m.hash(user)
		if first := m.users[h]; first != nil {
			r.nextPeer, first.prevPeer = first, r
		}
		m.users[h] = r
	}
	m.detach(r)
}

// remove takes a record out of every index. The record itself stays readable.
func (m *Memory) remove(r *record) {
	delete(m.sessions, r.key.selector())
	if r.user() != "" {
		m.removePeer(r)
	}
	if r.attached {
		m.attached--
		m.charge(r, -r.cost())
	} else {
		m.undetach(r)
	}
	m.forget(r.payer)
}

func (m *Memory) removePeer(r *record) {
	if r.nextPeer != nil {
		r.nextPeer.prevPeer = r.prevPeer
	}
	switch {
	case r.prevPeer != nil:
		r.prevPeer.nextPeer = r.nextPeer
	case r.nextPeer != nil:
		m.users[m.hash(r.user())] = r.nextPeer
	default:
		delete(m.users, m.hash(r.user()))
	}
	r.prevPeer, r.nextPeer = nil, nil
}

// hold attaches a record to the connection that its names begin with.
func (m *Memory) hold(r *record) {
	if r.attached {
		return
	}
	m.undetach(r)
	r.attached = true
	m.attached++
	m.charge(r, r.cost())
}

// release detaches a record, which keeps the name of its last connection.
func (m *Memory) release(r *record) {
	m.charge(r, -r.cost())
	r.attached = false
	m.attached--
	m.detach(r)
}

// touch makes a record the youngest.
func (m *Memory) touch(r *record) {
	r.accessed = m.now
	if !r.attached {
		m.unlist(r)
		m.list(r)
	}
}
