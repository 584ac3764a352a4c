package endpoint

import (
	"encoding/json"
	"errors"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/label"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/room"
)

// maxCreations is how many rooms a connection may make in a minute.
const maxCreations = 10

// subscribe makes the client a member of a room, as nobody: it hears what is published there, and counts, but
// nobody is told that it came. To a room with a password there is no way in here.
func (c *Client) subscribe(conn perch.Conn, hub *room.Hub, m protocol.Message) error {
	channel, err := m.String("channel", room.MaxID, true)
	if err != nil {
		return err
	}
	if err := room.CheckID(channel); err != nil {
		return RoomError(err)
	}
	r := FindRoom(hub, channel)
	if r != nil {
		channel = r.ID()
	}
	if !c.Identity().MayJoin(channel) {
		return &protocol.Error{Code: protocol.CodeForbiddenRoom}
	}
	r, err = c.channel(hub, r, channel)
	if err != nil {
		return err
	}
	// Who is in it already has what was asked for.
	if _, err := conn.Join(r, room.JoinOptions{}); err != nil && !errors.Is(err, room.ErrJoined) {
		return RoomError(err)
	}
	o := protocol.NewObject(nil, protocol.TypeSubscribed).String("channel", r.ID())
	send(conn, o.Time("timestamp", c.realm().Now()).ID(m.ID()))
	return nil
}

// unsubscribe ends it.
func (c *Client) unsubscribe(conn perch.Conn, hub *room.Hub, m protocol.Message) error {
	channel, err := m.String("channel", room.MaxID, true)
	if err != nil {
		return err
	}
	r := FindRoom(hub, channel)
	if r == nil || !conn.In(r) {
		return RoomError(room.ErrNotIn)
	}
	c.leave(conn, r, m.ID())
	return nil
}

// leaveForbidden is for a client whose new token is for fewer rooms.
func leaveForbidden(conn perch.Conn, c *Client) {
	conn.Rooms(func(r *room.Room) {
		if !c.Identity().MayJoin(r.ID()) {
			c.leave(conn, r, nil)
		}
	})
}

// leave ends a subscription, and says so.
func (c *Client) leave(conn perch.Conn, r *room.Room, id json.RawMessage) {
	_, _ = conn.Leave(r) // it is in it
	send(conn, protocol.NewObject(nil, protocol.TypeUnsubscribed).String("channel", r.ID()).Time("timestamp", c.realm().Now()).ID(id))
}

// FindRoom is the room of an id, or else the public one that is called so. One that only looks alike is another word:
// nobody is sent there. nil: there is none.
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

// Called reports that a room has an id or a name that differs at most in case, width, spaces or what is not seen.
func Called(r *room.Room, name string) bool {
	if r.ID() == name {
		return true
	}
	key := label.Key(name)
	return label.Key(r.ID()) == key || label.Key(r.Options().Name) == key
}

// channel is r, the room of a channel, made if there is none and the configuration allows it.
func (c *Client) channel(hub *room.Hub, r *room.Room, id string) (*room.Room, error) {
	cfg := &c.realm().cfg
	if r != nil {
		return r, nil
	}
	if !cfg.CreateRooms {
		return nil, &protocol.Error{Code: protocol.CodeRoomNotFound}
	}
	if !c.State.(*numbered).creations.Take(cfg.Clock.Now(), maxCreations) {
		return nil, &protocol.Error{Code: protocol.CodeRateLimited}
	}
	r, err := hub.Create(id, room.Options{Owner: c.Identity().Subject, MaxMembers: max(cfg.MaxMembers, 0), TTL: max(cfg.EmptyTTL, 0)})
	if errors.Is(err, room.ErrExists) { // another loop was quicker; if it is gone already the client may try again
		if quicker := FindRoom(hub, id); quicker != nil && c.Identity().MayJoin(quicker.ID()) {
			return quicker, nil
		}
	}
	return r, RoomError(err)
}

// RoomError is what a client is told of an error of package room.
func RoomError(err error) error {
	if alike, ok := errors.AsType[*room.AlikeError](err); ok {
		return &protocol.Error{Code: protocol.CodeRoomExists, RoomID: alike.Room.ID()}
	}
	if errors.Is(err, room.ErrPasswordInvalid) {
		return &protocol.Error{
			Code: protocol.CodeInvalidValue, Field: "password", Message: "A password is 1 to 256 bytes of characters that can be seen, and spaces.",
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
}
