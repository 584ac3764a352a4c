package chat

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/endpoint"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/room"
)

// listing is the list of rooms at one moment. Immutable. If there are many rooms one listing is kept for a while, so
// that not every client that connects looks at all of them. If there are very many, no event loop looks at all of
// them: a goroutine does, and clients get the last list meanwhile.
type listing struct {
	at    int64 // by the monotonic clock
	rooms []listed
	json  json.RawMessage // available_rooms
}

// listed is one room of the list.
type listed struct {
	id   string
	json []byte
}

const (
	listingAge  = time.Second
	lookAtOnce  = 1000 // rooms that a loop may look at
	listingRest = 20   // looking at more rooms takes at most one part in so many of a processor's time
)

// list returns the list of public rooms, at most a second old if they are many. Any goroutine may call it.
func (s *Service) list() *listing {
	now := s.cfg.Clock.Now()
	l := s.listing.Load()
	if s.hub.Len() > lookAtOnce {
		return s.listMany(l, now)
	}
	if l == nil {
		return s.look(now, lookAtOnce)
	}
	if now-l.at < int64(listingAge) || !s.looking.CompareAndSwap(false, true) { // another loop makes the list now
		return l
	}
	defer s.looking.Store(false)
	return s.look(now, lookAtOnce)
}

// listMany is list for very many rooms: it returns l, or, if there is none yet, a list of some of them.
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

// look makes a list of at most so many rooms: the server's own first, then the most active.
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
	l := first.listing(now)
	if all > maxListed {
		s.listing.Store(l)
	} else {
		s.listing.Store(nil)
	}
	return l
}

// ranked is a room, with the facts that decide its place in the list.
type ranked struct {
	room  *room.Room
	own   int   // the server's own rooms come first, in their order
	busy  int   // then rooms with members
	since int64 // then those with the latest messages
}

func (a ranked) compare(b ranked) int {
	return cmp.Or(cmp.Compare(b.own, a.own), cmp.Compare(b.busy, a.busy), cmp.Compare(b.since, a.since), cmp.Compare(a.room.ID(), b.room.ID()))
}

// busiest keeps the first of the rooms that it gets, in order.
type busiest struct {
	ranks []ranked
	most  int
}

// closed reports whether a room whose latest message is of that time has no place. That alone excludes most of many
// rooms.
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

// listing makes the list of the rooms that were kept.
func (b *busiest) listing(now int64) *listing {
	l := &listing{at: now, json: []byte{'['}}
	for i, r := range b.ranks {
		if i > 0 {
			l.json = append(l.json, ',')
		}
		from := len(l.json)
		l.json = appendRoom(l.json, r.room)
		l.rooms = append(l.rooms, listed{r.room.ID(), bytes.Clone(l.json[from:])})
	}
	l.json = append(l.json, ']')
	return l
}

// listRooms sends the list, and the client's own room if it is private.
func (s *Service) listRooms(conn perch.Conn, c *endpoint.Client, me *member, m protocol.Message) error {
	send(conn, protocol.NewObject(nil, protocol.TypeRoomList).ID(m.ID()).Raw("rooms", me.withOwn(listFor(s, c).json)).Time("timestamp", s.now()))
	return nil
}

// withOwn returns the list, with the client's own room in it if that is private.
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

// appendRoom appends one room of the list.
func appendRoom(dst []byte, r *room.Room) []byte {
	o := r.Options()
	return protocol.NewObject(dst, "").String("room_id", r.ID()).String("room_name", o.Name).
		Int("user_count", int64(r.Count())).Bool("private", o.Private).Bool("password", o.Password.IsSet()).
		Uint("offset", r.Position().Offset).End()
}
