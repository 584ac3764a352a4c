package chat

import (
	"bytes"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/endpoint"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/room"
	"github.com/perchws/perch/session"
)

// room is the endpoint /ws/room/{room_id}.
func (s *Service) room() endpoint.Endpoint {
	return endpoint.Endpoint{
		Name:      "/ws/room/{room_id}",
		Heartbeat: true,
		Open: func(_ perch.Conn, c *endpoint.Client, r *perch.Request) {
			c.State = &member{rare: &rare{path: r.PathValue("room_id")}}
		},
		First:     s.joinFirst,
		Message:   s.roomMessage,
		Refreshed: s.refreshed,
		Close:     s.depart,
	}
}

// joinFirst handles the first frame, which must be join. If it fails, the connection ends.
func (s *Service) joinFirst(conn perch.Conn, c *endpoint.Client, m protocol.Message) error {
	err := s.joinAs(conn, c, m)
	if err != nil {
		refuse(conn, c, m.ID(), err)
	}
	return nil
}

// refuse tells the client why it cannot enter the room, and closes it. Its name is free at once: the client may ask
// again before this connection has ended.
func refuse(conn perch.Conn, c *endpoint.Client, id []byte, err error) {
	conn.SignOut()
	c.Fail(conn, id, err)
	code, reason := perch.ClosePolicyViolation, protocol.AsError(err).Code
	if reason == protocol.CodeUnavailable {
		code = perch.CloseTryAgainLater
	}
	c.Close(conn, code, string(reason))
}

// joinAs signs the client in and joins the room of its path.
func (s *Service) joinAs(conn perch.Conn, c *endpoint.Client, m protocol.Message) error {
	if typ, err := m.Type(); err != nil || typ != protocol.TypeJoin {
		return &protocol.Error{Code: protocol.CodeBadRequest, Message: "The first message must be join."}
	}
	name, err := m.String("username", maxUsername, false)
	if err != nil {
		return err
	}
	if err := reserved(c.Identity()); err != nil {
		return err
	}
	id, err := s.userOf(c, m)
	if err != nil {
		return err
	}
	e, err := s.joining(m, c.State.(*member), refuse)
	if err != nil {
		return err
	}
	return s.signIn(conn, c, id, name, dialectRoom,
		func(conn perch.Conn, c *endpoint.Client, u *room.User, _ bool, err error) error {
			if err == nil {
				e.ownedBy(u)
				err = s.find(conn, c, c.State.(*member), e)
			}
			return e.told(conn, c, err)
		})
}

// userOf returns the id of the user that joins: that of its token, or of the key that it shows, or a new one.
func (s *Service) userOf(c *endpoint.Client, m protocol.Message) (id string, err error) {
	text, err := m.String("user_key", protocol.MaxScalar, false)
	if err != nil {
		return "", err
	}
	subject, key := c.Identity().Subject, endpoint.NewKey(s.cfg.Entropy)
	if text != "" {
		key, err = session.ParseKey(text)
		if err != nil || subject != "" {
			return "", &protocol.Error{Code: protocol.CodeInvalidValue, Field: "user_key", Message: "A user_key is 32 characters, for a client without a token."}
		}
	}
	if subject != "" {
		return subject, nil
	}
	c.State.(*member).rare.key = key
	return endpoint.AnonymousID(key), nil
}

// joining reads join{password, since, create{name, private, password, max_members}}. The maker of the room is not
// known yet.
func (s *Service) joining(m protocol.Message, me *member, fail failing) (*entry, error) {
	e := &entry{id: bytes.Clone(m.ID()), room: me.rare.path, enter: s.enterRoom, fail: fail}
	id, err := m.String("room_id", room.MaxID, false)
	if err == nil && id != "" && !isCalled(s.hub, e.room, id) {
		err = &protocol.Error{Code: protocol.CodeInvalidValue, Field: "room_id", Message: "The room is the one of the path."}
	}
	if err != nil {
		return nil, err
	}
	if e.password, err = m.String("password", maxPassword, false); err != nil {
		return nil, err
	}
	if e.since, err = position(m, "since"); err != nil {
		return nil, err
	}
	return e, s.creation(e, m)
}

// isCalled reports whether a name is that of the room in a path.
func isCalled(hub *room.Hub, path, name string) bool {
	r := endpoint.FindRoom(hub, path)
	return name == path || r != nil && endpoint.Called(r, name)
}

// join handles a join after the first one.
func (s *Service) join(conn perch.Conn, c *endpoint.Client, me *member, m protocol.Message) error {
	e, err := s.joining(m, me, fail)
	if err != nil {
		return err
	}
	e.ownedBy(conn.User())
	return s.find(conn, c, me, e)
}

// creation reads create.
func (s *Service) creation(e *entry, m protocol.Message) error {
	c, ok, err := m.Object("create")
	if err != nil || !ok {
		return err
	}
	e.create = s.made()
	if e.create.Name, err = c.String("name", room.MaxID, false); err != nil {
		return err
	}
	if e.create.Name != "" && room.CheckID(e.create.Name) != nil {
		return &protocol.Error{Code: protocol.CodeInvalidValue, Field: "name"}
	}
	if e.create.Private, err = c.Bool("private", false); err != nil {
		return err
	}
	if e.creation, err = c.String("password", maxPassword, false); err != nil {
		return err
	}
	most, ok, err := c.Uint64("max_members")
	if err != nil {
		return err
	}
	if ok {
		if most == 0 || most > uint64(s.cfg.MaxMembers) {
			return &protocol.Error{Code: protocol.CodeInvalidValue, Field: "max_members"}
		}
		e.create.MaxMembers = int(most)
	}
	return nil
}

// enterRoom joins the room and sends the client room_joined.
func (s *Service) enterRoom(conn perch.Conn, c *endpoint.Client, r *room.Room, e *entry, key room.Key) error {
	o := room.JoinOptions{Key: key, Since: e.since}
	return e.join(conn, c, r, o, func(conn perch.Conn, c *endpoint.Client, j room.Joined) { s.enteredRoom(conn, c, r, e, j) })
}

// enteredRoom continues with a client that has joined.
func (s *Service) enteredRoom(conn perch.Conn, c *endpoint.Client, r *room.Room, e *entry, j room.Joined) {
	c.State.(*member).room = r
	o := protocol.NewObject(nil, protocol.TypeRoomJoined).ID(e.id).String("room_id", r.ID()).
		String("message", s.cfg.Locale.text(eventWelcome, "", r.Options().Name)).Int("member_count", int64(j.Count)).
		String("user_id", conn.User().ID()).String("username", conn.User().Name()).
		Time("timestamp", s.now()).String("epoch", j.Epoch).Uint("offset", j.Offset).Bool("recovered", j.Recovered)
	if key := c.State.(*member).rare.key; e.created && key != (session.Key{}) {
		o = o.String("user_key", key.Text()) // with it the owner can come back
	}
	send(conn, e.tell(o))
	replay(conn, &j)
}

// roomMessage handles all messages but the first.
func (s *Service) roomMessage(conn perch.Conn, c *endpoint.Client, typ string, m protocol.Message) error {
	me := c.State.(*member)
	switch typ {
	case protocol.TypeChatMessage:
		return s.post(conn, c, me, m, "message")
	case protocol.TypePing:
		return pong(conn, m, s.now())
	case protocol.TypeList:
		return s.listRooms(conn, c, me, m)
	case protocol.TypeJoin:
		if _, err := me.in(); err == nil {
			return &protocol.Error{Code: protocol.CodeAlreadyJoined}
		}
		return s.join(conn, c, me, m)
	case protocol.TypeRoomInfo, protocol.TypeLeave, protocol.TypeDelete:
		r, err := me.named(m)
		if err != nil {
			return err
		}
		return s.manage(conn, me, r, typ, m)
	}
	return endpoint.Unknown(typ)
}

// manage handles messages that need a room.
func (s *Service) manage(conn perch.Conn, me *member, r *room.Room, typ string, m protocol.Message) error {
	switch typ {
	case protocol.TypeRoomInfo:
		send(conn, info(r, m.ID(), s.now()))
	case protocol.TypeLeave:
		s.exit(conn, me, m.ID())
	case protocol.TypeDelete:
		return s.delete(conn, me, r, m.ID())
	}
	return nil
}

// delete deletes a room for its owner.
func (s *Service) delete(conn perch.Conn, me *member, r *room.Room, id []byte) error {
	if r.Options().Owner != conn.User().ID() {
		return &protocol.Error{Code: protocol.CodeNotOwner}
	}
	if err := s.hub.Delete(r, "deleted by its owner"); err != nil {
		return endpoint.RoomError(err)
	}
	me.room = nil
	send(conn, protocol.NewObject(nil, protocol.TypeRoomDeleted).ID(id).String("room_id", r.ID()).Time("timestamp", s.now()))
	return nil
}

// info makes room_info: all that members may know about their room, without the password.
func info(r *room.Room, id []byte, now time.Time) protocol.Object {
	o, at := r.Options(), r.Position()
	b := protocol.NewObject(nil, protocol.TypeRoomInfo).ID(id).String("room_id", r.ID()).
		Int("member_count", int64(r.Count())).Open("metadata").String("name", o.Name).String("owner", o.Owner).
		Bool("private", o.Private).Bool("password", o.Password.IsSet())
	if o.MaxMembers > 0 {
		b = b.Int("max_members", int64(o.MaxMembers))
	}
	return b.Time("created_at", r.Created()).Close().Int("queue_size", int64(r.Queue())).
		String("epoch", at.Epoch).Uint("offset", at.Offset).Time("timestamp", now)
}
