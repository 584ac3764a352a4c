package session

// reserve makes room for so many bytes more: it drops what has expired, then
// what has been detached and untouched for the longest, but never an attached
// session, nor the one that asks. If that would not do it drops nothing.
func (m *Memory) reserve(need int64, asks *record) error {
	if need <= 0 || m.maxBytes < 0 {
		return nil
	}
	droppable := m.detachedBytes
	if asks != nil && !asks.attached {
		droppable -= asks.cost()
	}
	if m.bytes-droppable+need > m.maxBytes {
		return ErrFull
	}
	for m.bytes+need > m.maxBytes {
		r := m.oldest(asks)
		if m.isExpired(r) {
			m.expire(r)
			continue
		}
		m.remove(r)
		m.evicted++
	}
	return nil
}

// oldest is the next to be dropped, nil if there is none. Each list has its
// oldest first, so that only the heads need be looked at.
func (m *Memory) oldest(but *record) *record {
	var found *record
	for i := range m.detached {
		r := m.detached[i].head
		if r != nil && r == but {
			r = r.next
		}
		switch {
		case r == nil:
		case m.isExpired(r): // it is dead; a living one is spared, however old
			return r
		case found == nil || r.accessed < found.accessed:
			found = r
		}
	}
	return found
}

// setExtra replaces what few sessions have; nil: it has none of that any more.
func (m *Memory) setExtra(r *record, next *extra) error {
	if err := m.grow(r, next.cost()-r.extra.cost()); err != nil {
		return err
	}
	r.extra = next
	return nil
}

// setState replaces what Keep has set.
func (m *Memory) setState(r *record, state string) error {
	if err := m.grow(r, stringCost(len(state))-stringCost(len(r.state))); err != nil {
		return err
	}
	r.state = state
	return nil
}

// grow reckons a session at more bytes, or fewer, if there is room for them.
func (m *Memory) grow(r *record, more int64) error {
	if err := m.reserve(more, r); err != nil {
		return err
	}
	m.bytes += more
	if !r.attached {
		m.detachedBytes += more
	}
	return nil
}

// isExpired reports whether a session's time is over. Being attached is being
// used: those never expire.
func (m *Memory) isExpired(r *record) bool {
	ttl := m.ttl[r.kind]
	return !r.attached && ttl >= 0 && m.now-r.accessed >= ttl
}

func (m *Memory) expire(r *record) {
	m.remove(r)
	m.expired++
}

// Sweep drops the sessions whose time is over and returns how many. Callers get
// ErrNotFound for those with or without it; it gives back their memory. It looks
// at no session that lives, so that calling it every second costs nothing, and
// gives way to others after each 256 it drops.
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
