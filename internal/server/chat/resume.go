package chat

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/endpoint"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/room"
	"github.com/perchws/perch/session"
)

// arrival is a client of /ws/chat between its first message and its first room. It is a value that is passed from
// step to step, because the store of sessions may answer later.
type arrival struct {
	s       *Service
	name    string   // the name that it asks for; "": any
	back    returned // its name and room before
	resumed bool     // it has its old session again
}

// returned is the state of a client before its connection broke.
type returned struct {
	kept
	since map[string]*room.Position // the messages that it has seen, by room
}

// read reads resume. key is that of the session; "": the client comes for the first time.
func (a *arrival) read(m protocol.Message) (key string, err error) {
	o, ok, err := m.Object("resume")
	if err != nil || !ok {
		return "", err
	}
	if key, err = o.String("session", protocol.MaxScalar, true); err != nil {
		return "", err
	}
	rooms, _, err := o.Object("rooms")
	if err != nil {
		return "", err
	}
	a.back.since = make(map[string]*room.Position)
	return key, rooms.Each(func(id string, raw json.RawMessage) error {
		p, err := protocol.Parse(raw)
		if err != nil {
			return &protocol.Error{Code: protocol.CodeWrongType, Field: "resume"}
		}
		a.back.since[id], err = positionOf(p)
		return err
	})
}

// taken continues when the client has got the session that it names. If that is gone, the client becomes a new user,
// and init says so.
func (a arrival) taken(conn perch.Conn, c *endpoint.Client, id json.RawMessage, held session.Session, err error) error {
	if gone, ok := errors.AsType[*protocol.Error](err); ok && gone.Code == protocol.CodeSessionNotFound {
		a.back = returned{}
		return a.begin(conn, c, id)
	}
	if err != nil {
		return err
	}
	a.back.kept, a.resumed = parseKept(held.State), true
	return a.signIn(conn, c, id)
}

// begin continues with a new user.
func (a arrival) begin(conn perch.Conn, c *endpoint.Client, id json.RawMessage) error {
	return endpoint.Begin(conn, c, id, endpoint.Beginning{}, a, arrival.begun)
}

func (a arrival) begun(conn perch.Conn, c *endpoint.Client, id json.RawMessage, _ session.Session, err error) error {
	if err != nil {
		return err
	}
	a.back.name = a.name
	return a.signIn(conn, c, id)
}

// signIn signs the client in, and brings it to its first room.
func (a arrival) signIn(conn perch.Conn, c *endpoint.Client, id json.RawMessage) error {
	s, user := a.s, c.Identity().Subject
	if user == "" {
		user = endpoint.AnonymousID(c.Session())
	}
	id = bytes.Clone(id)
	return s.signIn(conn, c, user, a.back.name, dialectChat,
		func(conn perch.Conn, c *endpoint.Client, u *room.User, first bool, err error) error {
			if err != nil {
				return err
			}
			send(conn, s.greeting(c, id, u, a.resumed))
			return a.enterFirst(conn, c, id, func() {
				if r := c.State.(*member).room; first && r != nil && r.Count() <= s.each {
					r.Send(s.status(u, "online"), room.ClassPresence, conn.Member())
				}
			})
		})
}

// enterFirst joins the room in which the user was, or general, and then continues.
func (a arrival) enterFirst(conn perch.Conn, c *endpoint.Client, id json.RawMessage, then func()) error {
	back := a.back
	if back.name != "" && a.resumed && back.room == "" { // the user had left its room
		then()
		return nil
	}
	if back.room == "" || !c.Identity().MayJoin(back.room) {
		a.enterGeneral(conn, c, id, then)
		return nil
	}
	return endpoint.OpenRoom(conn, c, id, back.room, nil,
		func(conn perch.Conn, c *endpoint.Client, o endpoint.Opened, err error) error {
			switch {
			case errors.Is(err, room.ErrNotFound), errors.Is(err, room.ErrID):
				a.enterGeneral(conn, c, id, then)
				return nil
			case err != nil:
				c.Fail(conn, id, endpoint.RoomError(err))
				then()
				return nil
			}
			key := room.Key{}
			if o.Room.Position().Epoch == back.epoch { // the user has shown the password of this very room before
				key = room.MasterKey()
			}
			a.enter(conn, c, o.Room, &entry{id: id, room: back.room, since: back.since[back.room]}, key, then)
			return nil
		})
}

// enter joins a room, or tells the client the error, and then continues.
func (a arrival) enter(conn perch.Conn, c *endpoint.Client, r *room.Room, e *entry, key room.Key, then func()) {
	e.done = then
	e.fail = func(conn perch.Conn, c *endpoint.Client, id []byte, err error) { c.Fail(conn, id, err) }
	if err := a.s.enter(conn, c, r, e, key); err != nil { // there is no room
		_ = e.told(conn, c, err)
		then()
	}
}

// enterGeneral joins the room in which everybody begins, unless the client's token does not allow it, and then
// continues.
func (a arrival) enterGeneral(conn perch.Conn, c *endpoint.Client, id json.RawMessage, then func()) {
	if c.Identity().MayJoin(generalID) {
		a.enter(conn, c, a.s.hub.Room(generalID), &entry{id: id, room: generalID}, room.Key{}, then)
		return
	}
	defer then()
	if a.resumed {
		return
	}
	k := kept{name: conn.User().Name(), room: generalID}
	if err := c.Keep(conn, k.state()); err != nil {
		c.Fail(conn, nil, err)
	}
}
