package room

import "github.com/perchws/perch/frame"

// keep puts the message of an offset into the history; by pays for it. r.mu is held.
func (hs *histories) keep(r *Room, offset uint64, f *frame.Prepared, by Payer) {
	h, c := &r.history, &r.hub.cfg
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if h.len() > 0 && offset != h.first+uint64(h.len()) {
		hs.forget(r)
	}
	to := hs.chargeOf(r, by)
	h.push(offset, f, to)
	hs.pay(to, cost(f))
	for h.len() > c.MaxHistory || h.bytes > c.MaxHistoryBytes {
		hs.refund(h.pop())
	}
}

// forget drops all messages of a room. Both locks are held.
func (hs *histories) forget(r *Room) {
	for r.history.bytes > 0 {
		hs.refund(r.history.pop())
	}
}

// empty frees the history of a room. A member that comes back later finds none of it. r.mu is held.
func (hs *histories) empty(r *Room) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	hs.forget(r)
}

// trim drops messages when all histories together are over the limit. It takes the payer who has the most, and of
// that payer's rooms one that is mostly the payer's own, the oldest messages first. It takes as long as there is
// something to drop.
func (h *Hub) trim() {
	hs := &h.histories
	if hs.bytes.Load() <= hs.most {
		return
	}
	low := hs.most / 8 * 7 // below the limit, so that trim need not run again at once
	for hs.bytes.Load() > low {
		c := hs.victim()
		if c == nil {
			return
		}
		c.shrink(low)
	}
}

// victim chooses the charge to shrink next; nil: there is none.
func (hs *histories) victim() *charge {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	s := hs.passing.Largest()
	if s == nil {
		s = hs.staying.Largest()
	}
	if s == nil {
		return nil
	}
	p := s.Owner
	n := len(p.charges)
	c := p.charges[p.looked%n]
	for range min(n, sampled) {
		if other := p.charges[p.looked%n]; other.own() > c.own() {
			c = other
		}
		p.looked++
	}
	return c
}

// sampled is how many rooms of a payer are looked at to find one to shrink: a payer may have very many.
const sampled = 64

// own is the weight of a charge: its bytes, times the payer's part of the room.
func (c *charge) own() float64 {
	return float64(c.bytes) * float64(c.bytes) / float64(c.room.history.bytes+chargeCost)
}

// shrink drops the oldest messages of the charge's room until the charge is half as large, or all histories take at
// most low bytes.
func (c *charge) shrink(low int64) {
	r := c.room
	r.mu.Lock()
	defer r.mu.Unlock()
	hs := &r.hub.histories
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for half := c.bytes / 2; c.bytes > half && hs.bytes.Load() > low; {
		hs.refund(r.history.pop())
	}
}
