package chat

import (
	"encoding/json"
	"errors"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/endpoint"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/room"
)

// returned is what somebody had before.
type returned struct {
	kept
	since map[string]*room.Position // what it says it has seen
}

// resume takes up the session that the first frame names. Without one, or if it is no more, the client is
// somebody new: init says so.
func (s *Service) resume(conn perch.Conn, c *endpoint.Client, m protocol.Message) (back returned, ok bool, err error) {
	o, ok, err := m.Object("resume")
	if err != nil || !ok {
		return back, false, err
	}
	key, err := o.String("session", protocol.MaxScalar, true)
	if err != nil {
		return back, false, err
	}
	rooms, _, err := o.Object("rooms")
	if err != nil {
		return back, false, err
	}
	back.since = make(map[string]*room.Position)
	err = rooms.Each(func(id string, raw json.RawMessage) error {
		p, err := protocol.Parse(raw)
		if err != nil {
			return &protocol.Error{Code: protocol.CodeWrongType, Field: "resume"}
		}
		back.since[id], err = positionOf(p)
		return err
	})
	if err != nil {
		return back, false, err
	}
	held, err := c.Take(conn, key)
	var gone *protocol.Error
	switch {
	case errors.As(err, &gone) && gone.Code == protocol.CodeSessionNotFound:
		return returned{}, false, nil
	case err != nil:
		return back, false, err
	}
	back.kept = parseKept(held.State)
	return back, true, nil
}
