package room

import (
	"cmp"
	"slices"
	"time"
)

// EventKind says what kind of event happened in a room.
type EventKind uint8

const (
	UserJoined EventKind = iota // User came
	UserLeft                    // User went
	// Came and Went: in a room with many members told once a second, or less often; neither, but Count: a connection
	// without a user came to a private room, or went
	Changed
	Closed // the room was deleted, for Reason
)

// Event is news about a room for its members: Config.Announce makes a message of it.
type Event struct {
	Room       *Room // only its ID, Options and Created may be called
	Kind       EventKind
	User       *User
	Count      int     // members after the event
	Came, Went []*User // nil above Config.PresenceNames members; at most PresenceEach each
	Reason     string
}

// changes are comings and goings that members have not been told of.
type changes struct {
	users map[string]change // by id
	all   bool              // there are too many for names
	heard bool              // a connection has joined since the last summary, and was told a count
}

// change is one of changes.
type change struct {
	user *User
	came bool
}

// changed tells members of a coming or going, after which there are n members, or notes it for the next summary. r.mu
// is held.
func (r *Room) changed(u *User, came bool, n int) {
	c := &r.hub.cfg
	if n <= c.PresenceEach && r.changes == nil {
		kind := UserLeft
		if came {
			kind = UserJoined
		}
		r.tell(Event{Room: r, Kind: kind, User: u, Count: n})
		return
	}
	ch := summaryOf(r)
	if n > c.PresenceNames || len(ch.users) >= 2*c.PresenceEach {
		ch.all, ch.users = true, nil
	}
	if ch.all {
		return
	}
	if was, ok := ch.users[u.id]; ok && was.came != came { // the opposite was noted before
		delete(ch.users, u.id)
		return
	}
	ch.users[u.id] = change{u, came}
}

// summaryOf returns the changes of a room to tell later, and begins them if there are none. r.mu is held.
func summaryOf(r *Room) *changes {
	if r.changes == nil {
		r.changes = &changes{users: make(map[string]change)}
		r.hub.changedMu.Lock()
		r.hub.changed = append(r.hub.changed, r)
		r.hub.changedMu.Unlock()
	}
	return r.changes
}

// tellListener tells the members of a private room that a connection without a user came or went, and that they are n
// now: nobody listens there unseen. r.mu is held.
func tellListener(r *Room, n int) {
	switch {
	case r.audience || !r.settings.Load().Private:
	case n <= r.hub.cfg.PresenceEach && r.changes == nil:
		r.tell(Event{Room: r, Kind: Changed, Count: n})
	default:
		summaryOf(r).heard = true
	}
}

// presencePace bounds how many members of one room are told of others in a second: in a larger room summaries come
// less often than once a second.
const presencePace = 10_000

// tellChanges sends the summary of the changes since the last one. It reports whether it is too early for that.
func (r *Room) tellChanges(now int64) (early bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ch := r.changes
	if ch == nil {
		return false
	}
	if r.told != 0 && now-r.told < int64(time.Second)*int64(r.count()/presencePace) {
		return true
	}
	r.changes, r.told = nil, now
	if len(ch.users) == 0 && !ch.all && !ch.heard { // all that came have gone again
		return false
	}
	e := Event{Room: r, Kind: Changed, Count: r.count()}
	for _, c := range ch.users {
		list := &e.Went
		if c.came {
			list = &e.Came
		}
		*list = append(*list, c.user)
	}
	for _, list := range []*[]*User{&e.Came, &e.Went} {
		slices.SortFunc(*list, func(a, b *User) int { return cmp.Compare(a.id, b.id) }) // the same choice each time
		*list = (*list)[:min(len(*list), r.hub.cfg.PresenceEach)]
	}
	r.tell(e)
	return false
}

// tell announces an event. r.mu is held.
func (r *Room) tell(e Event) {
	if len(r.on) > 0 {
		class := ClassPresence
		if e.Kind == Closed {
			class = ClassMessage
		}
		f := r.hub.cfg.Announce(e)
		for d, m := range f {
			if m != nil && m.Err() != nil {
				f[d] = nil
				r.hub.invalid.Add(1)
			}
		}
		var except []Member
		if e.Kind == UserJoined && r.census.counts() { // the user has joined already, and is not told of itself
			except = r.hub.Connections(e.User)
		}
		if r.send(f, class, except) == nil {
			return
		}
		if class != ClassMessage {
			r.hub.shed.Add(uint64(r.on.connections()))
			return
		}
		// The end of a room is told in any case, once for each member.
		r.hub.post(&Delivery{hub: r.hub, room: r, frames: f}, r.on.loops())
	}
}
