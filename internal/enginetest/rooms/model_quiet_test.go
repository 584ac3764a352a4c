//go:build linux

package rooms_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/wstest"
)

// quiet waits until nothing is under way, and compares what everybody has seen
// with what has been.
func (m *model) quiet() {
	for _, a := range m.actors {
		if a.visitor != nil {
			a.visitor.stop(false)
		}
	}
	m.await("nothing is under way", m.underWay)
	m.barrier() // what is sent because of what was asked is behind the first answer
	m.barrier()
	m.await("the views agree", m.difference)
	for _, c := range m.connected() {
		m.complete(c)
	}
	m.check()
}

// await waits until what is still missing is nothing.
func (m *model) await(what string, missing func() string) {
	m.t.Helper()
	for end := time.Now().Add(wstest.DefaultTimeout); ; time.Sleep(time.Millisecond) {
		why := missing()
		if why == "" {
			return
		}
		if time.Now().After(end) {
			m.Fault("gave up waiting until %s: %s", what, why)
			return
		}
	}
}

// connected are the visitors that have a connection.
func (m *model) connected() (all []*visitor) {
	for _, a := range m.actors {
		if a.visitor == nil {
			continue
		}
		select {
		case <-a.visitor.over:
		default:
			all = append(all, a.visitor)
		}
	}
	return all
}

// underWay is what is not over yet, of endings and publishes. A connection that
// has ended may have asked for something before.
func (m *model) underWay() string {
	all := m.connected()
	if n := m.Server.Stats().Connections; n != len(all) {
		return fmt.Sprintf("%d connections, %d visitors", n, len(all))
	}
	for _, c := range all {
		c.mu.Lock()
		ending := c.ending
		c.mu.Unlock()
		if ending {
			return "visitor " + c.k + " is ending"
		}
	}
	m.Stage.Mu.Lock()
	defer m.Stage.Mu.Unlock()
	for life, b := range m.Books {
		if b.Room == nil {
			return "life " + life + " is being made"
		}
		if n := b.Room.Queue(); n != 0 {
			return fmt.Sprintf("life %s has %d publishes under way", life, n)
		}
	}
	return ""
}

// barrier waits for an answer to everything.
func (m *model) barrier() {
	for _, c := range m.connected() {
		c.ask(request{verb: "rooms"})
	}
	m.await("all is answered", func() string {
		for _, c := range m.connected() {
			c.mu.Lock()
			n := len(c.asked)
			c.mu.Unlock()
			if n != 0 {
				return fmt.Sprintf("visitor %s has asked %d questions", c.k, n)
			}
		}
		return ""
	})
}

// difference is where visitors and server disagree about who is where.
func (m *model) difference() string {
	m.Hub.Sweep()                              // what is told once a second
	members := make(map[string]map[string]int) // by life, users with their connections
	users := make(map[string]bool)
	all := m.connected()
	for _, c := range all {
		who := c.user
		if users[who] = true; who == "" {
			delete(users, "")
			who = "nobody " + c.k
		}
		c.mu.Lock()
		lives := c.rooms()
		c.mu.Unlock()
		for _, life := range lives {
			if members[life] == nil {
				members[life] = make(map[string]int)
			}
			members[life][who]++
		}
	}
	stats := m.Hub.Stats()
	if stats.Users != len(users) {
		return fmt.Sprintf("%d users, of the visitors %d", stats.Users, len(users))
	}
	m.Stage.Mu.Lock()
	defer m.Stage.Mu.Unlock()
	for life, b := range m.Books {
		connections := 0
		for _, n := range members[life] {
			connections += n
		}
		if b.Room.Count() != len(members[life]) || b.Room.Connections() != connections {
			return fmt.Sprintf("life %s has %d members, %d connections; of the visitors %v", life, b.Room.Count(), b.Room.Connections(), members[life])
		}
	}
	if stats.Shed > 0 || m.slow || m.nobodies {
		return ""
	}
	for _, c := range all {
		c.mu.Lock()
		defer c.mu.Unlock()
		for life, in := range c.in {
			if n := m.Books[life].Room.Count(); in.count != n {
				return fmt.Sprintf("visitor %s was told that life %s has %d members of %d", c.k, life, in.count, n)
			}
		}
	}
	return ""
}

// complete demands that a visitor has seen all there is.
func (m *model) complete(c *visitor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	lives := append(c.rooms(), "-")
	slices.Sort(lives)
	listed := strings.Split(c.lives, ",")
	slices.Sort(listed)
	if !slices.Equal(lives, listed) {
		c.fault("its rooms are %v, the server lists %v", lives, listed)
	}
	for life, in := range c.in {
		if in.given != 0 {
			c.fault("life %s: %d messages that were missed have not come", life, in.given)
		}
		m.expectSeen(c.k, life, in.next, true)
	}
}

// check demands that every publish is in a book, once, and that who has not got a
// message was excepted from it.
func (m *model) check() {
	m.Stage.Mu.Lock()
	defer m.Stage.Mu.Unlock()
	total := 0
	for life, b := range m.Books {
		last := b.Room.Position().Offset
		if total += b.Receipts; uint64(b.Receipts) != last || uint64(len(b.Bodies)) != last || slices.Contains(b.Bodies, "") {
			m.Fault("life %s is at %d with %d receipts, %d messages, all seen: %v", life, last, b.Receipts, len(b.Bodies), !slices.Contains(b.Bodies, ""))
		}
	}
	if n := int(m.Accepted.Load()); n != total || int(m.Carried.Load()) != n || m.Hub.Stats().Published != uint64(n) {
		m.Fault("%d publishes accepted, %d receipts, %d carried out, the hub counts %d", n, total, m.Carried.Load(), m.Hub.Stats().Published)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.tails {
		bodies := m.Books[t.life].Bodies
		for at := t.from; at <= uint64(len(bodies)) && (t.all || at == t.from); at++ {
			if except := strings.Fields(bodies[at-1])[3]; !strings.Contains(except, "-"+t.k+"-") {
				m.Fault("visitor %s has not got offset %d of life %s: %q", t.k, at, t.life, bodies[at-1])
			}
		}
	}
	m.tails = nil
}

// nothingLeft looks for what has stayed behind; the server has ended.
func (m *model) nothingLeft() {
	if s := m.Server.Stats(); s.Connections != 0 || s.QueuedBytes != 0 || s.Panics != 0 || s.Opened != s.Closed {
		m.Fault("%d connections, %d bytes, %d panics, %d opened, %d closed", s.Connections, s.QueuedBytes, s.Panics, s.Opened, s.Closed)
	}
	for life, b := range m.Books {
		if r := b.Room; r.Queue() != 0 || r.Count() != 0 || r.Connections() != 0 {
			m.Fault("life %s: %d under way, %d members, %d connections", life, r.Queue(), r.Count(), r.Connections())
		}
	}
	if a, b := m.Accepted.Load(), m.Carried.Load(); a != b {
		m.Fault("%d publishes accepted, %d carried out", a, b)
	}
	for _, r := range m.Hub.Rooms() {
		m.Hub.Delete(r, "the end")
	}
	if s := m.Hub.Stats(); s.Rooms != 0 || s.Active != 0 || s.Users != 0 || s.HistoryBytes != 0 {
		m.Fault("left in the hub: %+v", s)
	}
	for _, what := range leftInShards(m.Server) {
		m.Fault("left on a loop: %s", what)
	}
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
