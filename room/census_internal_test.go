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

	"github.com/perchws/perch/frame"
)

// cluster is a broker that two nodes share. It counts members over both, and knows where users are. It answers when
// the test lets it.
type cluster struct {
	*Memory
	steps []func()
	rooms map[string]*tally
	lost  bool // answers to Enter are lost
}

// tally has the members of a room, by node.
type tally struct {
	topics  []*countingTopic
	members map[*countingTopic]map[Visitor]int
}

func (t *tally) total() (n int, users map[string]bool) {
	users = make(map[string]bool)
	for _, all := range t.members {
		for v, k := range all {
			if v.ID == "" {
				n += k
			} else {
				users[v.ID] = true
			}
		}
	}
	return n + len(users), users
}

type clusterNode struct {
	*cluster
	receive func(string, Frames)
	signed  map[string]bool
	others  []*clusterNode
}

type countingTopic struct {
	Topic
	of *cluster
	in *tally
	to Subscriber
}

func newCluster(n int) (nodes []*clusterNode) {
	c := &cluster{Memory: NewMemory(), rooms: make(map[string]*tally)}
	for range n {
		nodes = append(nodes, &clusterNode{cluster: c, signed: make(map[string]bool)})
	}
	for _, n := range nodes {
		n.others = slices.DeleteFunc(slices.Clone(nodes), func(o *clusterNode) bool { return o == n })
	}
	return nodes
}

func (n *clusterNode) Open(room string, create *Options, s Subscriber, opened func(Topic, Opening, error)) {
	n.Memory.Open(room, create, s, func(t Topic, at Opening, err error) {
		if err != nil {
			opened(t, at, err)
			return
		}
		in := n.rooms[room]
		if in == nil {
			in = &tally{members: make(map[*countingTopic]map[Visitor]int)}
			n.rooms[room] = in
		}
		c := &countingTopic{t, n.cluster, in, s}
		in.topics = append(in.topics, c)
		in.members[c] = make(map[Visitor]int)
		opened(c, at, nil)
	})
}

func (t *countingTopic) Enter(v Visitor, most int, answer func(error)) {
	t.of.steps = append(t.of.steps, func() { answer(t.enter(v, most)) })
}

func (t *countingTopic) enter(v Visitor, most int) error {
	total, users := t.in.total()
	mine := t.in.members[t]
	switch {
	case v.ID != "" && mine[v] > 0:
	case v.ID != "" && users[v.ID]:
		mine[v]++
	case most > 0 && total >= most:
		return ErrFull
	default:
		mine[v]++
		t.in.tell([]Visitor{v}, nil)
	}
	return nil
}

func (t *countingTopic) Leave(v Visitor) {
	t.of.steps = append(t.of.steps, func() {
		mine := t.in.members[t]
		if mine[v] == 0 {
			return
		}
		if mine[v]--; mine[v] == 0 {
			delete(mine, v)
		}
		if _, users := t.in.total(); v.ID == "" || !users[v.ID] {
			t.in.tell(nil, []Visitor{v})
		}
	})
}

// tell tells all nodes. A visitor without a name is counted, but not announced.
func (t *tally) tell(came, went []Visitor) {
	named := func(all []Visitor) []Visitor {
		return slices.DeleteFunc(all, func(v Visitor) bool { return v.ID == "" })
	}
	total, _ := t.total()
	for _, topic := range t.topics {
		topic.to.Members(total, named(slices.Clone(came)), named(slices.Clone(went)))
	}
}

// crash ends a node: its members vanish.
func (c *cluster) crash(node int) {
	for _, t := range c.rooms {
		topic := t.topics[node]
		went := slices.Collect(maps.Keys(t.members[topic]))
		delete(t.members, topic)
		_, users := t.total()
		t.tell(nil, slices.DeleteFunc(went, func(v Visitor) bool { return users[v.ID] }))
	}
}

func (n *clusterNode) Serve(receive func(string, Frames)) { n.receive = receive }
func (n *clusterNode) SignedIn(v Visitor)                 { n.signed[v.ID] = true }
func (n *clusterNode) SignedOut(v Visitor)                { delete(n.signed, v.ID) }
func (n *clusterNode) SendUser(user string, f Frames) {
	for _, o := range n.others {
		if o.signed[user] {
			o.receive(user, f)
		}
	}
}

// settle lets all answers come.
func (c *cluster) settle() {
	for len(c.steps) > 0 {
		first := c.steps[0]
		c.steps = c.steps[1:]
		first()
	}
}

// twoNodes are two hubs on one cluster, which announce comings and goings.
func twoNodes(t testing.TB, cfg Config) (*cluster, [2]*world) {
	nodes := newCluster(2)
	var worlds [2]*world
	cfg.Announce = func(e Event) Frames {
		switch e.Kind {
		case UserJoined:
			return Frames{frame.Prepare(frame.OpText, fmt.Appendf(nil, "+%s %d", e.User.ID(), e.Count))}
		case UserLeft:
			return Frames{frame.Prepare(frame.OpText, fmt.Appendf(nil, "-%s %d", e.User.ID(), e.Count))}
		}
		return Frames{}
	}
	for i, n := range nodes {
		cfg.Broker = n
		worlds[i] = newWorld(t, 1, cfg)
	}
	return nodes[0].cluster, worlds
}

// joinLater joins, and appends the result to told.
func (c *conn) joinLater(r *Room, told *[]error) {
	c.l.shards.JoinLater(c.Slot, c.Gen, r, JoinOptions{}, func(_ Joined, err error) { *told = append(*told, err) })
}

// TestCensus: members are counted over both nodes, and their bound holds. The members on each node are told of those
// on the other; a user on both comes once.
func TestCensus(t *testing.T) {
	b, w := twoNodes(t, Config{})
	r0 := w[0].create("r", Options{MaxMembers: 3})
	r1, _, err := w[1].Open("r", nil)
	if err != nil {
		t.Fatal(err)
	}
	all := func() {
		b.settle()
		w[0].run()
		w[1].run()
		b.settle()
		w[0].run()
		w[1].run()
	}
	member := func(node int, user string) (*conn, error) {
		c := w[node].connect(0)
		if user != "" {
			c.signIn(user, 0)
		}
		var told []error
		c.joinLater([]*Room{r0, r1}[node], &told)
		if len(told) != 0 {
			t.Errorf("%s was told before the broker has answered: %v", user, told)
		}
		all()
		if len(told) != 1 {
			t.Fatalf("%s was told %v", user, told)
		}
		return c, told[0]
	}
	ada, err := member(0, "ada")
	w[0].is(err, nil, "ada")
	bob, err := member(1, "bob")
	w[0].is(err, nil, "bob")
	ada2, err := member(1, "ada")
	w[0].is(err, nil, "ada on the other node")
	cyd, err := member(0, "cyd")
	w[0].is(err, nil, "cyd")
	for _, node := range []int{0, 1} {
		_, err := member(node, "dee")
		w[0].is(err, ErrFull, "dee")
		_, err = member(node, "")
		w[0].is(err, ErrFull, "a connection without a user")
	}
	if r0.Count() != 3 || r1.Count() != 3 {
		t.Errorf("%d and %d members, want 3", r0.Count(), r1.Count())
	}
	ada.expect("+bob 2", "+cyd 3")
	bob.expect("+cyd 3")
	ada.close()
	all()
	cyd.expect()
	ada2.close()
	all()
	cyd.expect("-ada 2")
	bob.expect("-ada 2")
	_, err = member(1, "dee")
	w[0].is(err, nil, "dee, where there is room")
	all()
	bob.expect("+dee 3")
	b.crash(1)
	all()
	if r0.Count() != 1 || len(cyd.got) != 3 {
		t.Errorf("%d members after the crash of the other node, and cyd has heard %q", r0.Count(), cyd.got)
	}
	w[0].audit()
}

// TestCensusPlainJoin: Join does not wait. Without a bound it need not; with a bound it returns an error.
func TestCensusPlainJoin(t *testing.T) {
	b, w := twoNodes(t, Config{})
	open, bounded := w[0].create("open", Options{}), w[0].create("bounded", Options{MaxMembers: 1})
	c := w[0].connect(0)
	c.signIn("ada", 0)
	c.join(open)
	if _, err := c.tryJoin(bounded, JoinOptions{}); !errors.Is(err, ErrOpening) {
		t.Errorf("Join: %v", err)
	}
	b.settle()
	if n := open.Count(); n != 1 {
		t.Errorf("%d members", n)
	}
	open.Reset(Position{Epoch: "new"}) // the broker has lost all
	b.rooms["open"].members[b.rooms["open"].topics[0]] = make(map[Visitor]int)
	b.settle()
	if n, _ := b.rooms["open"].total(); n != 1 {
		t.Errorf("%d members counted after a loss of data", n)
	}
}

// TestCensusLate: a place that is granted too late, or to a connection that is gone, is given back.
func TestCensusLate(t *testing.T) {
	b, w := twoNodes(t, Config{BrokerTimeout: 10 * time.Second})
	r := w[0].create("r", Options{MaxMembers: 1})
	var told []error
	ask := func(user string) *conn {
		c := w[0].connect(0)
		if user != "" {
			c.signIn(user, 0)
		}
		c.joinLater(r, &told)
		return c
	}
	for _, user := range []string{"ada", ""} {
		told = nil
		late := ask(user)
		w[0].pass(10 * time.Second)
		w[0].run()
		if len(told) != 1 || !errors.Is(told[0], ErrTimeout) {
			t.Fatalf("%q: %v", user, told)
		}
		late.close()
		ask(user).close() // gone before the answer
		gone := ask(user) // gone with the answer on its way
		b.settle()
		gone.close()
		w[0].run()
		b.settle()
		if n, _ := b.rooms["r"].total(); n != 0 || len(told) != 1 || len(r.counted.claims) != 0 {
			t.Errorf("%q: %d places are taken, told %v, %d claims", user, n, told, len(r.counted.claims))
		}
	}
	told = nil
	one, two := ask("ada"), ask("ada") // wait for the same place
	b.settle()
	w[0].run()
	if len(told) != 2 || told[0] != nil || told[1] != nil {
		t.Errorf("two connections of one user: %v", told)
	}
	one.close()
	b.settle()
	if n, _ := b.rooms["r"].total(); n != 1 {
		t.Errorf("%d places, one connection is left", n)
	}
	two.close()
	b.settle()
	if n, _ := b.rooms["r"].total(); n != 0 {
		t.Errorf("%d places, nobody is left", n)
	}
}

// TestCensusBound: the waits for places are bounded.
func TestCensusBound(t *testing.T) {
	b, w := twoNodes(t, Config{MaxWaiting: 4})
	r := w[0].create("r", Options{MaxMembers: 100})
	var told []error
	for range 6 {
		w[0].connect(0).joinLater(r, &told)
	}
	if len(told) != 2 || !errors.Is(told[0], ErrQueueFull) {
		t.Errorf("told %v", told)
	}
	b.settle()
	w[0].run()
	if len(told) != 6 || told[5] != nil || r.Count() != 4 {
		t.Errorf("told %v, %d members", told, r.Count())
	}
}

// TestCensusModel: in the end the broker has a place for every member and for nobody else, and never more places than
// allowed.
func TestCensusModel(t *testing.T) {
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		b, w := twoNodes(t, Config{BrokerTimeout: 10 * time.Second, MaxWaiting: 5})
		const most = 3
		r0 := w[0].create("r", Options{MaxMembers: most})
		r1, _, err := w[1].Open("r", nil)
		if err != nil {
			t.Fatal(err)
		}
		rooms := [2]*Room{r0, r1}
		var conns [2][]*conn
		for range 400 {
			node := rnd.IntN(2)
			switch rnd.IntN(8) {
			case 0, 1:
				c := w[node].connect(0)
				if user := strings.TrimSpace([]string{"a", "b", "c", "d", " "}[rnd.IntN(5)]); user != "" {
					c.signIn(user, 0)
				}
				conns[node] = append(conns[node], c)
				c.joinLater(rooms[node], new([]error))
			case 2:
				if n := len(conns[node]); n > 0 {
					i := rnd.IntN(n)
					conns[node][i].close()
					conns[node] = slices.Delete(conns[node], i, i+1)
				}
			case 3:
				if n := len(conns[node]); n > 0 {
					if c := conns[node][rnd.IntN(n)]; c.in(rooms[node]) {
						c.leave(rooms[node])
					}
				}
			case 4, 5:
				if len(b.steps) > 0 {
					first := b.steps[0]
					b.steps = b.steps[1:]
					first()
				}
			case 6:
				w[node].loops[0].step()
			case 7:
				if rnd.IntN(10) == 0 {
					w[node].pass(10 * time.Second)
				}
			}
			if n, _ := b.rooms["r"].total(); n > most {
				t.Fatalf("seed %d: %d members of %d", seed, n, most)
			}
		}
		for len(b.steps) > 0 || len(w[0].loops[0].posts)+len(w[1].loops[0].posts) > 0 {
			b.settle()
			w[0].run()
			w[1].run()
		}
		for node, r := range rooms {
			want := make(map[Visitor]int)
			for _, c := range conns[node] {
				if !c.in(r) {
					continue
				}
				if v := visitorOf(c.l.shards.User(c.Slot)); v.ID == "" {
					want[v]++
				} else {
					want[v] = 1
				}
			}
			if got := b.rooms["r"].members[b.rooms["r"].topics[node]]; !maps.Equal(got, want) {
				t.Fatalf("seed %d, node %d: places %v, members %v", seed, node, got, want)
			}
			if total, _ := b.rooms["r"].total(); r.Count() != total || len(r.counted.claims) != 0 {
				t.Fatalf("seed %d, node %d: %d members, %d counted, %d claims", seed, node, r.Count(), total, len(r.counted.claims))
			}
			w[node].audit()
		}
	}
}

// TestSendUserElsewhere: a message to a user reaches its connections on all nodes.
func TestSendUserElsewhere(t *testing.T) {
	_, w := twoNodes(t, Config{})
	here, there, other := w[0].connect(0), w[1].connect(0), w[1].connect(0)
	here.signIn("ada", 0)
	there.signIn("ada", 0)
	other.signIn("bob", 0)
	send := func(want int) {
		t.Helper()
		n, err := w[0].SendUser("ada", text("hello"))
		if err != nil || n != want {
			t.Errorf("%d connections here, %v", n, err)
		}
		w[0].run()
		w[1].run()
	}
	send(1)
	here.expect("hello")
	there.expect("hello")
	other.expect()
	here.close()
	send(0)
	there.expect("hello")
	there.close()
	send(0)
}
