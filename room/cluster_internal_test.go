package room

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/perchws/perch/frame"
)

// cluster is a network in memory for tests of several nodes: its nodes share one broker, which counts members and knows
// where users are. Each call of a node is a step, which the test carries out when it likes: the steps of one node in
// order, those of different nodes in any order. Answers are steps of their own, and come in any order.
type cluster struct {
	*Memory
	nodes   []*clusterNode
	rooms   map[string]*tally
	answers []func()
	fate    func(what string) fate // nil: every call is answered
}

// clusterNode is the broker of one node.
type clusterNode struct {
	*cluster
	node  Node
	steps []func()
	users map[string]string // the names of those that have signed in, by id
}

// tally is who is in a room.
type tally struct {
	topics []*clusterTopic
}

// clusterTopic is the Topic of one node.
type clusterTopic struct {
	Topic
	of      *clusterNode
	in      *tally
	to      Subscriber
	members map[Visitor]int // that this node has entered
}

func newCluster(nodes int) *cluster {
	c := &cluster{Memory: NewMemory(), rooms: make(map[string]*tally)}
	for range nodes {
		c.nodes = append(c.nodes, &clusterNode{cluster: c, users: make(map[string]string)})
	}
	return c
}

// ask makes a step of a call, with its fate.
func (n *clusterNode) ask(what string, carry func() error, reply func(error)) {
	n.steps = append(n.steps, func() {
		f := answer
		if n.fate != nil {
			f = n.fate(what)
		}
		if f == never {
			return
		}
		err := ErrUnavailable
		if f != broken {
			err = carry()
		}
		if f == silent {
			return
		}
		n.answers = append(n.answers, func() { reply(err) })
		if f == twice {
			n.answers = append(n.answers, func() { reply(err) })
		}
	})
}

// Open implements Broker.
func (n *clusterNode) Open(room string, create *Options, s Subscriber, opened func(Topic, Opening, error)) {
	n.Memory.Open(room, create, s, func(t Topic, at Opening, err error) {
		if err != nil {
			opened(t, at, err)
			return
		}
		in := n.rooms[room]
		if in == nil {
			in = &tally{}
			n.rooms[room] = in
		}
		c := &clusterTopic{Topic: t, of: n, in: in, to: s, members: make(map[Visitor]int)}
		in.topics = append(in.topics, c)
		at.Members, _ = in.total()
		opened(c, at, nil)
	})
}

// Close implements Topic.
func (t *clusterTopic) Close(how Ending, reason string) {
	t.Topic.Close(how, reason)
	t.in.topics = slices.DeleteFunc(t.in.topics, func(o *clusterTopic) bool { return o == t })
}

// Enter implements Census.
func (t *clusterTopic) Enter(v Visitor, most int, answer func(error)) {
	t.of.ask("Enter", func() error { return t.enter(v, most) }, answer)
}

func (t *clusterTopic) enter(v Visitor, most int) error {
	total, users := t.in.total()
	switch {
	case v.ID != "" && t.members[v] > 0:
	case v.ID != "" && users[v.ID]:
		t.members[v]++
	case most > 0 && total >= most:
		return ErrFull
	default:
		t.members[v]++
		t.in.tell([]Visitor{v}, nil)
	}
	return nil
}

// Leave implements Census.
func (t *clusterTopic) Leave(v Visitor) {
	t.of.steps = append(t.of.steps, func() {
		if t.members[v] == 0 {
			return
		}
		if t.members[v]--; t.members[v] == 0 {
			delete(t.members, v)
		}
		if _, users := t.in.total(); v.ID == "" || !users[v.ID] {
			t.in.tell(nil, []Visitor{v})
		}
	})
}

// List implements Census.
func (t *clusterTopic) List(most int, answer func([]Present, int, error)) {
	var some []Present
	all := 0
	t.of.ask("List", func() error {
		_, users := t.in.total()
		all = len(users)
		for _, id := range slices.Sorted(maps.Keys(users))[:min(most, all)] {
			some = append(some, Present{Visitor: Visitor{ID: id, Name: id}})
		}
		return nil
	}, func(err error) { answer(some, all, err) })
}

// total returns the number of members over all nodes, and their users.
func (t *tally) total() (n int, users map[string]bool) {
	users = make(map[string]bool)
	for _, topic := range t.topics {
		for v, k := range topic.members {
			if v.ID == "" {
				n += k
			} else {
				users[v.ID] = true
			}
		}
	}
	return n + len(users), users
}

// tell tells all nodes. Connections without a user change the number alone.
func (t *tally) tell(came, went []Visitor) {
	named := func(all []Visitor) []Visitor {
		return slices.DeleteFunc(slices.Clone(all), func(v Visitor) bool { return v.ID == "" })
	}
	total, _ := t.total()
	for _, topic := range t.topics {
		topic.to.Members(total, named(came), named(went))
	}
}

// expire ends the lease of a node: its members and users have gone.
func (c *cluster) expire(node int) {
	n := c.nodes[node]
	clear(n.users)
	for _, id := range slices.Sorted(maps.Keys(c.rooms)) {
		t := c.rooms[id]
		for _, topic := range t.topics {
			if topic.of != n {
				continue
			}
			gone := topic.members
			topic.members = make(map[Visitor]int)
			_, users := t.total()
			var went []Visitor
			for v := range gone {
				if v.ID == "" || !users[v.ID] {
					went = append(went, v)
				}
			}
			t.tell(nil, went)
		}
	}
}

// crash ends a node, which does not come back.
func (c *cluster) crash(node int) {
	n := c.nodes[node]
	n.steps = nil
	for _, t := range c.rooms {
		for _, topic := range t.topics {
			if topic.of == n {
				topic.to = deafSubscriber{}
			}
		}
	}
	c.expire(node)
}

// renew gives a node another lease after expire. Its calls that were not carried out are lost.
func (c *cluster) renew(node int) {
	n := c.nodes[node]
	n.steps = nil
	for _, id := range slices.Sorted(maps.Keys(c.rooms)) {
		t := c.rooms[id]
		for _, topic := range t.topics {
			if topic.of == n {
				total, _ := t.total()
				topic.to.Forgotten(total)
			}
		}
	}
	n.node.Forgotten()
}

// deafSubscriber is the Subscriber of a node that has crashed.
type deafSubscriber struct{ Subscriber }

func (deafSubscriber) Members(int, []Visitor, []Visitor) {}

// Serve implements Directory.
func (n *clusterNode) Serve(node Node) { n.node = node }

// SignedIn implements Directory.
func (n *clusterNode) SignedIn(v Visitor) {
	n.steps = append(n.steps, func() { n.users[v.ID] = v.Name })
}

// SignedOut implements Directory.
func (n *clusterNode) SignedOut(v Visitor) {
	n.steps = append(n.steps, func() { delete(n.users, v.ID) })
}

// SendUser implements Directory.
func (n *clusterNode) SendUser(user string, f Frames) {
	n.steps = append(n.steps, func() { n.others(user, func(node Node) { node.SendUser(user, f) }) })
}

// CloseUser implements Directory.
func (n *clusterNode) CloseUser(user string, code frame.CloseCode, reason string) {
	n.steps = append(n.steps, func() { n.others(user, func(node Node) { node.CloseUser(user, code, reason) }) })
}

// Connections implements Directory.
func (n *clusterNode) Connections(user string, answer func([]string, error)) {
	var names []string
	n.ask("Connections", func() error {
		n.others(user, func(node Node) { names = append(names, node.Connections(user)...) })
		return nil
	}, func(err error) { answer(names, err) })
}

// others calls f for the other nodes on which the user is.
func (n *clusterNode) others(user string, f func(Node)) {
	for _, o := range n.nodes {
		if _, in := o.users[user]; in && o != n {
			f(o.node)
		}
	}
}

// step carries out one step, or gives one answer, that rnd chooses; false: there is none.
func (c *cluster) step(rnd *rand.Rand) bool {
	var from []*[]func()
	for _, n := range c.nodes {
		from = append(from, &n.steps)
	}
	from = slices.DeleteFunc(append(from, &c.answers), func(l *[]func()) bool { return len(*l) == 0 })
	if len(from) == 0 {
		return false
	}
	l := from[rnd.IntN(len(from))]
	i := 0
	if l == &c.answers {
		i = rnd.IntN(len(*l))
	}
	step := (*l)[i]
	*l = slices.Delete(*l, i, i+1)
	step()
	return true
}

// settle carries out all steps, and gives all answers.
func (c *cluster) settle() {
	rnd := rand.New(rand.NewPCG(1, 1))
	for c.step(rnd) {
	}
}

// twoNodes are two hubs on one cluster.
type twoNodes struct {
	*cluster
	w [2]*world
	t testing.TB
}

// newTwoNodes makes two nodes that announce who comes and goes, as "+id count" and "-id count".
func newTwoNodes(t testing.TB, cfg Config) *twoNodes {
	t.Helper()
	two := &twoNodes{cluster: newCluster(2), t: t}
	cfg.Announce = func(e Event) Frames {
		switch e.Kind {
		case UserJoined:
			return Frames{frame.Prepare(frame.OpText, fmt.Appendf(nil, "+%s %d", e.User.ID(), e.Count))}
		case UserLeft:
			return Frames{frame.Prepare(frame.OpText, fmt.Appendf(nil, "-%s %d", e.User.ID(), e.Count))}
		case Changed:
			b := []byte("=")
			for _, u := range e.Came {
				b = fmt.Appendf(b, "+%s", u.ID())
			}
			for _, u := range e.Went {
				b = fmt.Appendf(b, "-%s", u.ID())
			}
			return Frames{frame.Prepare(frame.OpText, fmt.Appendf(b, " %d", e.Count))}
		}
		return Frames{}
	}
	if cfg.BrokerTimeout == 0 {
		cfg.BrokerTimeout = 10 * time.Second
	}
	for i, n := range two.nodes {
		cfg.Broker = n
		two.w[i] = newWorld(t, 1, cfg)
	}
	return two
}

// open makes a room on the first node, and opens it on the other one.
func (two *twoNodes) open(id string, o Options) (all [2]*Room) {
	two.t.Helper()
	all[0] = two.w[0].create(id, o)
	r, _, err := two.w[1].Open(id, nil)
	if err != nil {
		two.t.Fatal(err)
	}
	all[1] = r
	return all
}

// settle lets everything happen that is under way.
func (two *twoNodes) settle() {
	for again := true; again; {
		two.cluster.settle()
		two.w[0].run()
		two.w[1].run()
		again = len(two.answers)+len(two.nodes[0].steps)+len(two.nodes[1].steps) > 0
	}
}

// visitor makes a connection of a user on a node; "": of nobody.
func (two *twoNodes) visitor(node int, user string) *conn {
	two.t.Helper()
	c := two.w[node].connect(0)
	if user != "" {
		c.signIn(user, 0)
	}
	return c
}

// joinLater joins, and puts the outcome into told.
func (c *conn) joinLater(r *Room, told *[]error) {
	c.l.shards.JoinLater(c.Slot, c.Gen, r, JoinOptions{}, func(_ Joined, err error) { *told = append(*told, err) })
}

// member makes a member, which waits for the broker. err is the outcome.
func (two *twoNodes) member(node int, user string, r [2]*Room) (c *conn, err error) {
	two.t.Helper()
	c = two.visitor(node, user)
	var told []error
	c.joinLater(r[node], &told)
	if len(told) != 0 && r[node].Options().MaxMembers > 0 {
		two.t.Errorf("%q was told before the broker has answered: %v", user, told)
	}
	two.settle()
	if len(told) != 1 {
		two.t.Fatalf("%q was told %v", user, told)
	}
	return c, told[0]
}
