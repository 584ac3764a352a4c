package room

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perchws/perch/frame"
)

// Options are what a room is made with. The zero value is a public room
// without a password or a limit.
type Options struct {
	Name       string // for people; the id, if empty
	Owner      string // user id of the person that may delete it
	Private    bool   // not listed to others than its members
	Password   Password
	MaxMembers int           // users and connections without one; 0: no limit
	TTL        time.Duration // without members, then the room is deleted; 0: it stays until Hub.Delete
	Payer      Payer         // who has made the room, and pays for messages in it that nobody pays for
}

// Room is where messages are published to members. Any goroutine may call its
// methods; connections join and leave through the engine, on their loop.
//
// A Room that is deleted stays so, also when another one is made with its id:
// what is published or sent to it, and whoever joins it, gets ErrNotFound, and
// it has no members.
type Room struct {
	// Immutable once the room is known.
	hub     *Hub
	id      string
	created time.Time // on this node, or when it was asked for

	// Immutable once the room is open.
	topic Topic
	made  bool // by the opening

	looks []uint64 // its places in Hub.alike, unless it is private; under Hub.mu once the room is known

	audience bool // made by Hub.Audience

	// Under Hub.mu.
	maker  Payer // who has one room more for it
	listed int   // its place in Hub.listed

	// Atomic.
	settings   atomic.Pointer[settings]
	opening    atomic.Bool  // what is published waits
	pending    atomic.Int64 // publishes accepted and not yet walked by all loops
	latest     atomic.Int64 // unix ns of the last message
	emptySince atomic.Int64 // as Config.Clock tells it: when it was empty last, if it has a TTL

	mu      sync.Mutex // short; taken after the broker's, before a mailbox's
	serial  serial     // of deliveries
	closed  bool
	on      places
	users   map[*User]presence
	nobody  int // connections without a user
	at      Position
	history history
	charges map[Payer]*charge // who pays for the history
	waiting *opening          // nil: the room is open
	flights *list.List        // publishes that the broker has not settled; nil: none
	changes *changes          // not told yet
	told    int64             // as Config.Clock tells it: when changes were told last

	// Under Hub.expiry.mu.
	due   int64 // unix ns: when it is to be looked at
	place int   // in the heap, from 1; 0: it is not there
}

// settings are a room's options, and when it was made. Immutable.
type settings struct {
	Options
	created time.Time
}

// presence is a user's presence in one room.
type presence struct {
	connections uint32
	since       uint32 // seconds after the room was made
}

// ID names the room.
func (r *Room) ID() string { return r.id }

// Options are those it was made with, or has been given since.
func (r *Room) Options() Options { return r.settings.Load().Options }

// Created is when it was made.
func (r *Room) Created() time.Time { return r.settings.Load().created }

// Active is when its latest message was published; when it was made, if there was none.
func (r *Room) Active() time.Time {
	if ns := r.latest.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return r.Created()
}

// Count is the number of members: users, and connections without one.
func (r *Room) Count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count()
}

func (r *Room) count() int { return len(r.users) + r.nobody }

// Connections is the number of connections in the room.
func (r *Room) Connections() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.on.connections()
}

// Queue is the number of publishes accepted and not yet walked by all loops.
func (r *Room) Queue() int { return int(r.pending.Load()) }

// Position is the place of the latest message.
func (r *Room) Position() Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}

// Closed reports that the room is deleted.
func (r *Room) Closed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

// Has reports that a user has a connection in the room.
func (r *Room) Has(u *User) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.users[u]
	return ok
}

// Users calls f for users in the room and the time they came (to the second), at most so many,
// in no order, and returns how many there are in all. f may call the room.
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
	Key    Key       // of a room with a password; see Room.Unlock
	Since  *Position // what the connection has seen: ask for what came after
	Recent int       // how many of the latest messages to get, if not those
}

// Joined is what a connection that has joined should know. Later messages will
// be delivered to it; earlier ones are in here.
type Joined struct {
	Position       // of the latest message
	Count     int  // members, with the new one
	First     bool // of its user's connections
	Recovered bool // Missed is all that came after JoinOptions.Since
	Missed    []*frame.Prepared
	Recent    []*frame.Prepared // in dialect 0
}

// join makes the connection a member: its loop hears of all that is published
// from now on, as soon as d is carried out.
func (r *Room) join(loop uint32, u *User, dialect Dialect, o JoinOptions, d *Delivery) (j Joined, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.audience {
		u = nil // it knows connections alone
	}
	p, known := r.users[u]
	most := r.settings.Load().MaxMembers
	switch {
	case r.closed:
		return j, ErrNotFound
	case r.waiting != nil && !r.waiting.answered:
		return j, ErrOpening
	case !o.Key.opens(r):
		return j, ErrPassword
	case !known && most > 0 && r.count() >= most:
		return j, ErrFull
	}
	joined, before, empty := false, p, r.count() == 0
	if u == nil {
		r.nobody++
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
			r.changed(u, true) // before it can hear of itself
		}
	}
	if ch := r.changes; ch != nil && !ch.users[u] {
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

// leave ends a connection's membership.
func (r *Room) leave(loop uint32, u *User, dialect Dialect) (last bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	defer func() { // whatever Announce does
		if r.count() == 0 {
			r.countActive(-1)
			r.hub.isEmpty(r)
		}
	}()
	r.on.add(loop, dialect, -1)
	if u == nil || r.audience {
		r.nobody--
	} else if p := r.users[u]; p.connections > 1 {
		p.connections--
		r.users[u] = p
	} else {
		delete(r.users, u)
		r.changed(u, false)
		last = true
	}
	return last
}

// countActive counts a room that has its first member, or has lost its last one.
func (r *Room) countActive(n int64) {
	if !r.audience {
		r.hub.active.Add(n)
	}
}

// close ends the room, and calls then without a lock. Both happen whatever Announce
// does. Errors: ErrNotFound when it was closed before, ErrOpening.
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

// expire is close for a room that has been empty since then.
func (r *Room) expire(since int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.count() > 0 || r.emptySince.Load() != since {
		return false
	}
	r.end()
	return true
}

// end takes everybody out.
func (r *Room) end() {
	d := &Delivery{hub: r.hub, room: r, evict: true}
	d.post(r.on.loops())
	r.closed = true
	r.hub.isGone(r)
	if r.count() > 0 {
		r.countActive(-1)
	}
	r.on, r.users, r.nobody, r.changes = nil, nil, 0, nil
	r.dropHistory()
}
