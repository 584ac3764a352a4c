//go:build linux

package perch

import (
	"time"

	"github.com/perchws/perch/room"
)

// Rooms are the server's rooms, and the users connected to it. Any goroutine.
func (srv *Server) Rooms() *room.Hub { return srv.rooms }

// Ref is the connection that a room knows as m. Any goroutine, once the server
// has started.
func (srv *Server) Ref(m room.Member) Ref {
	if int(m.Loop) >= len(srv.loops) || m == (room.Member{}) {
		return Ref{}
	}
	return Ref{srv.loops[m.Loop], m.Slot, m.Gen}
}

// Member is what rooms know the connection as. Any goroutine.
func (c Conn) Member() room.Member { return c.Ref().Member() }

// Member is what rooms know the connection as. Any goroutine.
func (r Ref) Member() room.Member {
	if r.l == nil {
		return room.Member{}
	}
	return room.Member{Loop: uint32(r.l.id), Slot: r.slot, Gen: r.gen}
}

// SignIn says whose connection it is: once, and before it joins a room. first:
// the user has no other. Errors: ErrClosed, room.ErrSignedIn, room.ErrUserID.
func (c Conn) SignIn(id room.Identity) (u *room.User, first bool, err error) {
	if c.live() == nil {
		return nil, false, ErrClosed
	}
	return c.l.rooms.SignIn(c.slot, c.gen, id)
}

// SignOut ends what SignIn began, before the connection has closed or left its
// rooms: in OnClose it tells whether the user is still there. last: no other
// connection is. It says so once; without it the closing signs out by itself.
func (c Conn) SignOut() (last bool) { return c.present() != nil && c.l.rooms.SignOut(c.slot) }

// User is who has signed in; nil: nobody.
func (c Conn) User() *room.User {
	if c.present() == nil {
		return nil
	}
	return c.l.rooms.User(c.slot)
}

// Join makes the connection a member of the room until it leaves or closes. What
// is published to the room from now on will be sent to it, behind what this
// callback sends; messages that were published before are asked for by o and
// returned. Errors: ErrClosed, room.ErrJoined, ErrTooManyRooms, ErrNotFound,
// ErrPassword, ErrFull; ErrOpening for a room that is not open yet, see
// JoinLater.
func (c Conn) Join(r *room.Room, o room.JoinOptions) (room.Joined, error) {
	if c.live() == nil {
		return room.Joined{}, ErrClosed
	}
	return c.l.rooms.Join(c.slot, c.gen, r, o)
}

// Leave ends the membership: nothing of the room is queued for the connection any
// more. last: its user has no other connection in the room. Errors: ErrClosed,
// room.ErrNotIn.
func (c Conn) Leave(r *room.Room) (last bool, err error) {
	if c.present() == nil {
		return false, ErrClosed
	}
	return c.l.rooms.Leave(c.slot, r)
}

// In reports that the connection is in the room.
func (c Conn) In(r *room.Room) bool { return c.present() != nil && c.l.rooms.In(c.slot, r) }

// Rooms calls f for every room that the connection is in; f may leave them.
func (c Conn) Rooms(f func(*room.Room)) {
	if c.present() != nil {
		c.l.rooms.Rooms(c.slot, f)
	}
}

// Silence is the time since the peer was last heard, or seen to take output, to
// within a few milliseconds.
func (c Conn) Silence() time.Duration {
	s := c.present()
	if s == nil || s.state != stateOpen {
		return 0
	}
	return coarseTime(c.l.coarse - s.seen())
}
