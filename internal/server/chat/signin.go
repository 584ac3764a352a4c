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
)

// member is the State of a client.
type member struct {
	room   *room.Room // the one it is in, or was deleted; nil: none
	typing typing
	rare   *rare // nil: there is none of that
}

// rare is what few clients have, or do.
type rare struct {
	path                string // the room in the path of /ws/room
	creations, attempts protocol.Budget
	owed                atomic.Int32 // acknowledgements
}

func (m *member) rarely() *rare {
	if m.rare == nil {
		m.rare = new(rare)
	}
	return m.rare
}

// kept is what a session's State holds.
type kept struct {
	name, room string
	epoch      string // of a room with a password, which was shown: one that was made anew is another
}

// state joins what holds no line ends: names and rooms are printable.
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

// reserved refuses tokens for who would be taken for somebody else: the server, or a user without a token.
func reserved(id auth.Identity) error {
	if strings.HasPrefix(id.Subject, anonymous) || likeSystem(label.Looks(id.Subject)) {
		return &protocol.Error{Code: protocol.CodeNameInvalid, Message: "No user may have the id of this token."}
	}
	return nil
}

// signIn makes the connection one of a user, which is called name, or something like it, and goes on with then.
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

// depart is Endpoint.Close: the users who stay are told.
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

// refreshed is Endpoint.Refreshed: a new token may be for fewer rooms.
func (s *Service) refreshed(conn perch.Conn, c *endpoint.Client) {
	me := c.State.(*member)
	if r, err := me.in(); err != nil || c.Identity().MayJoin(r.ID()) {
		return
	}
	s.exit(conn, me, nil)
	c.Fail(conn, nil, &protocol.Error{Code: protocol.CodeForbiddenRoom})
}
