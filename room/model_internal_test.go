package room

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// model is rooms on several loops, as simple as can be: the members of each room, and the contents of the mailboxes.
type model struct {
	*world
	broker *slowBroker
	rng    *rand.Rand
	rooms  []*modelRoom
	conns  []*modelConn
	mail   [][]modelPost // by loop
	made   int
	under  map[string]*modelPublish // publishes that have no place yet
}

type modelRoom struct {
	*Room
	opening bool // the broker has not answered
	deleted bool
	log     []string // the messages published
	members []*membership
	waiting []*modelConn // that have asked to join while the room was being opened
}

// modelPublish is a publish under way.
type modelPublish struct {
	r    *modelRoom
	not  *modelConn
	text string
}

// membership lasts from one join to the leave.
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
	closed  bool
	waits   map[*modelRoom]int // answers still to come
}

// modelPost is a post: a message for some members, or the end of the room for them, or a join, or the answer to a
// connection that has waited.
type modelPost struct {
	message string
	to      []*membership
	end     bool
}

// here returns the members on a loop.
func (r *modelRoom) here(loop int) (all []*membership) {
	for _, m := range r.members {
		if int(m.c.Loop) == loop {
			all = append(all, m)
		}
	}
	return all
}

// post puts a message, or the end of the room, into the mailboxes of loops with members.
func (m *model) post(r *modelRoom, message string, end bool, except *modelConn) {
	for i := range m.mail {
		if to := r.here(i); len(to) > 0 {
			to = slices.DeleteFunc(to, func(s *membership) bool { return s.c == except })
			m.mail[i] = append(m.mail[i], modelPost{message, to, end})
		}
	}
}

// join asks for a membership. In a room that is being opened the answer comes later.
func (m *model) join(c *modelConn, r *modelRoom) {
	m.t.Helper()
	since := m.rng.IntN(len(r.log) + 2)
	o := JoinOptions{Since: &Position{r.Position().Epoch, uint64(since)}, Recent: 2}
	later := r.opening || c.waits[r] > 0 // it comes after earlier calls of this connection about the room
	switch {
	case r.opening:
		since, o.Since = math.MaxInt, nil
		r.waiting = append(r.waiting, c)
	case later:
		m.mail[c.Loop] = append(m.mail[c.Loop], modelPost{})
	}
	c.waits[r]++
	answered := false
	c.l.shards.JoinLater(c.Slot, c.Gen, r.Room, o, func(j Joined, err error) {
		m.t.Helper()
		if answered || c.closed {
			m.t.Fatalf("answered twice, or to a connection that is closed: %v", c.Member)
		}
		answered = true
		c.waits[r]--
		m.joined(c, r, since, j, err)
	})
	if answered == later {
		m.t.Fatalf("answered at once: %t, want %t", answered, !later)
	}
}

// joined gets the answer.
func (m *model) joined(c *modelConn, r *modelRoom, since int, j Joined, err error) {
	m.t.Helper()
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
	if j.Recovered != recovered || !slices.Equal(payloads(j.Missed), missed) ||
		!slices.Equal(payloads(j.Recent), recent) || int(j.Offset) != len(r.log) {
		m.t.Fatalf("join since %d of %d: %t %q %q, want %t %q %q", since, len(r.log),
			j.Recovered, payloads(j.Missed), payloads(j.Recent), recovered, missed, recent)
	}
	s := &membership{c: c, r: r}
	r.members = append(r.members, s)
	c.in = append(c.in, s)
	m.mail[c.Loop] = append(m.mail[c.Loop], modelPost{})
}

// opened is called when the broker opens a room.
func (m *model) opened(id string) {
	i := slices.IndexFunc(m.rooms, func(r *modelRoom) bool { return r.Room != nil && r.ID() == id })
	if i < 0 { // one of the first rooms, about which no call was made
		return
	}
	r := m.rooms[i]
	r.opening = false
	for _, c := range r.waiting {
		if !c.closed {
			m.mail[c.Loop] = append(m.mail[c.Loop], modelPost{})
		}
	}
	r.waiting = nil
}

// end removes a membership from all lists.
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
	c.closed = true
	for len(c.in) > 0 {
		m.end(c.in[0])
	}
	m.conns = slices.DeleteFunc(m.conns, func(o *modelConn) bool { return o == c })
}

func (m *model) connect() {
	c := &modelConn{conn: m.world.connect(m.rng.IntN(len(m.mail))), waits: make(map[*modelRoom]int)}
	if m.rng.IntN(3) > 0 {
		c.user, c.dialect = fmt.Sprint("u", m.rng.IntN(4)), Dialect(m.rng.IntN(Dialects))
		c.signIn(c.user, c.dialect)
	}
	m.conns = append(m.conns, c)
}

func (m *model) publish(r *modelRoom) {
	m.t.Helper()
	m.made++
	var except []Member
	var not *modelConn
	if m.rng.IntN(3) == 0 {
		not = m.conns[m.rng.IntN(len(m.conns))]
		except = append(except, not.Member)
	}
	text := fmt.Sprint(m.made)
	m.under[text] = &modelPublish{r, not, text}
	settled := false
	r.Publish(Message{Payload: []byte(text), Except: except}, func(got Receipt, err error) {
		m.t.Helper()
		if settled {
			m.t.Fatalf("%s is settled twice", text)
		}
		settled = true
		if m.under[text] != nil {
			m.t.Fatalf("%s is settled before it has a place: %v", text, err)
		}
		if r.deleted {
			m.is(err, ErrNotFound, "Publish to a deleted room")
			return
		}
		if m.is(err, nil, "Publish"); int(got.Offset) != len(r.log) || got.Members != r.count() {
			m.t.Fatalf("receipt %+v, want offset %d and %d members", got, len(r.log), r.count())
		}
	})
	if m.broker.inline && !settled {
		m.t.Fatal("the broker has not answered at once")
	}
}

// placed is called when a message gets its place.
func (m *model) placed(_ string, payload []byte) {
	p := m.under[string(payload)]
	delete(m.under, p.text)
	if p.r.deleted {
		return
	}
	message := fmt.Sprintf("%s#%d", p.text, len(p.r.log)+1)
	p.r.log = append(p.r.log, message)
	m.post(p.r, message, false, p.not)
}

// count returns the number that Room.Count must return: users, and connections without one.
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

// step carries out one post of a loop. Each member that gets the message may do anything meanwhile.
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
			m.t.Fatalf("%q went to %v, which is not next", p.message, c.Member)
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

// make makes a room.
func (m *model) make(id string) *modelRoom {
	m.t.Helper()
	w := &wait{create: &Options{}, over: make(chan struct{})}
	r, _, err := m.open(id, w)
	if err != nil && err != errWaiting {
		m.t.Fatal(err)
	}
	return &modelRoom{Room: r, opening: err == errWaiting}
}

// change is one random operation, other than a step.
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
	case n < 68 && r.opening:
		m.is(m.Delete(r.Room, ""), ErrOpening, "Delete while it is being opened")
	case n < 68:
		m.is(m.Delete(r.Room, ""), map[bool]error{true: ErrNotFound}[r.deleted], "Delete")
		if !r.deleted {
			m.post(r, "", true, nil)
		}
		r.deleted = true
	case n < 78 && r.deleted && len(r.members) == 0:
		m.rooms[slices.Index(m.rooms, r)] = m.make(r.ID())
	case n < 80 && !r.deleted && !r.opening:
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

// Random operations at random places of the mailboxes and of walks.
func TestModel(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { newModel(t, seed, true).live() })
	}
}

// The same with a broker that answers later, and for rooms in any order.
func TestModelLate(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { newModel(t, seed, false).live() })
	}
}

func newModel(t *testing.T, seed uint64, inline bool) *model {
	const loops = 2
	b := newSlowBroker()
	b.inline = inline
	m := &model{
		world: newWorld(t, loops, Config{MaxRoomsPerMember: 4, MaxRecovery: 20, Broker: b}), broker: b,
		rng: rand.New(rand.NewPCG(seed, 0)), mail: make([][]modelPost, loops), under: make(map[string]*modelPublish),
	}
	b.placing, b.opening = m.placed, m.opened
	for i := range 6 {
		m.rooms = append(m.rooms, m.make(fmt.Sprint("r", i)))
	}
	return m
}

func (m *model) live() {
	m.t.Helper()
	for range 1500 {
		switch m.rng.IntN(6) {
		case 0, 1:
			m.step(m.rng.IntN(len(m.loops)))
		case 2:
			m.answer()
		default:
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
		m.t.Errorf("left behind: %+v", s)
	}
	for _, l := range m.loops {
		if len(l.shards.index) != 0 || len(l.shards.lists) != len(l.shards.spare)+1 || len(l.shards.waits) != 0 {
			m.t.Errorf("left behind: %d shards, %d lists, waits of %d connections",
				len(l.shards.index), len(l.shards.lists)-len(l.shards.spare)-1, len(l.shards.waits))
		}
	}
}

// answer lets the broker answer about one room; false: it has nothing to do.
func (m *model) answer() bool {
	ids := m.broker.waiting()
	return len(ids) > 0 && m.broker.step(ids[m.rng.IntN(len(ids))], answer)
}

// settle lets everything through, and then compares.
func (m *model) settle() {
	m.t.Helper()
	for busy := true; busy; {
		busy = m.answer()
		for i := range m.mail {
			for len(m.mail[i]) > 0 {
				m.step(i)
				busy = true
			}
		}
	}
	m.Sweep()
	m.audit()
	if n := m.waitingBytes.Load(); n != 0 || len(m.under) != 0 || len(m.owed) != 0 {
		m.t.Fatalf("%d bytes wait, %d publishes, %d rooms", n, len(m.under), len(m.owed))
	}
}
