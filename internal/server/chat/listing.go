package chat

import (
	"encoding/json"
	"time"

	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/room"
)

// listing is available_rooms, as it was a moment ago: a list for everybody, however many connect.
type listing struct {
	at   time.Time
	json json.RawMessage
}

const listingAge = time.Second

// rooms are the rooms that everybody may know of: general and random, then others by id, at most maxListed.
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
	for _, r := range all {
		if r.Options().Permanent {
			add(r)
		}
	}
	for _, r := range all {
		if !r.Options().Permanent {
			add(r)
		}
	}
	l := &listing{now, append(b, ']')}
	s.listing.Store(l)
	return l.json
}

// appendRoom is one of the list.
func appendRoom(dst []byte, r *room.Room) []byte {
	o := r.Options()
	return protocol.NewObject(dst, "").String("room_id", r.ID()).String("room_name", o.Name).
		Int("user_count", int64(r.Count())).Bool("private", o.Private).Bool("password", o.Password.IsSet()).End()
}
