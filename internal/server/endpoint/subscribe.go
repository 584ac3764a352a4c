package endpoint

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/room"
	"github.com/perchws/perch/session"
)

// maxCreations is how many rooms a connection may make in a minute.
const maxCreations = 10

// subscribe makes the client a member of a room, without a user. It gets the messages of the room, and counts as a
// member, but others are not told that it came. It cannot enter rooms with a password.
func (c *Client) subscribe(conn perch.Conn, hub *room.Hub, m protocol.Message) error {
	channel, err := m.String("channel", room.MaxID, true)
	if err != nil {
		return err
	}
	if err := room.CheckID(channel); err != nil {
		return RoomError(err)
	}
	if r := FindRoom(hub, channel); r != nil {
		channel = r.ID()
	}
	if !c.Identity().MayJoin(channel) {
		return &protocol.Error{Code: protocol.CodeForbiddenRoom}
	}
	id := bytes.Clone(m.ID())
	return OpenRoom(conn, c, id, channel, nil, func(conn perch.Conn, c *Client, o Opened, err error) error {
		if errors.Is(err, room.ErrNotFound) {
			return c.makeChannel(conn, hub, channel, id)
		}
		return c.subscribed(conn, o.Room, id, session.Key{}, err)
	})
}

// makeChannel makes the room of a channel, if the configuration allows that, and subscribes to it.
func (c *Client) makeChannel(conn perch.Conn, hub *room.Hub, channel string, id json.RawMessage) error {
	cfg := &c.realm().cfg
	if !cfg.CreateRooms {
		return &protocol.Error{Code: protocol.CodeRoomNotFound}
	}
	if !c.State.(*numbered).creations.Take(cfg.Clock.Now(), maxCreations) {
		return &protocol.Error{Code: protocol.CodeRateLimited}
	}
	owner, key := c.Identity().Subject, session.Key{}
	if owner == "" {
		key = NewKey(cfg.Entropy)
		owner = AnonymousID(key)
	}
	create := &room.Options{
		Owner: owner, MaxMembers: max(cfg.MaxMembers, 0), TTL: max(cfg.EmptyTTL, 0),
		Payer: room.Payer(c.Payer(conn)),
	}
	return OpenRoom(conn, c, id, channel, create, func(conn perch.Conn, c *Client, o Opened, err error) error {
		if errors.Is(err, room.ErrExists) { // another call was quicker; if that room is gone already the client may try again
			if quicker := FindRoom(hub, channel); quicker != nil && c.Identity().MayJoin(quicker.ID()) {
				o.Room, err = quicker, nil
			}
		}
		if !o.Made {
			key = session.Key{} // the room has another owner
		}
		return c.subscribed(conn, o.Room, id, key, err)
	})
}

// subscribed finishes a subscribe: the room was found or made, or there is an error.
// key, if not zero, is that of the room's owner, who has no token.
func (c *Client) subscribed(conn perch.Conn, r *room.Room, id json.RawMessage, key session.Key, err error) error {
	if err != nil {
		return RoomError(err)
	}
	return JoinRoom(conn, c, id, r, room.JoinOptions{}, func(conn perch.Conn, c *Client, _ room.Joined, err error) error {
		// If the client is in the room already, it has what it wants.
		if err != nil && !errors.Is(err, room.ErrJoined) {
			return RoomError(err)
		}
		o := protocol.NewObject(nil, protocol.TypeSubscribed).String("channel", r.ID())
		if key != (session.Key{}) {
			o = o.String("user_key", key.Text()) // with it the owner can come back
		}
		send(conn, o.Time("timestamp", c.realm().Now()).ID(id))
		return nil
	})
}

// unsubscribe ends a subscription.
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

// leaveForbidden leaves the rooms that the client's new token does not allow.
func leaveForbidden(conn perch.Conn, c *Client) {
	conn.Rooms(func(r *room.Room) {
		if !c.Identity().MayJoin(r.ID()) {
			c.leave(conn, r, nil)
		}
	})
}

// leave ends a subscription, and tells the client.
func (c *Client) leave(conn perch.Conn, r *room.Room, id json.RawMessage) {
	_, _ = conn.Leave(r) // the client is in the room
	send(conn, protocol.NewObject(nil, protocol.TypeUnsubscribed).String("channel", r.ID()).Time("timestamp", c.realm().Now()).ID(id))
}
