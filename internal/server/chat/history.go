package chat

import (
	"math"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/room"
)

// The number of messages of a page of history.
const (
	pageDefault = 50
	pageMost    = 100
)

// history sends a page of the client's room: history{room_id, before or after, limit}. A page is bounded in bytes.
// The server stops reading from a client that does not read, so that bounds the copies made for it.
func (s *Service) history(conn perch.Conn, me *member, m protocol.Message) error {
	r, err := me.named(m)
	if err != nil {
		return err
	}
	before, backward, err := m.Uint64("before")
	if err != nil {
		return err
	}
	after, forward, err := m.Uint64("after")
	if err != nil {
		return err
	}
	if backward && forward {
		return &protocol.Error{Code: protocol.CodeInvalidValue, Field: "after", Message: "before and after exclude each other."}
	}
	limit, ok, err := m.Uint64("limit")
	switch {
	case err != nil:
		return err
	case !ok:
		limit = pageDefault
	case limit == 0 || limit > pageMost:
		return &protocol.Error{Code: protocol.CodeInvalidValue, Field: "limit", Message: "limit is from 1 to 100."}
	}
	var p room.Page
	switch {
	case forward:
		p = r.After(after, int(limit))
	case backward:
		p = r.Before(before, int(limit))
	default:
		p = r.Before(math.MaxUint64, int(limit))
	}
	send(conn, protocol.NewObject(nil, protocol.TypeHistory).ID(m.ID()).String("room_id", r.ID()).String("epoch", p.Epoch).
		Raw("messages", messages(p.Messages)).Bool("more", p.More))
	return nil
}
