package room

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// Members are counted over both nodes, their bound holds, and members hear of those on the other node. A user on both
// nodes comes and goes once.
func TestCensus(t *testing.T) {
	two := newTwoNodes(t, Config{})
	r := two.open("r", Options{MaxMembers: 3})
	is := two.w[0].is
	ada, err := two.member(0, "ada", r)
	is(err, nil, "ada")
	bob, err := two.member(1, "bob", r)
	is(err, nil, "bob")
	ada2, err := two.member(1, "ada", r)
	is(err, nil, "ada on the other node")
	cyd, err := two.member(0, "cyd", r)
	is(err, nil, "cyd")
	for node := range 2 {
		_, err := two.member(node, "dee", r)
		is(err, ErrFull, "dee")
		_, err = two.member(node, "", r)
		is(err, ErrFull, "a connection without a user")
	}
	if r[0].Count() != 3 || r[1].Count() != 3 {
		t.Errorf("%d and %d members, want 3", r[0].Count(), r[1].Count())
	}
	ada.expect("+bob 2", "+cyd 3")
	bob.expect("+cyd 3")
	ada.close()
	two.settle()
	cyd.expect()
	ada2.close()
	two.settle()
	cyd.expect("-ada 2")
	bob.expect("-ada 2")
	dee, err := two.member(1, "dee", r)
	is(err, nil, "dee, when there is a place")
	bob.expect("+dee 3")
	dee.expect()
	cyd.expect("+dee 3")
	two.crash(1)
	two.settle()
	if r[0].Count() != 1 || len(cyd.got) != 2 {
		t.Errorf("%d members after the crash of the other node, and cyd has heard %q", r[0].Count(), cyd.got)
	}
	two.w[0].audit()
}

// A node that opens a room knows how many members it has on others.
func TestCensusOpening(t *testing.T) {
	two := newTwoNodes(t, Config{})
	r0 := two.w[0].create("r", Options{})
	for _, user := range []string{"ada", ""} {
		two.visitor(0, user).join(r0)
	}
	two.settle()
	r1, _, err := two.w[1].Open("r", nil)
	if err != nil || r1.Count() != 2 {
		t.Fatalf("%d members, %v", r1.Count(), err)
	}
}

// A join without a bound does not wait for the broker, and is told a count with everybody who has come here. Everybody
// ends with the same count.
func TestCensusPlainJoin(t *testing.T) {
	two := newTwoNodes(t, Config{})
	r := two.open("r", Options{})
	first := two.visitor(1, "first")
	first.join(r[1])
	two.settle()
	ada, bob := two.visitor(0, "ada"), two.visitor(0, "bob")
	if j := two.visitor(0, "").join(r[0]); j.Count != 2 {
		t.Errorf("nobody was told of %d members", j.Count)
	}
	two.settle()
	if j := ada.join(r[0]); j.Count != 3 {
		t.Errorf("ada was told of %d members", j.Count)
	}
	if j := bob.join(r[0]); j.Count != 4 {
		t.Errorf("bob was told of %d members", j.Count)
	}
	two.settle()
	ada.expect("+bob 4")
	bob.expect("+ada 4")
	first.expect("+ada 3", "+bob 4")
	if r[0].Count() != 4 || r[1].Count() != 4 {
		t.Errorf("%d and %d members", r[0].Count(), r[1].Count())
	}
	bounded := two.open("bounded", Options{MaxMembers: 1})
	if _, err := ada.tryJoin(bounded[0], JoinOptions{}); !errors.Is(err, ErrOpening) {
		t.Errorf("Join: %v", err)
	}
}

// In a large room summaries tell of members on all nodes.
func TestCensusSummaries(t *testing.T) {
	two := newTwoNodes(t, Config{PresenceEach: 2})
	r := two.open("r", Options{})
	ada := two.visitor(0, "ada")
	ada.join(r[0])
	for _, user := range []string{"bob", "cyd", "dee"} {
		two.visitor(1, user).join(r[1])
		two.settle()
	}
	ada.expect("+bob 2")
	two.w[0].pass(time.Second)
	two.settle()
	ada.expect("=+cyd+dee 4")
	two.crash(1)
	two.w[0].pass(time.Second)
	two.settle()
	if r[0].Count() != 1 || len(ada.got) == 0 {
		t.Errorf("%d members, ada has heard %q", r[0].Count(), ada.got)
	}
}

// A node whose lease has ended enters its members again with the next one, those beyond the bound too.
func TestCensusForgotten(t *testing.T) {
	two := newTwoNodes(t, Config{})
	r := two.open("r", Options{MaxMembers: 2})
	ada, _ := two.member(0, "ada", r)
	_, _ = two.member(0, "", r)
	two.expire(0)
	two.settle()
	bob, err := two.member(1, "bob", r)
	two.w[1].is(err, nil, "bob, in the place of ada")
	waits := two.visitor(0, "eve")
	var told []error
	waits.joinLater(r[0], &told) // and is not answered
	two.renew(0)
	two.settle()
	if total, _ := two.rooms["r"].total(); total != 3 || r[0].Count() != 3 || r[1].Count() != 3 {
		t.Errorf("%d places, %d and %d members, want 3", total, r[0].Count(), r[1].Count())
	}
	bob.expect("+ada 2")
	ada.close()
	bob.close()
	two.settle()
	if total, _ := two.rooms["r"].total(); total != 1 || r[0].Count() != 1 || r[1].Count() != 1 {
		t.Errorf("%d places, %d and %d members, want 1", total, r[0].Count(), r[1].Count())
	}
}

// A very large room is entered again piece by piece, while others come and go.
func TestCensusForgottenMany(t *testing.T) {
	two := newTwoNodes(t, Config{})
	r := two.open("r", Options{})
	var all []*conn
	for i := range 3 * reentries {
		c := two.visitor(0, map[bool]string{true: fmt.Sprint("user ", i)}[i%2 == 0])
		c.join(r[0])
		all = append(all, c)
	}
	two.settle()
	two.expire(0)
	two.renew(0)
	for _, c := range all[:100] { // before the broker has heard of them
		c.close()
	}
	two.settle()
	if total, _ := two.rooms["r"].total(); total != len(all)-100 || r[1].Count() != total || r[0].Count() != total {
		t.Errorf("%d places, %d and %d members, want %d", total, r[0].Count(), r[1].Count(), len(all)-100)
	}
}

// A place that is given too late, or to a connection that is gone, is given back.
func TestCensusLate(t *testing.T) {
	two := newTwoNodes(t, Config{})
	r := two.open("r", Options{MaxMembers: 1})
	var told []error
	ask := func(user string) *conn {
		c := two.visitor(0, user)
		c.joinLater(r[0], &told)
		return c
	}
	for _, user := range []string{"ada", ""} {
		told = nil
		late := ask(user)
		two.w[0].pass(10 * time.Second)
		two.w[0].run()
		if len(told) != 1 || !errors.Is(told[0], ErrTimeout) {
			t.Fatalf("%q: %v", user, told)
		}
		late.close()
		ask(user).close() // gone before the answer
		gone := ask(user) // gone with the answer on its way
		two.cluster.settle()
		gone.close()
		two.settle()
		if n, _ := two.rooms["r"].total(); n != 0 || len(told) != 1 || len(r[0].census.claims) != 0 {
			t.Errorf("%q: %d places are taken, told %v, %d claims", user, n, told, len(r[0].census.claims))
		}
	}
	told = nil
	one, other := ask("ada"), ask("ada") // wait for the same place
	two.settle()
	if len(told) != 2 || told[0] != nil || told[1] != nil {
		t.Errorf("two connections of one user: %v", told)
	}
	for left, c := range []*conn{other, one} {
		c.close()
		two.settle()
		if n, _ := two.rooms["r"].total(); n != 1-left {
			t.Errorf("%d places, want %d", n, 1-left)
		}
	}
	two.w[0].auditWaits()
}

// auditWaits demands that nothing waits for the broker.
func (w *world) auditWaits() {
	w.t.Helper()
	if n := w.waitingBytes.Load(); n != 0 {
		w.t.Errorf("%d bytes of calls wait for the broker", n)
	}
}

// A client is told of an error of the broker, and the next one is not hindered by it.
func TestCensusFails(t *testing.T) {
	two := newTwoNodes(t, Config{})
	r, open := two.open("r", Options{MaxMembers: 1}), two.open("open", Options{})
	two.fate = func(string) fate { return broken }
	_, err := two.member(0, "ada", r)
	two.w[0].is(err, ErrUnavailable, "a join")
	stranger, other := two.visitor(0, ""), two.visitor(0, "")
	stranger.join(open[0]) // gets no place
	two.settle()
	two.fate = nil
	other.join(open[0])
	two.settle()
	stranger.close()
	two.settle()
	if n, _ := two.rooms["open"].total(); n != 1 || open[1].Count() != 1 {
		t.Errorf("%d places, %d members, one is there", n, open[1].Count())
	}
	if _, err := two.member(0, "bob", r); err != nil {
		t.Error(err)
	}
	two.w[0].auditWaits()
}

// The joins that wait for places are bounded for each room and for the process.
func TestCensusBound(t *testing.T) {
	for _, c := range []Config{{MaxWaiting: 4}, {MaxWaitingTotal: 4 * waitCost}} {
		two := newTwoNodes(t, c)
		r := two.open("r", Options{MaxMembers: 100})
		var told []error
		for i := range 6 {
			two.visitor(0, strings.Repeat("ada", i/5)).joinLater(r[0], &told)
		}
		if len(told) != 2 || !errors.Is(told[0], ErrQueueFull) {
			t.Errorf("told %v", told)
		}
		two.settle()
		if len(told) != 6 || told[5] != nil || r[0].Count() != 4 {
			t.Errorf("told %v, %d members", told, r[0].Count())
		}
		two.w[0].auditWaits()
	}
}

// Whatever happens, the broker has in the end a place for each member and for nobody else, and it never has more than
// there may be.
func TestCensusModel(t *testing.T) {
	for seed := range uint64(100) {
		m := &censusModel{twoNodes: newTwoNodes(t, Config{MaxWaiting: 5}), seed: seed, rnd: rand.New(rand.NewPCG(seed, 3))}
		m.rooms = [2][2]*Room{m.open("bounded", Options{MaxMembers: mostMembers}), m.open("open", Options{})}
		m.fate = func(string) fate { return []fate{answer, answer, answer, twice, broken}[m.rnd.IntN(5)] }
		for range 600 {
			m.act()
			if n, _ := m.cluster.rooms["bounded"].total(); n > mostMembers {
				t.Fatalf("seed %d: %d members of %d", seed, n, mostMembers)
			}
		}
		m.end()
	}
}

const mostMembers = 3

// censusModel is one run of TestCensusModel.
type censusModel struct {
	*twoNodes
	seed  uint64
	rnd   *rand.Rand
	rooms [2][2]*Room // the bounded and the open one, of each node
	conns [2][]*conn  // of each node
}

// act does something that a seed chooses.
func (m *censusModel) act() {
	node := m.rnd.IntN(2)
	all := &m.conns[node]
	switch m.rnd.IntN(10) {
	case 0, 1, 2:
		c := m.visitor(node, []string{"a", "b", "c", "d", ""}[m.rnd.IntN(5)])
		*all = append(*all, c)
		c.joinLater(m.rooms[m.rnd.IntN(2)][node], new([]error))
	case 3:
		if n := len(*all); n > 0 {
			i := m.rnd.IntN(n)
			(*all)[i].close()
			*all = slices.Delete(*all, i, i+1)
		}
	case 4:
		if n := len(*all); n > 0 {
			for _, r := range m.rooms {
				if c := (*all)[m.rnd.IntN(n)]; c.in(r[node]) {
					c.leave(r[node])
				}
			}
		}
	case 5, 6, 7:
		m.step(m.rnd)
	case 8:
		m.w[node].loops[0].step()
	case 9:
		if m.rnd.IntN(10) == 0 {
			m.w[node].pass(10 * time.Second)
		}
	}
}

// end lets everything happen that is under way, gives both nodes a new lease, and compares.
func (m *censusModel) end() {
	m.settle()
	m.fate = nil
	for node := range 2 { // who has got no place because of an error gets one now
		m.expire(node)
		m.renew(node)
	}
	m.settle()
	for i, id := range []string{"bounded", "open"} {
		total, _ := m.cluster.rooms[id].total()
		for node, r := range m.rooms[i] {
			want := make(map[Visitor]int)
			for _, c := range m.conns[node] {
				if !c.in(r) {
					continue
				}
				if v := visitorOf(c.l.shards.User(c.Slot)); v.ID == "" {
					want[v]++
				} else {
					want[v] = 1
				}
			}
			if got := m.cluster.rooms[id].topics[node].members; !maps.Equal(got, want) {
				m.t.Fatalf("seed %d, %s, node %d: places %v, members %v", m.seed, id, node, got, want)
			}
			if n := r.census; r.Count() != total || len(n.claims)+n.waiting+len(n.users)+n.others+n.homeless != 0 {
				m.t.Fatalf("seed %d, %s, node %d: %d members, %d counted, %+v", m.seed, id, node, r.Count(), total, n)
			}
		}
	}
	for node := range 2 {
		m.w[node].audit()
		m.w[node].auditWaits()
	}
}
