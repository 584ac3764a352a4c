package session

import (
	"context"
	"crypto/subtle"
)

// batch is how many sessions are removed before the lock is given to others.
const batch = 256

// Attach implements Store.
func (m *Memory) Attach(_ context.Context, c Claim) (s Session, replaced string, err error) {
	if err := c.Check(); err != nil {
		return Session{}, "", err
	}
	m.lock()
	defer m.mu.Unlock()
	r, byToken := m.open(c.Key)
	if r == nil || c.UserID != "" && c.UserID != r.user() || c.Anonymous && r.kind == authenticated {
		return Session{}, "", ErrNotFound
	}
	if byToken {
		e := r.extras()
		e.token, e.hasToken = [secretSize]byte{}, false
		if err := m.setExtra(r, e.orNil()); err != nil { // it shrinks, so it cannot fail
			return Session{}, "", err
		}
	}
	if r.attached && r.connection() != c.ConnectionID {
		replaced = r.connection()
	}
	r.connect(c.ConnectionID)
	m.hold(r)
	m.touch(r)
	return m.snapshot(r), replaced, nil
}

// Detach implements Store.
func (m *Memory) Detach(_ context.Context, id Key, connection string) error {
	m.lock()
	defer m.mu.Unlock()
	r, err := m.findHeld(id, connection)
	if err != nil {
		return err
	}
	m.release(r)
	m.touch(r)
	return nil
}

// End implements Store.
func (m *Memory) End(_ context.Context, id Key, connection string) error {
	m.lock()
	defer m.mu.Unlock()
	r, err := m.findHeld(id, connection)
	if err != nil {
		return err
	}
	m.remove(r)
	return nil
}

// Delete implements Store.
func (m *Memory) Delete(_ context.Context, id Key) (Session, error) {
	m.lock()
	defer m.mu.Unlock()
	r := m.find(id)
	if r == nil {
		return Session{}, ErrNotFound
	}
	m.remove(r)
	return m.snapshot(r), nil
}

// EndOthers implements Store.
func (m *Memory) EndOthers(_ context.Context, user string, keep Key) ([]Session, error) {
	if user == "" {
		return nil, nil
	}
	var ended []Session
	for {
		n := m.endSome(user, keep, &ended)
		if n < batch {
			return ended, nil
		}
	}
}

// endSome removes up to a batch of a user's sessions, and returns how many.
func (m *Memory) endSome(user string, keep Key, ended *[]Session) int {
	m.lock()
	defer m.mu.Unlock()
	n := 0
	for r := m.users[m.hash(user)]; r != nil && n < batch; {
		next := r.nextPeer
		if r.user() == user && !r.named(keep) {
			if m.isExpired(r) {
				m.expire(r)
			} else {
				*ended = append(*ended, m.snapshot(r))
				m.remove(r)
			}
			n++
		}
		r = next
	}
	return n
}

// find returns the session with this ID, or nil; it removes one whose time is over.
func (m *Memory) find(id Key) *record {
	r, byToken := m.open(id)
	if byToken {
		return nil
	}
	return r
}

// findHeld is find for operations that only the holder may do.
func (m *Memory) findHeld(id Key, connection string) (*record, error) {
	r := m.find(id)
	if r == nil {
		return nil, ErrNotFound
	}
	if !r.attached || r.connection() != connection {
		return nil, ErrReplaced
	}
	return r, nil
}

// open returns the session that a key opens, as its ID or as its token.
func (m *Memory) open(k Key) (r *record, byToken bool) {
	r = m.sessions[k.selector()]
	if r == nil {
		return nil, false
	}
	if !r.named(k) {
		e := r.extras()
		if !e.hasToken || subtle.ConstantTimeCompare(e.token[:], k.secret()) != 1 {
			return nil, false
		}
		byToken = true
	}
	if m.isExpired(r) {
		m.expire(r)
		return nil, false
	}
	return r, byToken
}
