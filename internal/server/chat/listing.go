package chat

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/room"
)

// listing is the list of rooms, as it was at a time. One is kept where there are so many rooms that not every
// client that connects should look at all of them. Immutable. Where there are very many, no event loop looks at
// all of them: a goroutine does, and clients get the list of before.
type listing struct {
	at    int64 // by the monotonic clock
	rooms []listed
	json  json.RawMessage // available_rooms
}

// listed is one of the list.
type listed struct {
	id   string
	json []byte
}

const (
	listingAge  = time.Second
	lookAtOnce  = 1000 // rooms, as many as a loop may look at
	listingRest = 20   // looking at more takes at most one part in so many of a processor's time
)

// list is of the rooms that everybody may know of, up to a second old if they are many. Any goroutine.
func (s *Service) list() *listing {
	now := s.cfg.Clock.Now()
	l := s.listing.Load()
	if s.hub.Len() > lookAtOnce {
		return s.listMany(l, now)
	}
	if l == nil {
		return s.look(now, lookAtOnce)
	}
	if now-l.at < int64(listingAge) || !s.looking.CompareAndSwap(false, true) { // another loop is about it
		return l
	}
	defer s.looking.Store(false)
	return s.look(now, lookAtOnce)
}

// listMany is list where there are very many rooms: l, or for now a list of some of them, if there is none.
func (s *Service) listMany(l *listing, now int64) *listing {
	if l == nil {
		l = s.look(now, lookAtOnce)
	}
	if now >= s.nextLook.Load() && s.looking.CompareAndSwap(false, true) {
		s.realm.After(0, s.lookApart)
	}
	return l
}

// lookApart makes a list of very many rooms, on a goroutine.
func (s *Service) lookApart() {
	defer s.looking.Store(false)
	now := s.cfg.Clock.Now()
	s.look(now, math.MaxInt)
	took := s.cfg.Clock.Now() - now
	s.nextLook.Store(now + max(int64(listingAge), listingRest*took))
}

// look makes a list of the first of so many rooms: the server's own, then those that are most active.
func (s *Service) look(now int64, most int) *listing {
	all := 0
	first := &busiest{most: maxListed}
	for i, r := range s.own {
		if !r.Closed() && !r.Options().Private {
			first.offer(ranked{room: r, own: len(s.own) - i})
		}
	}
	for r := range s.hub.All() {
		if all++; all > most {
			break
		}
		since := r.Active().UnixNano()
		if first.closed(since) || s.isOwn[r] || r.Options().Private {
			continue
		}
		first.offer(ranked{room: r, busy: min(r.Count(), 1), since: since})
	}
	l := &listing{at: now, json: []byte{'['}}
	for i, r := range first.ranks {
		if i > 0 {
			l.json = append(l.json, ',')
		}
		from := len(l.json)
		l.json = appendRoom(l.json, r.room)
		l.rooms = append(l.rooms, listed{r.room.ID(), bytes.Clone(l.json[from:])})
	}
	l.json = append(l.json, ']')
	if all > maxListed {
		s.listing.Store(l)
	} else {
		s.listing.Store(nil)
	}
	return l
}

// ranked is a room with what its place in the list follows from.
type ranked struct {
	room  *room.Room
	own   int   // the server's own come first, in their order
	busy  int   // then those with members
	since int64 // then those with the latest messages
}

func (a ranked) compare(b ranked) int {
	return cmp.Or(cmp.Compare(b.own, a.own), cmp.Compare(b.busy, a.busy), cmp.Compare(b.since, a.since), cmp.Compare(a.room.ID(), b.room.ID()))
}

// busiest keeps the first of what it is offered, in order.
type busiest struct {
	ranks []ranked
	most  int
}

// closed reports that no room whose latest message is of that time has a place: most rooms of many are told apart by
// that alone.
func (b *busiest) closed(since int64) bool {
	n := len(b.ranks)
	if n < b.most {
		return false
	}
	last := b.ranks[n-1]
	return last.own > 0 || last.busy > 0 && since < last.since
}

func (b *busiest) offer(r ranked) {
	if n := len(b.ranks); n == b.most {
		if r.compare(b.ranks[n-1]) >= 0 {
			return
		}
		b.ranks = b.ranks[:n-1]
	}
	at, _ := slices.BinarySearchFunc(b.ranks, r, ranked.compare)
	b.ranks = slices.Insert(b.ranks, at, r)
}

// listRooms sends the list, and the client's own room if it is private.
func (s *Service) listRooms(conn perch.Conn, me *member, m protocol.Message) error {
	send(conn, protocol.NewObject(nil, protocol.TypeRoomList).ID(m.ID()).Raw("rooms", me.withOwn(s.list().json)).Time("timestamp", s.now()))
	return nil
}

// withOwn is a list with the client's own room in it, if that is private.
func (m *member) withOwn(list json.RawMessage) json.RawMessage {
	r, err := m.in()
	if err != nil || !r.Options().Private {
		return list
	}
	b := bytes.Clone(list[:len(list)-1])
	if len(b) > 1 {
		b = append(b, ',')
	}
	return append(appendRoom(b, r), ']')
}

// appendRoom is one of the list.
func appendRoom(dst []byte, r *room.Room) []byte {
	o := r.Options()
	return protocol.NewObject(dst, "").String("room_id", r.ID()).String("room_name", o.Name).
		Int("user_count", int64(r.Count())).Bool("private", o.Private).Bool("password", o.Password.IsSet()).
		Uint("offset", r.Position().Offset).End()
}
