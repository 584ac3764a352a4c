package chat

import (
	"encoding/json"
	"errors"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/endpoint"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/room"
	"github.com/perchws/perch/session"
)

// arrival is a client of /ws/chat between its first message and its first room: the store of sessions may take its
// time. It is a value, which goes from step to step.
type arrival struct {
	s       *Service
	name    string   // that it asks for; "": any
	back    returned // what it had before
	resumed bool     // its session is the one that it had
}

// returned is what somebody had before.
type returned struct {
	kept
	since map[string]*room.Position // what it says it has seen
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

// taken is for when the session that the client names is its own. If it is no more the client is somebody new: init
// says so.
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

// begin is for somebody new.
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

// signIn makes the client one of a user, and brings it to its first room.
func (a arrival) signIn(conn perch.Conn, c *endpoint.Client, id json.RawMessage) error {
	s, user := a.s, c.Identity().Subject
	if user == "" {
		user = userOf(c.Session())
	}
	u, first, err := s.signIn(conn, user, a.back.name, dialectChat)
	if err != nil {
		return err
	}
	send(conn, s.greeting(c, id, u, a.resumed))
	s.enterFirst(conn, c, id, a.back, a.resumed)
	if r := c.State.(*member).room; first && r != nil && r.Count() <= s.each {
		r.Send(s.status(u, "online"), room.ClassPresence, conn.Member())
	}
	return nil
}
