package endpoint

import (
	"encoding/json"
	"errors"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/label"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/room"
)

// Opened is the room that OpenRoom has found or made.
type Opened struct {
	Room *room.Room
	Made bool // this call has made it
}

// OpenRoom finds the room of an id, on whichever node it was made, or makes it with the options create; nil: it makes
// none. It continues with then, as Await does: at once if the broker answers at once. The errors are those of
// room.Hub.Open, and ErrLate. id is that of the message that is answered.
func OpenRoom(conn perch.Conn, c *Client, id json.RawMessage, name string, create *room.Options,
	then func(conn perch.Conn, c *Client, o Opened, err error) error,
) error {
	return Await(conn, c, Wait[Opened]{
		ID: id,
		Start: func(conn perch.Conn, answer func(Opened, error)) {
			conn.OpenRoom(name, create, func(_ perch.Conn, r *room.Room, made bool, err error) {
				answer(Opened{r, made}, err)
			})
		},
		Then: then,
	})
}

// JoinRoom joins a room and continues with then, as Await does: at once, unless the broker counts the members of
// several nodes and must be asked. The errors are those of perch.Conn.Join, and ErrLate.
func JoinRoom(conn perch.Conn, c *Client, id json.RawMessage, r *room.Room, o room.JoinOptions,
	then func(conn perch.Conn, c *Client, j room.Joined, err error) error,
) error {
	j, err := conn.Join(r, o)
	if !errors.Is(err, room.ErrOpening) {
		return then(conn, c, j, err)
	}
	realm, ref := c.realm(), conn.Ref()
	return Await(conn, c, Wait[room.Joined]{
		ID:   id,
		Here: true, // no message of the room may come before those that then sends
		Start: func(conn perch.Conn, answer func(room.Joined, error)) {
			conn.JoinLater(r, o, func(_ perch.Conn, j room.Joined, err error) { answer(j, err) })
		},
		Then: then,
		Undo: func(_ room.Joined, err error) {
			if err == nil {
				realm.leaveLater(ref, r)
			}
		},
	})
}

// leaveLater takes a connection out of a room that it has joined too late, as soon as its loop accepts that.
func (r *Realm) leaveLater(ref perch.Ref, in *room.Room) {
	err := ref.Do(func(conn perch.Conn) { _, _ = conn.Leave(in) })
	if errors.Is(err, perch.ErrOverloaded) {
		r.After(overloadPause, func() { r.leaveLater(ref, in) })
	}
}

// FindRoom returns the room of an id, or else the public one with that name. A room that only looks alike is another
// word, so it does not count. nil: this node has none. The room may not be open yet.
func FindRoom(hub *room.Hub, name string) *room.Room {
	r := hub.Room(name)
	if r == nil {
		r = hub.Alike(name)
		if r != nil && !Called(r, name) {
			return nil
		}
	}
	return r
}

// Called reports whether a room has an id or a name that differs at most in case, width, spaces or invisible
// characters.
func Called(r *room.Room, name string) bool {
	if r.ID() == name {
		return true
	}
	key := label.Key(name)
	return label.Key(r.ID()) == key || label.Key(r.Options().Name) == key
}

// RoomError turns an error of package room into the error that a client gets.
func RoomError(err error) error {
	if alike, ok := errors.AsType[*room.AlikeError](err); ok {
		return &protocol.Error{Code: protocol.CodeRoomExists, RoomID: alike.Room.ID()}
	}
	if errors.Is(err, room.ErrPasswordInvalid) {
		return &protocol.Error{
			Code: protocol.CodeInvalidValue, Field: "password",
			Message: "A password is 1 to 256 bytes of characters that can be seen, and spaces.",
		}
	}
	for _, e := range roomErrors {
		if errors.Is(err, e.err) {
			return &protocol.Error{Code: e.code}
		}
	}
	return err
}

var roomErrors = [...]struct {
	err  error
	code protocol.Code
}{
	{room.ErrNotFound, protocol.CodeRoomNotFound},
	{room.ErrExists, protocol.CodeRoomExists},
	{room.ErrID, protocol.CodeInvalidRoomID},
	{room.ErrTooMany, protocol.CodeRoomLimit},
	{room.ErrFull, protocol.CodeRoomFull},
	{room.ErrPassword, protocol.CodeWrongPassword},
	{room.ErrBusy, protocol.CodeBusy},
	{room.ErrJoined, protocol.CodeAlreadyJoined},
	{room.ErrNotIn, protocol.CodeNoRoom},
	{room.ErrTooManyRooms, protocol.CodeTooManyRooms},
	{room.ErrQueueFull, protocol.CodeQueueFull},
	{room.ErrClosed, protocol.CodeBusy},
	{room.ErrUnavailable, protocol.CodeUnavailable},
}
