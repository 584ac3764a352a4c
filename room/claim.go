package room

import (
	"fmt"
	"slices"
)

// claim is a place that a join waits for, in a room whose members are counted by the broker and have a bound. All
// connections of a user wait for the same one. It is over when the broker has not answered in time, when no connection
// waits for it any more, or when all that have waited have joined or failed to.
type claim struct {
	user    *User // nil: it is for one connection without a user
	due     int64 // 0: there is no limit
	waits   []*wait
	left    int  // connections that were told of the place, and have neither joined nor failed to
	granted bool // the broker has given the place
	taken   bool // a connection has joined
	over    bool
	late    bool // for a connection without a user: it was over before the broker has answered
}

// errClaim says that a join must wait for a place.
var errClaim = fmt.Errorf("%w: its members are counted by the broker, which must be asked", ErrOpening)

// needsClaim reports whether a join must wait for the broker. c is the claim that it has; nil: none. n may be nil. r.mu
// is held.
func (n *census) needsClaim(r *Room, u *User, c *claim) bool {
	if !n.counts() || r.settings.Load().MaxMembers <= 0 || c != nil && c.granted && !c.over {
		return false
	}
	_, here := r.users[u]
	return u == nil || !here
}

// claimPlace lets w wait for a place for u. nil: it need not wait, and w.claim, if it is not nil, has the place.
// Errors: errWaiting, ErrQueueFull.
func (w *wait) claimPlace(r *Room, u *User) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.census
	if r.closed || !n.needsClaim(r, u, nil) {
		return nil
	}
	c := n.claimOf(u)
	if c != nil && c.granted {
		w.room, w.claim = r, c
		c.left++
		return nil
	}
	if n.waiting >= r.hub.cfg.MaxWaiting {
		return ErrQueueFull
	}
	if !r.hub.reserveWaits(waitCost) {
		return ErrQueueFull
	}
	n.waiting++
	if c != nil {
		w.room, w.claim = r, c
		c.waits = append(c.waits, w)
		return errWaiting
	}
	c = &claim{user: u, due: r.hub.due(), waits: []*wait{w}}
	w.room, w.claim = r, c
	n.claims = append(n.claims, c)
	n.enter(r, u, r.settings.Load().MaxMembers, func(err error) { n.claimed(r, c, err) })
	return errWaiting
}

// claimOf returns the claim of a user; nil: there is none. r.mu is held.
func (n *census) claimOf(u *User) *claim {
	if u == nil {
		return nil
	}
	for _, c := range n.claims {
		if c.user == u {
			return c
		}
	}
	return nil
}

// release lets waits of a claim go. r.mu is held.
func (n *census) release(r *Room, waits int) {
	n.waiting -= waits
	r.hub.waitingBytes.Add(-int64(waits) * waitCost)
}

// claimed takes the broker's answer to a claim. A second answer is ignored. A place that nobody waits for any more is
// given back.
func (n *census) claimed(r *Room, c *claim, err error) {
	r.mu.Lock()
	if c.over || c.granted {
		if c.late && err == nil {
			n.leave(r, nil)
		}
		c.late = false
		r.mu.Unlock()
		return
	}
	waits := c.waits
	c.waits = nil
	n.release(r, len(waits))
	if err == nil {
		c.granted, c.left = true, len(waits)
	} else {
		err = unavailable(err)
		n.end(c)
		if c.user != nil { // it may have come without asking, and gone
			n.vacate(r, c.user)
		}
	}
	r.mu.Unlock()
	for _, w := range waits {
		w.tell(err)
	}
}

// settle notes that a connection that was told of its place has joined, or failed to.
func (n *census) settle(r *Room, c *claim, joined bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.left--
	c.taken = c.taken || joined
	if c.left > 0 {
		return
	}
	n.end(c)
	if !c.taken {
		n.vacate(r, c.user)
	}
}

// cancelClaim forgets the wait of a connection that is gone.
func (w *wait) cancelClaim() {
	r, c := w.room, w.claim
	r.mu.Lock()
	n := r.census
	i := slices.Index(c.waits, w)
	if i < 0 && c.granted && !c.over { // it was told, but its loop did not find the connection
		r.mu.Unlock()
		n.settle(r, c, false)
		return
	}
	defer r.mu.Unlock()
	if i < 0 {
		return
	}
	c.waits = slices.Delete(c.waits, i, i+1)
	n.release(r, 1)
	if len(c.waits) == 0 {
		n.giveUp(r, c)
	}
}

// giveUp ends a claim that the broker has not answered. The place of a user is given back at once. Connections without
// a user have no names, so that Leave would take the place of another one: if this one still gets a place, that is
// given back then. r.mu is held.
func (n *census) giveUp(r *Room, c *claim) {
	n.end(c)
	if c.user == nil {
		c.late = true
		return
	}
	n.vacate(r, c.user)
}

// end notes that a claim is over. r.mu is held.
func (n *census) end(c *claim) {
	c.over = true
	n.claims = slices.DeleteFunc(n.claims, func(other *claim) bool { return other == c })
}

// vacate gives back a place that nobody has taken, unless the user is here, or has claimed it again. r.mu is held.
func (n *census) vacate(r *Room, u *User) {
	if _, here := r.users[u]; u == nil || !here && n.claimOf(u) == nil {
		n.leave(r, u)
	}
}

// overdue ends the claims whose time is over, and returns what waited for them. It reports whether any is left. n may
// be nil. r.mu is held.
func (n *census) overdue(r *Room, over func(due int64) bool) (late []*wait, more bool) {
	if n == nil {
		return nil, false
	}
	for _, c := range slices.Clone(n.claims) {
		if c.granted || !over(c.due) {
			continue
		}
		late = append(late, c.waits...)
		n.release(r, len(c.waits))
		c.waits = nil
		n.giveUp(r, c)
	}
	return late, len(n.claims) > 0
}

// reclaim asks again for the places of claims that the broker has forgotten. r.mu is held.
func (n *census) reclaim(r *Room) {
	for _, c := range n.claims {
		if c.granted && !c.taken {
			n.enter(r, c.user, 0, func(error) {})
		}
	}
}
