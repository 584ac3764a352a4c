package chat

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/room"
)

// listing is available_rooms, as it was a moment ago. It is kept where there are so many rooms that not every
// client that connects should look at all of them.
type listing struct {
	at   time.Time
	json json.RawMessage
}

const listingAge = time.Second

// rooms are the rooms that everybody may know of, at most maxListed: the server's own, then the others, by id.
func (s *Service) rooms() json.RawMessage {
	now := s.now()
	if l := s.listing.Load(); l != nil && now.Sub(l.at) < listingAge && !now.Before(l.at) {
		return l.json
	}
	all := s.hub.Rooms()
	b := []byte{'['}
	n := 0
	add := func(r *room.Room) {
		if n == maxListed || r.Options().Private {
			return
		}
		if n++; n > 1 {
			b = append(b, ',')
		}
		b = appendRoom(b, r)
	}
	for _, own := range []bool{true, false} {
		for _, r := range all {
			if slices.Contains(s.own, r) == own {
				add(r)
			}
		}
	}
	b = append(b, ']')
	if len(all) > maxListed {
		s.listing.Store(&listing{now, b})
	}
	return b
}

// listRooms sends those, and the client's own room if it is private.
func (s *Service) listRooms(conn perch.Conn, me *member, m protocol.Message) error {
	list := s.rooms()
	if r, err := me.in(); err == nil && r.Options().Private { // general is before it
		list = append(appendRoom(append(bytes.Clone(list[:len(list)-1]), ','), r), ']')
	}
	send(conn, protocol.NewObject(nil, protocol.TypeRoomList).ID(m.ID()).Raw("rooms", list).Time("timestamp", s.now()))
	return nil
}

// appendRoom is one of the list.
func appendRoom(dst []byte, r *room.Room) []byte {
	o := r.Options()
	return protocol.NewObject(dst, "").String("room_id", r.ID()).String("room_name", o.Name).
		Int("user_count", int64(r.Count())).Bool("private", o.Private).Bool("password", o.Password.IsSet()).End()
}
