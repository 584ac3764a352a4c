package session

import (
	"hash/maphash"

	"github.com/perchws/perch/internal/ledger"
	"github.com/perchws/perch/internal/limit"
)

// payer is a user, or an address, whose sessions share the store with those of all others.
type payer struct {
	key      uint64
	held     int64                // bytes of attached sessions
	idle     ledger.Share[*payer] // of Memory.idle: bytes of detached ones
	detached list
}

// payerKey tells payers apart: authenticated users, and the addresses of all others. Without either, ok is false, and
// only the store's bound holds.
func payerKey(seed maphash.Seed, n *New) (key uint64, ok bool) {
	if n.Authenticated {
		return maphash.Comparable(seed, ledger.User(n.UserID)), true
	}
	if !n.Address.IsValid() {
		return 0, false
	}
	return maphash.Comparable(seed, ledger.Address(limit.ShareOf(n.Address))), true
}

// payerOf returns the payer of a session that is about to be made. A new payer is not kept before insert.
func (m *Memory) payerOf(n *New) *payer {
	key, ok := payerKey(m.seed, n)
	if !ok {
		return nil
	}
	if p := m.payers[key]; p != nil {
		return p
	}
	p := &payer{key: key}
	p.idle.Owner = p
	return p
}

// forget removes a payer without sessions. A session always counts as some bytes.
func (m *Memory) forget(p *payer) {
	if p != nil && p.held == 0 && p.idle.Held() == 0 {
		delete(m.payers, p.key)
	}
}

// charge adds n bytes of a record to the held or idle ones of its payer; n may be negative.
func (m *Memory) charge(r *record, n int64) {
	p := r.payer
	switch {
	case r.attached:
		if m.held += n; p != nil {
			p.held += n
		}
	case p == nil:
		m.idle.Add(nil, n)
	default:
		m.idle.Add(&p.idle, n)
	}
}

// victim is the detached session to be dropped next: the one untouched for longest, or, if its payer has less than
// half of what another payer has, the oldest of that payer. It is never asks; nil: there is none.
func (m *Memory) victim(asks *record) *record {
	oldest := m.oldest(asks)
	if oldest == nil || m.isExpired(oldest) || oldest.payer == nil {
		return oldest
	}
	largest := m.idle.Largest().Owner
	if largest.idle.Held() <= 2*oldest.payer.idle.Held() {
		return oldest
	}
	if r := largest.detached.head; r != asks {
		return r
	} else if next := r.links[ofPayer].next; next != nil {
		return next
	}
	return oldest
}
