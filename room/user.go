package room

import (
	"slices"
)

// Identity is the user that a connection belongs to.
type Identity struct {
	ID      string // 1 to 256 bytes
	Name    string // for people
	Dialect Dialect
}

// User is a user who is connected, once or several times. Rooms count users, not connections: a user comes with the
// first connection and goes with the last. Any goroutine may call its methods.
type User struct {
	// Immutable.
	id, name string

	// Under Hub.usersMu.
	one  Member    // a connection
	more *[]Member // the others; nil: none, as with most users
}

func (u *User) add(m Member) {
	switch {
	case u.one == (Member{}):
		u.one = m
	case u.more == nil:
		u.more = &[]Member{m}
	default:
		*u.more = append(*u.more, m)
	}
}

// remove removes a connection. It reports whether none is left.
func (u *User) remove(m Member) (empty bool) {
	if u.more == nil {
		if u.one == m {
			u.one = Member{}
		}
		return u.one == (Member{})
	}
	more := *u.more
	if u.one == m {
		u.one, m = more[0], more[0]
	}
	if i := slices.Index(more, m); i >= 0 {
		*u.more = slices.Delete(more, i, i+1)
	}
	if len(*u.more) == 0 {
		u.more = nil
	}
	return false
}

// all returns the connections.
func (u *User) all() []Member {
	if u.one == (Member{}) {
		return nil
	}
	all := []Member{u.one}
	if u.more != nil {
		all = append(all, *u.more...)
	}
	return all
}

// ID is the user's id.
func (u *User) ID() string { return u.id }

// Name is the name that the user's first connection signed in with.
func (u *User) Name() string { return u.name }

// MaxUserID bounds the id of a user, in bytes.
const MaxUserID = 256

// signIn makes m a connection of the user.
func (h *Hub) signIn(m Member, id Identity) (u *User, first bool, err error) {
	if id.ID == "" || len(id.ID) > MaxUserID {
		return nil, false, ErrUserID
	}
	h.usersMu.Lock()
	defer h.usersMu.Unlock()
	u = h.users[id.ID]
	if u == nil {
		u, first = &User{id: id.ID, name: id.Name}, true
		h.users[id.ID] = u
		node{h}.signedIn(u)
	}
	u.add(m)
	return u, first, nil
}

// signOut undoes signIn. It reports whether the user has no connection left.
func (h *Hub) signOut(m Member, u *User) (last bool) {
	h.usersMu.Lock()
	defer h.usersMu.Unlock()
	if !u.remove(m) {
		return false
	}
	delete(h.users, u.id)
	node{h}.signedOut(u)
	return true
}

// User returns the user with an id; nil: that user is not connected.
func (h *Hub) User(id string) *User {
	h.usersMu.Lock()
	defer h.usersMu.Unlock()
	return h.users[id]
}

// Users calls f for at most so many of the users that are connected, in no order, and returns how many are connected
// in all. f may call the hub.
func (h *Hub) Users(most int, f func(*User)) (all int) {
	h.usersMu.Lock()
	all = len(h.users)
	some := make([]*User, 0, min(most, all))
	for _, u := range h.users {
		if len(some) == most {
			break
		}
		some = append(some, u)
	}
	h.usersMu.Unlock()
	for _, u := range some {
		f(u)
	}
	return all
}

// Connections returns the user's connections of this moment, on this node. See Elsewhere.
func (h *Hub) Connections(u *User) []Member {
	h.usersMu.Lock()
	defer h.usersMu.Unlock()
	return u.all()
}

// SendUser queues one message for every connection of a user, on all nodes, except those listed. It returns the number
// of these connections on this node: 0 if the user is not connected here. On other nodes the message may be lost. Any
// goroutine. Errors: ErrQueueFull when loops do not keep up, f.Err.
func (h *Hub) SendUser(id string, f Frames, except ...Member) (n int, err error) {
	if err := f.Err(); err != nil {
		return 0, err
	}
	if h.directory != nil {
		h.cfg.call("Broker.SendUser", func() { h.directory.SendUser(id, f) })
	}
	return h.sendUser(id, f, except)
}

// sendUser is SendUser on this node.
func (h *Hub) sendUser(id string, f Frames, except []Member) (n int, err error) {
	to := excluded(node{h}.members(id), except)
	if err := h.sendTo(to, f); err != nil {
		return 0, err
	}
	return len(to), nil
}

// excluded returns connections without those that are left out. It changes all.
func excluded(all, except []Member) []Member {
	return slices.DeleteFunc(all, func(m Member) bool { return slices.Contains(except, m) })
}

// SendMember queues one message for one connection; for the zero Member it does
// nothing. Any goroutine. Errors: those of SendUser.
func (h *Hub) SendMember(m Member, f Frames) error {
	if err := f.Err(); err != nil {
		return err
	}
	if m == (Member{}) {
		return nil
	}
	return h.sendTo([]Member{m}, f)
}

func (h *Hub) sendTo(to []Member, f Frames) error {
	if len(to) == 0 || len(h.loops) == 0 {
		return nil
	}
	cost := h.reserve(f.size())
	if cost == 0 {
		return ErrQueueFull
	}
	var loops []uint32
	for _, m := range to {
		if !slices.Contains(loops, m.Loop) {
			loops = append(loops, m.Loop)
		}
	}
	h.post(&Delivery{hub: h, frames: f, to: to, cost: cost}, loops)
	return nil
}

// SendAll queues one message for every connection that has signed in, except those listed. Any goroutine. Errors:
// those of SendUser.
func (h *Hub) SendAll(f Frames, except ...Member) error {
	if err := f.Err(); err != nil {
		return err
	}
	loops := make([]uint32, len(h.loops))
	for i := range loops {
		loops[i] = uint32(i)
	}
	cost := h.reserve(f.size())
	if cost == 0 {
		return ErrQueueFull
	}
	h.post(&Delivery{hub: h, frames: f, all: true, except: excluding(except), cost: cost}, loops)
	return nil
}
