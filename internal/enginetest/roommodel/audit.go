//go:build linux

package roommodel

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/perchws/perch"
)

// tail is what a visitor has not got: one offset, or all from it on. It must have
// been excepted from them.
type tail struct {
	k, life string
	from    uint64
	all     bool
}

// expectSeen takes note of a message that a visitor has not got.
func (s *Stage) expectSeen(k, life string, from uint64, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tails = append(s.tails, tail{k, life, from, all})
}

// UnderWay is the making of a room or a publish that is not over yet, "" if there is none.
func (s *Stage) UnderWay() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for life, b := range s.books {
		if b.room == nil {
			return "life " + life + " is being made"
		}
		if n := b.room.Queue(); n != 0 {
			return fmt.Sprintf("life %s has %d publishes under way", life, n)
		}
	}
	return ""
}

// Difference is where the views of all connections and the server disagree about who is
// where, "" if they do not. Nothing may be under way, and no view may change meanwhile.
func (s *Stage) Difference(all []*View) string {
	s.Hub.Sweep()                              // what is told once a second
	members := make(map[string]map[string]int) // by life, users with their connections
	users := make(map[string]bool)
	for _, v := range all {
		who := v.User
		if users[who] = true; who == "" {
			delete(users, "")
			who = "nobody " + v.K
		}
		for _, life := range v.rooms() {
			if members[life] == nil {
				members[life] = make(map[string]int)
			}
			members[life][who]++
		}
	}
	stats := s.Hub.Stats()
	if stats.Users != len(users) {
		return fmt.Sprintf("%d users, of the visitors %d", stats.Users, len(users))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for life, b := range s.books {
		connections := 0
		for _, n := range members[life] {
			connections += n
		}
		if b.room.Count() != len(members[life]) || b.room.Connections() != connections {
			return fmt.Sprintf("life %s has %d members, %d connections; of the visitors %v", life, b.room.Count(), b.room.Connections(), members[life])
		}
	}
	if stats.Shed > 0 || s.Slow || s.Nobodies {
		return ""
	}
	for _, v := range all {
		for life, in := range v.in {
			if n := s.books[life].room.Count(); in.count != n {
				return fmt.Sprintf("visitor %s was told that life %s has %d members of %d", v.K, life, in.count, n)
			}
		}
	}
	return ""
}

// Complete demands that a view has seen all there is. Call it before [Stage.Check].
func (v *View) Complete() {
	lives := append(v.rooms(), "-")
	slices.Sort(lives)
	listed := strings.Split(v.lives, ",")
	slices.Sort(listed)
	if !slices.Equal(lives, listed) {
		v.Fault("its rooms are %v, the server lists %v", lives, listed)
	}
	for life, in := range v.in {
		if in.given != 0 {
			v.Fault("life %s: %d messages that were missed have not come", life, in.given)
		}
		v.stage.expectSeen(v.K, life, in.next, true)
	}
}

// Check demands that every publish is in a book, once, and that a visitor that has not got a
// message was excepted from it.
func (s *Stage) Check() {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := 0
	for life, b := range s.books {
		last := b.room.Position().Offset
		seen := !slices.Contains(b.bodies, "")
		if total += b.receipts; uint64(b.receipts) != last || uint64(len(b.bodies)) != last || !seen {
			s.Fault("life %s is at %d with %d receipts, %d messages, all seen: %v", life, last, b.receipts, len(b.bodies), seen)
		}
	}
	if n := int(s.accepted.Load()); n != total || int(s.carried.Load()) != n || s.Hub.Stats().Published != uint64(n) {
		s.Fault("%d publishes accepted, %d receipts, %d carried out, the hub counts %d", n, total, s.carried.Load(), s.Hub.Stats().Published)
	}
	for _, t := range s.tails {
		bodies := s.books[t.life].bodies
		for at := t.from; at <= uint64(len(bodies)) && (t.all || at == t.from); at++ {
			if except := strings.Fields(bodies[at-1])[3]; !strings.Contains(except, "-"+t.k+"-") {
				s.Fault("visitor %s has not got offset %d of life %s: %q", t.k, at, t.life, bodies[at-1])
			}
		}
	}
	s.tails = nil
}

// NothingLeft looks for what has stayed behind; the server has ended.
func (s *Stage) NothingLeft() {
	if st := s.Server.Stats(); st.Connections != 0 || st.QueuedBytes != 0 || st.Panics != 0 || st.Opened != st.Closed {
		s.Fault("%d connections, %d bytes, %d panics, %d opened, %d closed", st.Connections, st.QueuedBytes, st.Panics, st.Opened, st.Closed)
	}
	for life, b := range s.books {
		if r := b.room; r.Queue() != 0 || r.Count() != 0 || r.Connections() != 0 {
			s.Fault("life %s: %d under way, %d members, %d connections", life, r.Queue(), r.Count(), r.Connections())
		}
	}
	if a, b := s.accepted.Load(), s.carried.Load(); a != b {
		s.Fault("%d publishes accepted, %d carried out", a, b)
	}
	for _, r := range s.Hub.Rooms() {
		s.Hub.Delete(r, "the end")
	}
	if st := s.Hub.Stats(); st.Rooms != 0 || st.Active != 0 || st.Users != 0 || st.HistoryBytes != 0 {
		s.Fault("left in the hub: %+v", st)
	}
	for _, left := range leftInShards(s.Server) {
		s.Fault("left on a loop: %s", left)
	}
}

// Summary says in a line how much has happened.
func (s *Stage) Summary() string {
	return fmt.Sprintf("%d lives of rooms, %d messages, %d refused, %d left out", s.lives.Load(), s.accepted.Load(), s.refused.Load(), s.Hub.Stats().Shed)
}

// leftInShards is what the loops of a server that has ended still know of rooms
// and members. There is no other way to look.
func leftInShards(srv *perch.Server) (left []string) {
	loops := reflect.ValueOf(srv).Elem().FieldByName("loops")
	for i := range loops.Len() {
		shards := loops.Index(i).Elem().FieldByName("rooms").Elem()
		for _, name := range []string{"index", "joining"} {
			if n := shards.FieldByName(name).Len(); n != 0 {
				left = append(left, fmt.Sprintf("loop %d: %d in %s", i, n, name))
			}
		}
		for k, lists := 0, shards.FieldByName("lists"); k < lists.Len(); k++ {
			if !lists.Index(k).IsZero() {
				left = append(left, fmt.Sprintf("loop %d: lists[%d] is %v", i, k, lists.Index(k)))
			}
		}
		for _, name := range []string{"seats", "users"} {
			for k, pages := 0, shards.FieldByName(name).FieldByName("pages"); k < pages.Len(); k++ {
				if page := pages.Index(k); !page.IsNil() && !page.Elem().IsZero() {
					left = append(left, fmt.Sprintf("loop %d: page %d of %s is %v", i, k, name, page.Elem()))
				}
			}
		}
	}
	return left
}
