package chat

import (
	"slices"
	"time"

	"github.com/perchws/perch/internal/server/endpoint"
	"github.com/perchws/perch/room"
)

// A token that is for some rooms lets its bearer know of these rooms alone, and of the users in them.

// listFor returns the list of rooms that a client may see.
func listFor(s *Service, c *endpoint.Client) *listing {
	if rooms := c.Identity().Rooms; rooms != nil {
		return listOf(s, roomsOf(rooms))
	}
	return s.list()
}

// roomsOf returns the rooms of a token in order, each of them once.
func roomsOf(rooms []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(rooms)))
}

// listOf returns the list of some rooms, without the private ones.
func listOf(s *Service, ids []string) *listing {
	first := &busiest{most: maxListed}
	for _, id := range ids {
		r := s.hub.Room(id)
		if r == nil || !r.Opened() || r.Closed() || r.Options().Private {
			continue
		}
		rank := ranked{room: r, busy: min(r.Count(), 1), since: r.Active().UnixNano()}
		if i := slices.Index(s.own, r); i >= 0 {
			rank = ranked{room: r, own: len(s.own) - i}
		}
		first.offer(rank)
	}
	return first.listing(s.cfg.Clock.Now())
}

// onlineFor calls each for at most maxListed users that a client may know of, which signs in as u. It returns how many
// there are. For a token with rooms those are u and the users in its public rooms without a password; if they are more
// than maxListed, the number is that of the fullest room.
func onlineFor(s *Service, c *endpoint.Client, u *room.User, each func(id, name string)) (all int) {
	rooms := c.Identity().Rooms
	if rooms == nil {
		return s.users.online(maxListed, each)
	}
	seen := map[string]bool{u.ID(): true}
	each(u.ID(), u.Name())
	for _, id := range rooms {
		r := s.hub.Room(id)
		if r == nil || !r.Opened() || r.Options().Private || r.Options().Password.IsSet() {
			continue
		}
		n := r.Users(maxListed, func(other *room.User, _ time.Time) {
			if !seen[other.ID()] && len(seen) < maxListed {
				seen[other.ID()] = true
				each(other.ID(), other.Name())
			}
		})
		all = max(all, n)
	}
	return max(all, len(seen))
}
