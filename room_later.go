//go:build linux

package perch

import "github.com/perchws/perch/room"

// The methods in this file are for rooms whose broker may not answer at once. Their then is
// called once, as a callback of the connection: before the method returns if the answer is
// there, as it always is with room.Memory, else later. It is not called if the connection is
// closed by then. The questions of one connection about one room are answered in order.

// OpenRoom finds the room of an id, or makes it with the options of create; nil: none is made. made:
// this call has made it. Errors: ErrClosed, those of room.Hub's Open.
func (c Conn) OpenRoom(id string, create *room.Options, then func(c Conn, r *room.Room, made bool, err error)) {
	if c.live() == nil {
		then(c, nil, false, ErrClosed)
		return
	}
	ref := c.Ref()
	c.l.rooms.Open(c.slot, c.gen, id, create, func(r *room.Room, made bool, err error) {
		then(ref.conn(), r, made, err)
	})
}

// AwaitRoom waits until the room is open: then its history can be read. Errors: ErrClosed, those
// of room.Hub's Open.
func (c Conn) AwaitRoom(r *room.Room, then func(c Conn, err error)) {
	if c.live() == nil {
		then(c, ErrClosed)
		return
	}
	ref := c.Ref()
	c.l.rooms.Await(c.slot, c.gen, r, func(err error) { then(ref.conn(), err) })
}

// JoinLater is Join, for a room that may not be open yet, or whose members the broker counts: the connection is a
// member when then is called without an error. Errors: those of Join and AwaitRoom.
func (c Conn) JoinLater(r *room.Room, o room.JoinOptions, then func(c Conn, j room.Joined, err error)) {
	if c.live() == nil {
		then(c, room.Joined{}, ErrClosed)
		return
	}
	ref := c.Ref()
	c.l.rooms.JoinLater(c.slot, c.gen, r, o, func(j room.Joined, err error) { then(ref.conn(), j, err) })
}

// conn is the connection for its own callback, on its loop.
func (r Ref) conn() Conn { return Conn(r) }
