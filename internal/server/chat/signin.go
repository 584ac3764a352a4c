package chat

import (
	"strings"
	"sync/atomic"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/label"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/endpoint"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/room"
	"github.com/perchws/perch/session"
)

// member is the State of a client.
type member struct {
	room   *room.Room // the room that it is in, even if that was deleted; nil: none
	typing typing
	rare   *rare // nil: there is none of that
}

// rare has the fields that few clients need.
type rare struct {
	path                string // the room in the path of /ws/room
	creations, attempts protocol.Budget
	owed                atomic.Int32 // acknowledgements not yet given
	watching            *watch       // nil: nothing
	key                 session.Key  // of a user of /ws/room without a token
}

func (m *member) rarely() *rare {
	if m.rare == nil {
		m.rare = new(rare)
	}
	return m.rare
}

// kept is the content of a session's State.
type kept struct {
	name, room string
	epoch      string // of a room whose password the client has shown: a room that was made again has another epoch
}

// state joins the fields with line ends: names and rooms are printable, so they contain none.
func (k *kept) state() []byte {
	b := append(append([]byte(k.name), '\n'), k.room...)
	if k.epoch != "" {
		b = append(append(b, '\n'), k.epoch...)
	}
	return b
}

func parseKept(state string) (k kept) {
	for i, part := range strings.SplitN(state, "\n", 3) {
		*[]*string{&k.name, &k.room, &k.epoch}[i] = part
	}
	return k
}

// reserved refuses tokens whose subject could be mistaken for the server, or for a user without a token.
func reserved(id auth.Identity) error {
	if strings.HasPrefix(id.Subject, endpoint.Anonymous) || likeSystem(label.Looks(id.Subject)) {
		return &protocol.Error{Code: protocol.CodeNameInvalid, Message: "No user may have the id of this token."}
	}
	return nil
}

// signIn makes the connection one of a user, with that name or a similar one, and continues with then.
func (s *Service) signIn(conn perch.Conn, c *endpoint.Client, id, name string, d room.Dialect,
	then func(conn perch.Conn, c *endpoint.Client, u *room.User, first bool, err error) error,
) error {
	if name == "" {
		name = s.newName()
	}
	return endpoint.Await(conn, c, endpoint.Wait[string]{
		Start: func(_ perch.Conn, answer func(string, error)) { s.names.reserve(name, id, answer) },
		Undo: func(as string, err error) {
			if err == nil {
				s.names.release(as)
			}
		},
		Then: func(conn perch.Conn, c *endpoint.Client, as string, err error) error {
			if err != nil {
				return then(conn, c, nil, false, err)
			}
			u, first, err := conn.SignIn(room.Identity{ID: id, Name: as, Dialect: d})
			if err != nil || !first {
				s.names.release(as)
			}
			return then(conn, c, u, first, err)
		},
	})
}

// depart is Endpoint.Close: it tells the other users.
func (s *Service) depart(conn perch.Conn, _ *endpoint.Client, _ *perch.CloseError) {
	u := conn.User()
	if u == nil {
		return
	}
	last := conn.SignOut()
	if last {
		s.setGoing(u, true)
		defer s.setGoing(u, false)
	}
	conn.Rooms(func(r *room.Room) {
		out, err := conn.Leave(r)
		if err == nil && out && last && r.Count() <= s.each {
			r.Send(s.status(u, "offline"), room.ClassPresence)
		}
	})
}

// refreshed is Endpoint.Refreshed: a new token may allow fewer rooms.
func (s *Service) refreshed(conn perch.Conn, c *endpoint.Client) {
	me := c.State.(*member)
	s.watches.again(conn, c, me)
	if r, err := me.in(); err != nil || c.Identity().MayJoin(r.ID()) {
		return
	}
	s.exit(conn, me, nil)
	c.Fail(conn, nil, &protocol.Error{Code: protocol.CodeForbiddenRoom})
}
