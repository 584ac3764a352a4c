package session

import "github.com/perchws/perch/internal/ledger"

// reserve makes room for need more bytes, of attached sessions (held) or of detached ones. It drops detached
// sessions, expired ones first, the others as victim chooses. It never drops an attached session, nor the session
// asks, for which the room is; asks is nil if that one is not in the store yet. If dropping would not be enough, or
// if the attached sessions of one payer would take more than all attached ones leave free, it drops nothing and
// returns ErrFull.
func (m *Memory) reserve(need int64, p *payer, held bool, asks *record) error {
	if need <= 0 || m.maxBytes < 0 {
		return nil
	}
	droppable := m.idle.Held()
	if asks != nil && !asks.attached {
		droppable -= asks.cost()
	}
	if m.bytes()-droppable+need > m.maxBytes || held && p != nil && !ledger.Fits(m.maxBytes, m.held, p.held, need) {
		return ErrFull
	}
	for m.bytes()+need > m.maxBytes {
		r := m.victim(asks)
		if m.isExpired(r) {
			m.expire(r)
			continue
		}
		m.remove(r)
		m.evicted++
	}
	return nil
}

// bytes returns the size of all sessions as the store reckons it.
func (m *Memory) bytes() int64 { return m.held + m.idle.Held() }

// oldest returns the session to be dropped next, except but; nil if there is none. Each list has its oldest session
// first, so that only the heads need be looked at.
func (m *Memory) oldest(but *record) *record {
	var found *record
	for i := range m.detached {
		r := m.detached[i].head
		if r != nil && r == but {
			r = r.links[ofKind].next
		}
		switch {
		case r == nil:
		case m.isExpired(r): // an expired one goes before any other, however old
			return r
		case found == nil || r.accessed < found.accessed:
			found = r
		}
	}
	return found
}

// setExtra replaces the extra of a record; nil removes it.
func (m *Memory) setExtra(r *record, next *extra) error {
	if err := m.grow(r, next.cost()-r.extra.cost()); err != nil {
		return err
	}
	r.extra = next
	return nil
}

// setState replaces the State of a record.
func (m *Memory) setState(r *record, state string) error {
	if err := m.grow(r, stringCost(len(state))-stringCost(len(r.state))); err != nil {
		return err
	}
	r.state = state
	return nil
}

// grow adds to the reckoned size of a session, if there is room. more may be negative.
func (m *Memory) grow(r *record, more int64) error {
	if err := m.reserve(more, r.payer, r.attached, r); err != nil {
		return err
	}
	m.charge(r, more)
	return nil
}

// isExpired reports whether a session's time is over. Attached sessions never expire.
func (m *Memory) isExpired(r *record) bool {
	ttl := m.ttl[r.kind]
	return !r.attached && ttl >= 0 && m.now-r.accessed >= ttl
}

func (m *Memory) expire(r *record) {
	m.remove(r)
	m.expired++
}

// Sweep drops the sessions whose time is over and returns how many. Callers get ErrNotFound for those with or without
// it; it gives back their memory. It looks at no other session, so that calling it every second costs nothing, and
// lets other callers in after each 256 that it drops.
func (m *Memory) Sweep() int {
	total := 0
	for {
		n := m.sweepSome()
		total += n
		if n < batch {
			return total
		}
	}
}

func (m *Memory) sweepSome() int {
	m.lock()
	defer m.mu.Unlock()
	n := 0
	for i := range m.detached {
		for r := m.detached[i].head; r != nil && n < batch && m.isExpired(r); r = m.detached[i].head {
			m.expire(r)
			n++
		}
	}
	return n
}
