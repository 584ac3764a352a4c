package room

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perchws/perch/frame"
)

// Options describe a room. The zero value is a public room without a password or a limit.
type Options struct {
	Name       string // for people; the id, if empty
	Owner      string // user id of the person that may delete it
	Private    bool   // listed only to its members
	Password   Password
	MaxMembers int           // users and connections without one; 0: no limit
	TTL        time.Duration // the room is deleted after so long without members; 0: it stays until Hub.Delete
	Payer      Payer         // of the maker of the room; also pays for messages of the room without a Payer
}

// Room is where messages are published to members. Any goroutine may call its methods; connections join and leave
// through the engine, on their loop.
//
// A deleted Room stays deleted, also when another one is made with its id: publishing, sending and joining return
// ErrNotFound, and it has no members.
type Room struct {
	// Immutable once the room is listed.
	hub     *Hub
	id      string
	created time.Time // on this node, or when the room was asked for

	// Immutable once the room is open.
	topic Topic
	made  bool // by this node's opening

	looks []uint64 // its places in Hub.alike, unless it is private; under Hub.mu once the room is listed

	audience bool // made by Hub.Audience

	// Under Hub.mu.
	maker  Payer // the Payer to whom it counts in Hub.makers
	listed int   // its place in Hub.listed

	// Atomic.
	settings   atomic.Pointer[settings]
	opening    atomic.Bool  // publishes wait for the broker
	pending    atomic.Int64 // publishes accepted and not yet walked by all loops
	latest     atomic.Int64 // unix ns of the last message
	emptySince atomic.Int64 // the time on Config.Clock when it became empty, if it has a TTL

	mu      sync.Mutex // short; taken after the broker's, before a mailbox's
	serial  serial     // of its deliveries
	closed  bool
	on      places
	users   map[*User]presence
	nobody  int     // connections without a user
	census  *census // nil: all members are on this node
	at      Position
	history history
	charges map[Payer]*charge // by payer of messages in the history
	waiting *opening          // calls that wait for the room; nil: it is open
	flights *list.List        // publishes that the broker has not settled; nil: none
	changes *changes          // changes that members have not been told of
	told    int64             // the time on Config.Clock when changes were told last

	// Under Hub.expiry.mu.
	due   int64 // unix ns: when expiry looks at it
	place int   // its place in the heap, from 1; 0: it is not there
}

// settings are a room's options, and the time at which it was made. Immutable.
type settings struct {
	Options
	created time.Time
}

// presence is a user's presence in one room.
type presence struct {
	connections uint32
	since       uint32 // seconds after the room was made
}

// ID returns the id of the room.
func (r *Room) ID() string { return r.id }

// Options returns the options that the room has now.
func (r *Room) Options() Options { return r.settings.Load().Options }

// Created returns the time at which the room was made.
func (r *Room) Created() time.Time { return r.settings.Load().created }

// Active returns the time of the latest message; the time at which the room was made, if there is none.
func (r *Room) Active() time.Time {
	if ns := r.latest.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return r.Created()
}

// Count returns the number of members, on all nodes as far as the broker has told it: users, and connections without
// one.
func (r *Room) Count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count()
}

// Connections returns the number of connections in the room, on this node.
func (r *Room) Connections() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.on.connections()
}

// Queue returns the number of publishes accepted and not yet walked by all loops.
func (r *Room) Queue() int { return int(r.pending.Load()) }

// Position returns the place of the latest message.
func (r *Room) Position() Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}

// Opened reports whether the broker has opened the room. With a broker that answers at once every room is open.
func (r *Room) Opened() bool { return !r.opening.Load() }

// Closed reports whether the room is deleted.
func (r *Room) Closed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

// Has reports whether a user has a connection in the room, on this node.
func (r *Room) Has(u *User) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.users[u]
	return ok
}

// Users calls f for at most so many of the users in the room on this node, with the time at which they came (to the
// second), in no order, and returns how many there are in all on this node. f may call the room. See Everyone.
func (r *Room) Users(most int, f func(u *User, since time.Time)) (all int) {
	type entry struct {
		u     *User
		since uint32
	}
	r.mu.Lock()
	all = len(r.users)
	some := make([]entry, 0, min(most, all))
	for u, p := range r.users {
		if len(some) == most {
			break
		}
		some = append(some, entry{u, p.since})
	}
	r.mu.Unlock()
	for _, e := range some {
		f(e.u, r.created.Add(time.Duration(e.since)*time.Second))
	}
	return all
}

// JoinOptions say how to join.
type JoinOptions struct {
	Key    Key       // needed for a room with a password; see Room.Unlock
	Since  *Position // the last message that the connection has seen: it gets the later ones
	Recent int       // how many of the latest messages to get, if not those since Since

	claim *claim // of a place, if the broker had to be asked
}

// Joined is the answer to a join. Messages that are not in it will be delivered.
type Joined struct {
	Position       // of the latest message
	Count     int  // members, including the new one
	First     bool // it is the first of its user's connections in the room
	Recovered bool // Missed has all messages after JoinOptions.Since
	Missed    []*frame.Prepared
	Recent    []*frame.Prepared // in dialect 0
}

// join makes the connection a member: its loop gets all messages that are published from now on, once d is carried
// out.
func (r *Room) join(loop uint32, u *User, dialect Dialect, o JoinOptions, d *Delivery) (j Joined, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.audience {
		u = nil // an audience counts connections only
	}
	p, known := r.users[u]
	if err := r.mayJoin(u, known, &o); err != nil {
		return j, err
	}
	joined, before, empty := false, p, r.here() == 0
	if u == nil {
		tellListener(r, r.count()+1)
		r.nobody++
		r.census.came(r, nil, o.claim != nil)
	} else {
		defer func() { // Now and Announce may end the goroutine
			switch {
			case joined:
			case known:
				r.users[u] = before
			default:
				delete(r.users, u)
			}
		}()
		if !known {
			p.since = uint32(max(r.hub.cfg.Now().Sub(r.created), 0) / time.Second)
			j.First = true
		}
		p.connections++
		r.users[u] = p
		if j.First {
			r.census.came(r, u, o.claim != nil) // before the new member can be told of itself
		}
	}
	if ch := r.changes; ch != nil && (u == nil || !ch.users[u.id].came) {
		ch.heard = true
	}
	r.on.add(loop, dialect, 1)
	j.Position, j.Count = r.at, r.count()
	if o.Since != nil && o.Since.Epoch == r.at.Epoch {
		c := &r.hub.cfg
		j.Missed, j.Recovered = r.history.after(o.Since.Offset, r.at.Offset, c.MaxRecovery, c.MaxRecoveryBytes)
	}
	if !j.Recovered {
		j.Missed, j.Recent = nil, r.history.recent(o.Recent, r.hub.cfg.MaxRecoveryBytes)
	}
	d.post([]uint32{loop})
	if joined = true; empty {
		r.countActive(1)
	}
	return j, nil
}

// mayJoin returns why a connection may not join. known: another one of its user is a member. r.mu is held.
func (r *Room) mayJoin(u *User, known bool, o *JoinOptions) error {
	most := r.settings.Load().MaxMembers
	switch {
	case r.closed:
		return ErrNotFound
	case r.waiting != nil && !r.waiting.answered:
		return ErrOpening
	case !o.Key.opens(r):
		return ErrPassword
	case r.census.needsClaim(r, u, o.claim):
		return errClaim
	case !known && most > 0 && !r.census.counts() && r.count() >= most:
		return ErrFull
	}
	return nil
}

// leave ends a connection's membership.
func (r *Room) leave(loop uint32, u *User, dialect Dialect) (last bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	defer func() { // also if Announce does not return
		if r.here() == 0 {
			r.countActive(-1)
			r.hub.isEmpty(r)
		}
	}()
	r.on.add(loop, dialect, -1)
	if u == nil || r.audience {
		r.nobody--
		r.census.went(r, nil)
		tellListener(r, r.count())
	} else if p := r.users[u]; p.connections > 1 {
		p.connections--
		r.users[u] = p
	} else {
		delete(r.users, u)
		r.census.went(r, u)
		last = true
	}
	return last
}

// countActive counts a room that got its first member, or lost its last.
func (r *Room) countActive(n int64) {
	if !r.audience {
		r.hub.active.Add(n)
	}
}

// close ends the room, and then calls then without a lock, also if Announce does not return. Errors: ErrNotFound when
// it was closed before, ErrOpening.
func (r *Room) close(reason string, then func()) error {
	r.mu.Lock()
	switch {
	case r.closed:
		r.mu.Unlock()
		return ErrNotFound
	case r.waiting != nil && !r.waiting.answered:
		r.mu.Unlock()
		return ErrOpening
	}
	defer then()
	defer r.mu.Unlock()
	defer r.end()
	r.tell(Event{Room: r, Kind: Closed, Reason: reason, Count: r.count()})
	return nil
}

// expire is close for a room that has been empty since a time.
func (r *Room) expire(since int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.here() > 0 || r.emptySince.Load() != since {
		return false
	}
	r.end()
	return true
}

// end removes all members.
func (r *Room) end() {
	d := &Delivery{hub: r.hub, room: r, evict: true}
	d.post(r.on.loops())
	r.closed = true
	r.hub.isGone(r)
	if r.here() > 0 {
		r.countActive(-1)
	}
	r.on, r.users, r.nobody, r.changes = nil, nil, 0, nil
	if r.census != nil {
		r.census.total, r.census.users, r.census.others = 0, nil, 0
	}
	r.hub.histories.empty(r)
}
