package room

import "time"

// Census is a further interface of the Topic, for brokers of several nodes: it counts the members of a room over all
// nodes, and keeps the bound on their number. Memory's Topic does not have it: all members are on this node.
//
// A node enters each visitor once: a user with the first of its connections in the room, and every connection without
// a user. The broker tells all nodes who has come and gone ([Subscriber.Members]). It tells a node about its own
// visitors too, and nothing else announces them. So a user that is on two nodes comes once and goes once.
//
// A visitor has its place until Leave, until the Topic is closed, or until the lease of the node ends. A node keeps
// its lease as long as it reaches the broker; the lease of a node that has crashed ends by itself. Then its visitors
// have gone. A node that comes back is told by [Subscriber.Forgotten].
//
// Any goroutine may call the methods. Enter and Leave are called with the room's lock held: they do not block, they
// do not call the room before they return, and they take no lock that the broker holds while it calls the room. Calls
// of one node about one room are carried out in the order in which they were made.
type Census interface {
	// Enter asks for a place for v. most bounds the members over all nodes; 0: there is no bound. answer is called
	// once, on any goroutine, with no lock held, and after the call to Members that tells this node that v has come.
	// Errors: ErrFull, ErrNotFound, ErrUnavailable. After an error v has no place.
	//
	// A user that has a place on another node is counted once, and gets its place whatever most is. A user that has a
	// place of this node keeps it.
	Enter(v Visitor, most int, answer func(error))

	// Leave gives back the place of v, also one that Enter has not answered yet. Without a place it does nothing.
	Leave(v Visitor)

	// List asks for users that are in the room over all nodes: at most so many, in no order, and how many there are in
	// all. answer is called once, before List returns or later, on any goroutine. Error: ErrUnavailable.
	List(most int, answer func(some []Present, all int, err error))
}

// Visitor is a user, as nodes tell each other about it. The zero Visitor is a connection without a user.
type Visitor struct {
	ID, Name string
}

// Present is a user that is in a room, and the time at which it came (to the second).
type Present struct {
	Visitor
	Since time.Time
}

// visitorOf returns how u is told to other nodes.
func visitorOf(u *User) Visitor {
	if u == nil {
		return Visitor{}
	}
	return Visitor{u.id, u.name}
}

// census is what a room knows about its members over all nodes. Under Room.mu.
type census struct {
	by    Census // nil: the broker has not answered yet
	total int    // members, as the broker has told it
	life  uint32 // how often the broker has forgotten the visitors of this node

	// Visitors that have joined before the broker has counted them.
	users  map[string]*entrance // by id
	others int                  // connections without a user

	homeless int // connections without a user that are members, but have no place

	claims  []*claim
	waiting int // waits of claims
}

// entrance is a call of Enter that nobody waits for.
type entrance struct {
	user *User // nil: a connection without a user
	life uint32
	done bool
}

// counts reports whether the broker counts the members. n may be nil. r.mu is held.
func (n *census) counts() bool { return n != nil && n.by != nil }

// with returns the census of a room that is open now, with a topic. n may be nil. r.mu is held.
func (n *census) with(t Topic, members int) *census {
	by, ok := t.(Census)
	switch {
	case !ok:
		return n
	case n == nil: // otherwise Members came before the answer to Open
		n = &census{total: members}
	}
	n.by = by
	return n
}

// count returns the number of members over all nodes, with those that are not counted yet. r.mu is held.
func (r *Room) count() int {
	n := r.census
	if n == nil {
		return r.here()
	}
	return max(r.here(), n.total+len(n.users)+n.others)
}

// here returns the number of members on this node. r.mu is held.
func (r *Room) here() int { return len(r.users) + r.nobody }

// came notes that a visitor has come. placed: the broker has given it a place. n may be nil. r.mu is held.
func (n *census) came(r *Room, u *User, placed bool) {
	switch {
	case !n.counts():
		if u != nil {
			r.changed(u, true, r.count())
		}
	case !placed:
		n.add(r, u)
	}
}

// went notes that a visitor has gone. n may be nil. r.mu is held.
func (n *census) went(r *Room, u *User) {
	switch {
	case !n.counts():
		if u != nil {
			r.changed(u, false, r.count())
		}
		return
	case u == nil && n.homeless > 0:
		n.homeless--
		return
	case u == nil:
		n.others = min(n.others, r.nobody)
	default:
		delete(n.users, u.id)
		if c := n.claimOf(u); c != nil { // its place is for those that wait for it
			c.taken = false
			return
		}
	}
	n.leave(r, u)
}

// add enters a visitor that does not wait for its place. r.mu is held.
func (n *census) add(r *Room, u *User) {
	e := &entrance{user: u, life: n.life}
	if u == nil {
		n.others++
	} else {
		if n.users == nil {
			n.users = make(map[string]*entrance)
		}
		n.users[u.id] = e
	}
	n.enter(r, u, 0, func(err error) { n.entered(r, e, err) })
}

// entered takes the broker's answer to an entrance. A second answer is ignored.
func (n *census) entered(r *Room, e *entrance, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.done || e.life != n.life {
		return
	}
	e.done = true
	switch {
	case e.user != nil:
		if n.users[e.user.id] == e {
			delete(n.users, e.user.id)
		}
	case err != nil && n.homeless < r.nobody:
		n.homeless++
		fallthrough
	default:
		n.others = max(n.others-1, 0)
	}
}

// enter asks the broker for a place. r.mu is held.
func (n *census) enter(r *Room, u *User, most int, answer func(error)) {
	r.hub.cfg.call("Broker.Enter", func() { n.by.Enter(visitorOf(u), most, answer) })
}

// leave tells the broker that a visitor has gone. r.mu is held.
func (n *census) leave(r *Room, u *User) {
	if !r.closed {
		r.hub.cfg.call("Broker.Leave", func() { n.by.Leave(visitorOf(u)) })
	}
}

// Members implements Subscriber.
func (r *Room) Members(total int, came, went []Visitor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	if r.census == nil {
		r.census = &census{}
	}
	n := r.census
	n.total = total
	for _, v := range came {
		delete(n.users, v.ID)
	}
	count := r.count() - len(came) + len(went)
	for _, v := range came {
		count++
		r.changed(r.hub.known(v), true, count)
	}
	for _, v := range went {
		count--
		r.changed(r.hub.known(v), false, count)
	}
}

// known returns the user of a visitor: the one that is connected here, if there is one.
func (h *Hub) known(v Visitor) *User {
	if u := h.User(v.ID); u != nil {
		return u
	}
	return &User{id: v.ID, name: v.Name}
}

// reentries is how many visitors are entered again before others may take the room's lock.
const reentries = 256

// Forgotten implements Subscriber.
func (r *Room) Forgotten(others int) {
	var users []*User
	r.mu.Lock()
	n, counts := r.census, r.census.counts()
	if counts && !r.closed {
		n.life++
		n.total, n.users, n.others, n.homeless = others, nil, 0, r.nobody
		n.reclaim(r)
		for u := range r.users {
			users = append(users, u)
		}
	}
	r.mu.Unlock()
	for more := counts; more; {
		users, more = n.reenter(r, users)
	}
}

// reenter enters some of the users again, unless they have gone, and some of the homeless. It returns the users that
// are left, and whether it is to be called again.
func (n *census) reenter(r *Room, users []*User) (left []*User, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, false
	}
	some := min(len(users), reentries)
	for _, u := range users[:some] {
		if _, here := r.users[u]; here && n.users[u.id] == nil {
			n.add(r, u)
		}
	}
	for range min(n.homeless, reentries-some) {
		n.homeless--
		n.add(r, nil)
	}
	left = users[some:]
	return left, len(left) > 0 || n.homeless > 0
}

// Everyone asks for the users in the room over all nodes: at most so many, in no order, and how many there are in all.
// answer is called once: before Everyone returns if all members are on this node, else perhaps later, on any
// goroutine. Errors: ErrNotFound, ErrQueueFull, and ErrUnavailable, which also wraps the broker's errors.
func (r *Room) Everyone(most int, answer func(some []Present, all int, err error)) {
	r.mu.Lock()
	closed, n, counts := r.closed, r.census, r.census.counts()
	r.mu.Unlock()
	if closed {
		answer(nil, 0, ErrNotFound)
		return
	}
	if !counts {
		var some []Present
		all := r.Users(most, func(u *User, since time.Time) { some = append(some, Present{visitorOf(u), since}) })
		answer(some, all, nil)
		return
	}
	type list struct {
		some []Present
		all  int
	}
	inquire(r.hub, "Broker.List", func(a func(list, error)) {
		n.by.List(most, func(some []Present, all int, err error) { a(list{some, all}, err) })
	}, func(l list, err error) { answer(l.some, l.all, err) })
}
