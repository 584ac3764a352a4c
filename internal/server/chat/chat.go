package chat

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/server/endpoint"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/room"
)

// recent is how many of the latest messages a client gets when it joins.
const recent = 50

// chat is the endpoint /ws/chat.
func (s *Service) chat() endpoint.Endpoint {
	return endpoint.Endpoint{
		Name:      "/ws/chat",
		Settings:  perch.Settings{Subprotocols: []string{endpoint.Subprotocol, "chat.v1"}},
		Heartbeat: true,
		Open:      func(_ perch.Conn, c *endpoint.Client, _ *perch.Request) { c.State = new(member) },
		First:     s.register,
		Message:   s.message,
		Refreshed: s.refreshed,
		Close:     s.depart,
	}
}

// register handles the first frame: {username, token, resume}.
func (s *Service) register(conn perch.Conn, c *endpoint.Client, m protocol.Message) error {
	if m.Raw("type") != nil { // the type would be ignored
		return &protocol.Error{Code: protocol.CodeBadRequest, Message: "the first message says who you are, and has no type"}
	}
	name, err := m.String("username", maxUsername, false)
	if err != nil {
		return err
	}
	if name != "" {
		if _, _, err := clean(name); err != nil {
			return err
		}
	}
	if err := reserved(c.Identity()); err != nil {
		return err
	}
	a := arrival{s: s, name: name}
	key, err := a.read(m)
	if err != nil {
		return err
	}
	if key == "" {
		return a.begin(conn, c, m.ID())
	}
	return endpoint.Take(conn, c, m.ID(), key, a, arrival.taken)
}

// greeting makes init.
func (s *Service) greeting(c *endpoint.Client, id json.RawMessage, u *room.User, resumed bool) protocol.Object {
	o := protocol.NewObject(nil, protocol.TypeInit).ID(id).String("user_id", u.ID()).String("username", u.Name()).
		String("session", c.Session().Text()).Bool("resumed", resumed).Raw("available_rooms", listFor(s, c).json).
		OpenList("online_users")
	online := onlineFor(s, c, u, func(id, name string) {
		o = o.OpenItem().String("id", id).String("username", name).Close()
	})
	return o.CloseList().Int("online_count", int64(online)).
		Int("heartbeat_interval", int64(s.cfg.Heartbeat/time.Second)).Time("timestamp", s.now())
}

// enter joins the room, leaves the one before, and sends the client room_joined.
func (s *Service) enter(conn perch.Conn, c *endpoint.Client, r *room.Room, e *entry, key room.Key) error {
	o := room.JoinOptions{Key: key, Since: e.since, Recent: recent}
	return e.join(conn, c, r, o, func(conn perch.Conn, c *endpoint.Client, j room.Joined) { s.entered(conn, c, r, e, j) })
}

// entered continues with a client that has joined.
func (s *Service) entered(conn perch.Conn, c *endpoint.Client, r *room.Room, e *entry, j room.Joined) {
	m := c.State.(*member)
	if _, err := m.in(); err == nil {
		s.exit(conn, m, nil)
	}
	m.room = r
	k := kept{name: conn.User().Name(), room: r.ID()}
	if r.Options().Password.IsSet() {
		k.epoch = j.Epoch
	}
	if err := c.Keep(conn, k.state()); err != nil {
		c.Fail(conn, nil, err)
	}
	o := protocol.NewObject(nil, protocol.TypeRoomJoined).ID(e.id).String("room_id", r.ID()).
		String("room_name", r.Options().Name).Int("user_count", int64(j.Count)).
		Raw("recent_messages", messages(j.Recent)).String("epoch", j.Epoch).Uint("offset", j.Offset).Bool("recovered", j.Recovered)
	if owner := r.Options().Owner; owner != "" {
		o = o.String("owner", owner)
	}
	send(conn, e.tell(o))
	replay(conn, &j)
	var buf [512]byte
	_ = conn.Send(perch.Text, s.system(buf[:0], r.ID(), r.Options().Name, eventWelcome, nil, j.Count, s.now()))
}

// messages makes a list of a room's messages from their frames.
func messages(frames []*frame.Prepared) json.RawMessage {
	n := 2
	for _, f := range frames {
		n += len(f.Bytes())
	}
	b := append(make([]byte, 0, n), '[')
	for i, f := range frames {
		if i > 0 {
			b = append(b, ',')
		}
		b = splice(b, f.Payload())
	}
	return append(b, ']')
}

// exit leaves the client's room.
func (s *Service) exit(conn perch.Conn, m *member, id []byte) {
	r := m.room
	m.room = nil
	_, _ = conn.Leave(r) // if the room was deleted the client is out of it already
	send(conn, protocol.NewObject(nil, protocol.TypeRoomLeft).ID(id).String("room_id", r.ID()).Time("timestamp", s.now()))
}

// message handles all messages but the first.
func (s *Service) message(conn perch.Conn, c *endpoint.Client, typ string, m protocol.Message) error {
	me := c.State.(*member)
	switch typ {
	case protocol.TypeChatMessage:
		return s.post(conn, c, me, m, "content")
	case protocol.TypeTyping:
		return s.setTyping(conn, me, m)
	case protocol.TypeJoinRoom:
		return s.joinRoom(conn, c, me, m)
	case protocol.TypeLeaveRoom:
		return s.leaveRoom(conn, c, me, m)
	case protocol.TypeDeleteRoom:
		return s.deleteRoom(conn, c, me, m)
	case protocol.TypeHistory:
		return s.history(conn, me, m)
	case protocol.TypeListUsers:
		return s.listUsers(conn, me, m)
	case protocol.TypeListRooms:
		return s.watchRooms(conn, c, me, m)
	case protocol.TypePing:
		return pong(conn, m, s.now())
	}
	return endpoint.Unknown(typ)
}

// in returns the room that the client is in; an error if there is none.
func (m *member) in() (*room.Room, error) {
	if m.room != nil && m.room.Closed() {
		m.room = nil
	}
	if m.room == nil {
		return nil, &protocol.Error{Code: protocol.CodeNoRoom}
	}
	return m.room, nil
}

// named returns the room that a message names, by default the client's. It must be the client's room.
func (m *member) named(msg protocol.Message) (*room.Room, error) {
	r, err := m.in()
	if err != nil {
		return nil, err
	}
	id, err := msg.String("room_id", room.MaxID, false)
	if err == nil && id != "" && !endpoint.Called(r, id) {
		err = &protocol.Error{Code: protocol.CodeNoRoom, Field: "room_id"}
	}
	return r, err
}

// fail tells the client about an error.
func fail(conn perch.Conn, c *endpoint.Client, id []byte, err error) { c.Fail(conn, id, err) }

func (s *Service) joinRoom(conn perch.Conn, c *endpoint.Client, me *member, m protocol.Message) error {
	e := &entry{id: bytes.Clone(m.ID()), enter: s.enter, fail: fail}
	var err error
	if e.room, err = m.String("room_id", room.MaxID, true); err != nil {
		return err
	}
	if e.password, err = m.String("password", maxPassword, false); err != nil {
		return err
	}
	if e.since, err = position(m, "since"); err != nil {
		return err
	}
	create, err := m.Bool("create", true)
	if err != nil {
		return err
	}
	if create { // with the password that was given for it
		e.create, e.creation = s.made(), e.password
		e.ownedBy(conn.User())
	}
	return s.find(conn, c, me, e)
}

func (s *Service) leaveRoom(conn perch.Conn, c *endpoint.Client, me *member, m protocol.Message) error {
	if _, err := me.named(m); err != nil {
		return err
	}
	s.exit(conn, me, m.ID())
	return c.Keep(conn, (&kept{name: conn.User().Name()}).state())
}

// deleteRoom deletes the room that the client is in, if the client owns it.
func (s *Service) deleteRoom(conn perch.Conn, c *endpoint.Client, me *member, m protocol.Message) error {
	r, err := me.named(m)
	if err != nil {
		return err
	}
	if err := s.delete(conn, me, r, m.ID()); err != nil {
		return err
	}
	return c.Keep(conn, (&kept{name: conn.User().Name()}).state())
}

// maxUsers bounds user_list.
const maxUsers = 1000

func (s *Service) listUsers(conn perch.Conn, me *member, m protocol.Message) error {
	r, err := me.named(m)
	if err != nil {
		return err
	}
	o := protocol.NewObject(nil, protocol.TypeUserList).ID(m.ID()).String("room_id", r.ID()).OpenList("users")
	n := r.Users(maxUsers, func(u *room.User, since time.Time) {
		o = o.OpenItem().String("id", u.ID()).String("username", u.Name()).String("current_room", r.ID()).
			Time("joined_at", since).Close()
	})
	send(conn, o.CloseList().Int("user_count", int64(max(n, r.Count()))))
	return nil
}

// pong answers a ping, with its timestamp unchanged.
func pong(conn perch.Conn, m protocol.Message, now time.Time) error {
	stamp, err := m.Scalar("timestamp")
	if err != nil {
		return err
	}
	send(conn, protocol.NewObject(nil, protocol.TypePong).ID(m.ID()).Time("timestamp", now).Raw("original_timestamp", stamp))
	return nil
}
