package room

import (
	"fmt"
	"slices"
)

// Census is a further interface of the Topic, for brokers of several nodes that know the members of a room over all of
// them. Memory's Topic does not have it: all members are on this node.
//
// A node enters each visitor once: a user with the first of its connections in the room, and every connection without
// a user. By [Subscriber.Members] the broker tells all nodes of visitors that come and go on any node, also of this
// node's own: they are announced in no other way. The visitors of a node leave with its Topic, or, if the node is
// gone, when the broker finds out.
//
// Any goroutine may call the methods, with the room's lock held. They do not block, and call nothing of the room
// before they return.
type Census interface {
	// Enter asks for a visitor's place. most bounds the members over all nodes; 0: there is no bound. answer is called
	// once, after Enter has returned, on any goroutine, with no lock held. Errors: ErrFull, ErrNotFound,
	// ErrUnavailable; then the visitor has no place. A user that is in the room on another node counts once, and gets a
	// place even beyond most; one that has a place of this node keeps it.
	Enter(v Visitor, most int, answer func(error))
	// Leave gives a visitor's place back, also one whose Enter has not been answered. Without a place it does nothing.
	Leave(v Visitor)
}

// Visitor is a user as other nodes know it; the zero Visitor is a connection without a user.
type Visitor struct {
	ID, Name string
}

// visitorOf returns u as other nodes know it.
func visitorOf(u *User) Visitor {
	if u == nil {
		return Visitor{}
	}
	return Visitor{u.id, u.name}
}

// claim is a request for a place. All connections of a user wait for the same one. It is over when the broker has not
// answered in time, when no connection waits for it any more, or when all connections that have waited have joined or
// failed.
type claim struct {
	user    *User // nil: of one connection without a user
	due     int64 // 0: there is no limit
	waits   []*wait
	left    int  // connections that were told that the place is there, and have not joined yet
	granted bool // the place is there
	taken   bool // a connection has joined
	over    bool
	late    bool // of a connection without a user: it was over before the answer came
}

// errClaim says that a place must be claimed first.
var errClaim = fmt.Errorf("%w: its members are counted elsewhere, and the broker must be asked", ErrOpening)

// counted has the members of a room over all nodes. Under Room.mu, except by, which is set when the room opens.
type counted struct {
	by     Census // nil: all members are here
	total  int    // as the broker has told it
	claims []*claim
}

// needsClaim reports whether a visitor must claim a place before it joins. c is the claim that it has; nil: none. r.mu
// is held.
func (n *counted) needsClaim(r *Room, u *User, c *claim) bool {
	if n.by == nil || r.settings.Load().MaxMembers <= 0 || c != nil && c.granted && !c.over {
		return false
	}
	_, here := r.users[u]
	return u == nil || !here
}

// claim lets w wait for a place of u's. nil: it need not wait, and w.claim, if it is set, has the place. Errors:
// errWaiting, ErrQueueFull.
func (n *counted) claim(r *Room, w *wait, u *User) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || !n.needsClaim(r, u, nil) {
		return nil
	}
	w.room, w.claim = r, n.claimOf(u)
	switch c := w.claim; {
	case c != nil && c.granted:
		c.left++
		return nil
	case len(n.claims) >= r.hub.cfg.MaxWaiting, c != nil && len(c.waits) >= r.hub.cfg.MaxWaiting:
		return ErrQueueFull
	case c != nil:
		c.waits = append(c.waits, w)
		return errWaiting
	}
	c := &claim{user: u, due: r.hub.due(), waits: []*wait{w}}
	w.claim, n.claims = c, append(n.claims, c)
	n.askCensus(r, u, r.settings.Load().MaxMembers, func(err error) { n.claimed(r, c, err) })
	return errWaiting
}

// claimOf returns the claim of a user; nil: there is none. r.mu is held.
func (n *counted) claimOf(u *User) *claim {
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

// claimed takes the broker's answer. A second answer is ignored. A place for which nothing waits any more is given
// back.
func (n *counted) claimed(r *Room, c *claim, err error) {
	r.mu.Lock()
	if c.over || c.granted {
		if c.late && err == nil {
			c.late = false
			n.leaveCensus(r, nil)
		}
		r.mu.Unlock()
		return
	}
	waits := c.waits
	if c.waits = nil; err == nil {
		c.granted, c.left = true, len(waits)
	} else {
		err = unavailable(err)
		if n.endClaim(c); c.user != nil { // it may have come without asking, and gone
			n.vacate(r, c.user)
		}
	}
	r.mu.Unlock()
	for _, w := range waits {
		w.tell(err)
	}
}

// settleClaim is called when a connection that was told of its place has joined, or has failed.
func (n *counted) settleClaim(r *Room, c *claim, joined bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.left--
	if c.taken = c.taken || joined; c.left > 0 {
		return
	}
	if n.endClaim(c); !c.taken {
		n.vacate(r, c.user)
	}
}

// cancelClaim ends a wait whose connection is gone.
func (n *counted) cancelClaim(r *Room, w *wait) {
	r.mu.Lock()
	c := w.claim
	i := slices.Index(c.waits, w)
	if i < 0 && c.granted && !c.over { // it was told, and its loop did not find the connection
		r.mu.Unlock()
		n.settleClaim(r, c, false)
		return
	}
	defer r.mu.Unlock()
	if i < 0 {
		return
	}
	if c.waits = slices.Delete(c.waits, i, i+1); len(c.waits) == 0 {
		n.giveUpClaim(r, c)
	}
}

// giveUpClaim ends a claim that the broker has not answered. A user's place is given back at once. Connections without
// a user have no names: a place that this one does not get must not be taken from another one. r.mu is held.
func (n *counted) giveUpClaim(r *Room, c *claim) {
	if n.endClaim(c); c.user == nil {
		c.late = true
		return
	}
	n.vacate(r, c.user)
}

// endClaim notes that a claim is over. r.mu is held.
func (n *counted) endClaim(c *claim) {
	c.over = true
	n.claims = slices.DeleteFunc(n.claims, func(other *claim) bool { return other == c })
}

// vacate gives back a place that no connection has taken, unless the user is here, or has claimed it again. r.mu is
// held.
func (n *counted) vacate(r *Room, u *User) {
	if _, here := r.users[u]; u == nil || !here && n.claimOf(u) == nil {
		n.leaveCensus(r, u)
	}
}

// overdueClaims ends the claims whose time is over, and returns their waits. r.mu is held.
func (n *counted) overdueClaims(r *Room, over func(due int64) bool) (late []*wait) {
	for _, c := range slices.Clone(n.claims) {
		if c.granted || !over(c.due) {
			continue
		}
		late = append(late, c.waits...)
		c.waits = nil
		n.giveUpClaim(r, c)
	}
	return late
}

// askCensus tells the broker that a visitor comes. r.mu is held.
func (n *counted) askCensus(r *Room, u *User, most int, answer func(error)) {
	r.hub.cfg.call("Broker.Enter", func() { n.by.Enter(visitorOf(u), most, answer) })
}

// leaveCensus tells the broker that a visitor has gone. r.mu is held.
func (n *counted) leaveCensus(r *Room, u *User) {
	if !r.closed {
		r.hub.cfg.call("Broker.Leave", func() { n.by.Leave(visitorOf(u)) })
	}
}

// came notes the first connection of a visitor on this node. asked: the broker knows of it. r.mu is held.
func (n *counted) came(r *Room, u *User, asked bool) {
	switch {
	case n.by == nil && u != nil:
		r.changed(u, true)
	case n.by != nil && !asked:
		n.askCensus(r, u, 0, func(error) {})
	}
}

// went notes that the last connection of a visitor is gone. r.mu is held.
func (n *counted) went(r *Room, u *User) {
	switch {
	case n.by != nil:
		if c := n.claimOf(u); c != nil { // its place is for those that wait for it
			c.taken = false
			return
		}
		n.leaveCensus(r, u)
	case u != nil:
		r.changed(u, false)
	}
}

// Members implements Subscriber.
func (r *Room) Members(total int, came, went []Visitor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.counted.total = total
	for _, v := range came {
		r.changed(r.hub.known(v), true)
	}
	for _, v := range went {
		r.changed(r.hub.known(v), false)
	}
}

// known returns the user of a visitor: the one that is connected to this node, if there is one.
func (h *Hub) known(v Visitor) *User {
	if u := h.User(v.ID); u != nil {
		return u
	}
	return &User{id: v.ID, name: v.Name}
}

// reenter tells a broker that has lost its data of all visitors on this node. r.mu is held.
func (n *counted) reenter(r *Room) {
	if n.total = 0; n.by == nil {
		return
	}
	for u := range r.users {
		n.askCensus(r, u, 0, func(error) {})
	}
	for range r.nobody {
		n.askCensus(r, nil, 0, func(error) {})
	}
}
