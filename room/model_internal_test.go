package room

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// model is what rooms on several loops must do, said as simply as can be: who is
// in which, and what is in the mailboxes.
type model struct {
	*world
	rng   *rand.Rand
	rooms []*modelRoom
	conns []*modelConn
	mail  [][]modelPost // by loop
	made  int
}

type modelRoom struct {
	*Room
	deleted bool
	log     []string // what was published
	members []*membership
}

// membership is from one join to the leave.
type membership struct {
	c    *modelConn
	r    *modelRoom
	over bool
}

type modelConn struct {
	*conn
	user    string
	dialect Dialect
	in      []*membership
}

// modelPost is a post: a message for those members, or the end of them, or a join.
type modelPost struct {
	message string
	to      []*membership
	end     bool
}

// here are the members on a loop.
func (r *modelRoom) here(loop int) (all []*membership) {
	for _, m := range r.members {
		if int(m.c.Loop) == loop {
			all = append(all, m)
		}
	}
	return all
}

// post puts a message, or the end, into the mailboxes of loops with members.
func (m *model) post(r *modelRoom, message string, end bool, except *modelConn) {
	for i := range m.mail {
		if to := r.here(i); len(to) > 0 {
			to = slices.DeleteFunc(to, func(s *membership) bool { return s.c == except })
			m.mail[i] = append(m.mail[i], modelPost{message, to, end})
		}
	}
}

func (m *model) join(c *modelConn, r *modelRoom) {
	m.t.Helper()
	since := m.rng.IntN(len(r.log) + 2)
	j, err := c.tryJoin(r.Room, JoinOptions{Since: &Position{r.Position().Epoch, uint64(since)}, Recent: 2})
	if slices.ContainsFunc(c.in, func(s *membership) bool { return s.r == r }) {
		m.is(err, ErrJoined, "Join twice")
		return
	}
	if len(c.in) == m.cfg.MaxRoomsPerMember {
		m.is(err, ErrTooManyRooms, "Join of many")
		return
	}
	if r.deleted {
		m.is(err, ErrNotFound, "Join of a deleted room")
		return
	}
	m.is(err, nil, "Join")
	var missed, recent []string
	recovered := since <= len(r.log) && len(r.log)-since <= m.cfg.MaxRecovery
	if recovered {
		for _, s := range r.log[since:] {
			missed = append(missed, strings.Repeat("~", int(c.dialect))+s)
		}
	} else {
		recent = r.log[max(0, len(r.log)-2):]
	}
	if j.Recovered != recovered || !slices.Equal(payloads(j.Missed), missed) || !slices.Equal(payloads(j.Recent), recent) || int(j.Offset) != len(r.log) {
		m.t.Fatalf("join since %d of %d: %t %q %q, want %t %q %q", since, len(r.log), j.Recovered, payloads(j.Missed), payloads(j.Recent), recovered, missed, recent)
	}
	s := &membership{c: c, r: r}
	r.members = append(r.members, s)
	c.in = append(c.in, s)
	m.mail[c.Loop] = append(m.mail[c.Loop], modelPost{})
}

// end takes a membership out of all lists.
func (m *model) end(s *membership) {
	s.over = true
	s.r.members = slices.DeleteFunc(s.r.members, func(o *membership) bool { return o == s })
	s.c.in = slices.DeleteFunc(s.c.in, func(o *membership) bool { return o == s })
}

func (m *model) leave(c *modelConn, r *modelRoom) {
	m.t.Helper()
	_, err := c.l.shards.Leave(c.Slot, r.Room)
	i := slices.IndexFunc(c.in, func(s *membership) bool { return s.r == r })
	if i < 0 {
		m.is(err, ErrNotIn, "Leave")
		return
	}
	m.is(err, nil, "Leave")
	m.end(c.in[i])
}

func (m *model) close(c *modelConn) {
	c.close()
	for len(c.in) > 0 {
		m.end(c.in[0])
	}
	m.conns = slices.DeleteFunc(m.conns, func(o *modelConn) bool { return o == c })
}

func (m *model) connect() {
	c := &modelConn{conn: m.world.connect(m.rng.IntN(len(m.mail)))}
	if m.rng.IntN(3) > 0 {
		c.user, c.dialect = fmt.Sprint("u", m.rng.IntN(4)), Dialect(m.rng.IntN(Dialects))
		c.signIn(c.user, c.dialect)
	}
	m.conns = append(m.conns, c)
}

func (m *model) publish(r *modelRoom) {
	m.t.Helper()
	m.made++
	message := fmt.Sprintf("%d#%d", m.made, len(r.log)+1)
	var except []Member
	var not *modelConn
	if m.rng.IntN(3) == 0 {
		not = m.conns[m.rng.IntN(len(m.conns))]
		except = append(except, not.Member)
	}
	got, err := m.tryPublish(r.Room, Message{Payload: fmt.Append(nil, m.made), Except: except})
	if r.deleted {
		m.is(err, ErrNotFound, "Publish to a deleted room")
		return
	}
	r.log = append(r.log, message)
	if m.is(err, nil, "Publish"); int(got.Offset) != len(r.log) || got.Members != r.count() {
		m.t.Fatalf("receipt %+v, want offset %d and %d members", got, len(r.log), r.count())
	}
	m.post(r, message, false, not)
}

// count is what Room.Count must be: users, and connections without one.
func (r *modelRoom) count() (n int) {
	users := make(map[string]bool)
	for _, s := range r.members {
		if s.c.user == "" {
			n++
		}
		users[s.c.user] = true
	}
	delete(users, "")
	return n + len(users)
}

// step lets one post of a loop through. Who gets the message may do anything
// meanwhile.
func (m *model) step(loop int) {
	m.t.Helper()
	l := m.loops[loop]
	if len(l.posts) != len(m.mail[loop]) {
		m.t.Fatalf("loop %d has %d posts waiting, want %d", loop, len(l.posts), len(m.mail[loop]))
	}
	if len(l.posts) == 0 {
		return
	}
	p := m.mail[loop][0]
	m.mail[loop] = m.mail[loop][1:]
	slices.SortFunc(p.to, func(a, b *membership) int {
		return cmp.Or(cmp.Compare(a.c.dialect, b.c.dialect), cmp.Compare(a.c.Slot, b.c.Slot))
	})
	next := func() (s *membership) {
		for len(p.to) > 0 && s == nil {
			if !p.to[0].over {
				s = p.to[0]
			}
			p.to = p.to[1:]
		}
		return s
	}
	l.walking = func(_ *Delivery, c *conn) {
		s := next()
		if s == nil || s.c.conn != c {
			m.t.Fatalf("%q went to %v, who is not next", p.message, c.Member)
		}
		if want := strings.Repeat("~", int(s.c.dialect)) + p.message; c.got[len(c.got)-1] != want {
			m.t.Fatalf("%v got %q, want %q", c.Member, c.got[len(c.got)-1], want)
		}
		if m.rng.IntN(4) == 0 {
			m.change()
		}
	}
	l.step()
	l.walking = nil
	for s := next(); s != nil; s = next() {
		if !p.end {
			m.t.Fatalf("%q did not come to %v", p.message, s.c.Member)
		}
		m.end(s)
	}
}

// change is one random operation, but for a step.
func (m *model) change() {
	m.t.Helper()
	if len(m.conns) < 3 {
		m.connect()
	}
	c := m.conns[m.rng.IntN(len(m.conns))]
	r := m.rooms[m.rng.IntN(len(m.rooms))]
	switch n := m.rng.IntN(100); {
	case n < 8 && len(m.conns) < 12:
		m.connect()
	case n < 14:
		m.close(c)
	case n < 45:
		m.join(c, r)
	case n < 65:
		m.leave(c, r)
	case n < 68:
		m.is(m.Delete(r.Room, ""), map[bool]error{true: ErrNotFound}[r.deleted], "Delete")
		if !r.deleted {
			m.post(r, "", true, nil)
		}
		r.deleted = true
	case n < 78 && r.deleted && len(r.members) == 0:
		*r = modelRoom{Room: m.create(r.ID(), Options{})}
	case n < 80 && !r.deleted:
		m.made++
		r.Send(text(fmt.Sprint("s", m.made)), ClassMessage, c.Member)
		m.post(r, fmt.Sprint("s", m.made), false, c)
	default:
		m.publish(r)
	}
	if r.deleted {
		return
	}
	if n, k := r.Count(), r.Connections(); n != r.count() || k != len(r.members) {
		m.t.Fatalf("room %s has %d members and %d connections, want %d and %d", r.ID(), n, k, r.count(), len(r.members))
	}
}

// Random operations, in random places of the mailboxes and of walks.
func TestModel(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			const loops = 2
			m := &model{
				world: newWorld(t, loops, Config{MaxRoomsPerMember: 4, MaxRecovery: 20}),
				rng:   rand.New(rand.NewPCG(seed, 0)), mail: make([][]modelPost, loops),
			}
			for i := range 6 {
				m.rooms = append(m.rooms, &modelRoom{Room: m.create(fmt.Sprint("r", i), Options{})})
			}
			for range 1500 {
				if m.rng.IntN(3) == 0 {
					m.step(m.rng.IntN(loops))
				} else {
					m.change()
				}
				if m.rng.IntN(100) == 0 {
					m.settle()
				}
			}
			for len(m.conns) > 0 {
				m.close(m.conns[0])
			}
			m.settle()
			if s := m.Stats(); s.Active != 0 || s.Users != 0 {
				t.Errorf("left behind: %+v", s)
			}
			for _, l := range m.loops {
				if len(l.shards.index) != 0 || len(l.shards.lists) != len(l.shards.spare)+1 {
					t.Errorf("left behind: %d shards, %d lists", len(l.shards.index), len(l.shards.lists)-len(l.shards.spare)-1)
				}
			}
		})
	}
}

// settle lets everything through, then all must agree.
func (m *model) settle() {
	m.t.Helper()
	for busy := true; busy; {
		busy = false
		for i := range m.mail {
			for len(m.mail[i]) > 0 {
				m.step(i)
				busy = true
			}
		}
	}
	m.audit()
}
