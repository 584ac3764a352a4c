package brokertest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/room"
)

// node is a hub on one of the nodes, with a recorder behind each of its rooms: only a Room can see how a publication
// is settled.
type node struct {
	*room.Hub
	c *check

	mu       sync.Mutex
	recorder map[string]*recorder // by room
}

func (c *check) node(i int) *node {
	n := &node{c: c, recorder: make(map[string]*recorder)}
	n.Hub = room.New(room.Config{Broker: tapped{n, c.Nodes[i]}, MaxQueue: -1})
	c.Cleanup(n.Close)
	return n
}

// create makes a room, or finds it.
func (n *node) create(id string) *room.Room {
	n.c.Helper()
	r, _, err := n.Open(id, &room.Options{})
	if err != nil {
		n.c.Fatalf("Open(%q): %v", id, err)
	}
	return r
}

// delivered returns the recorder of a room.
func (n *node) delivered(id string) *recorder {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.recorder[id]
}

// tapped is a node's broker with a recorder behind each of its rooms.
type tapped struct {
	n *node
	room.Broker
}

func (b tapped) Open(id string, create *room.Options, s room.Subscriber, opened func(room.Topic, room.Opening, error)) {
	r := newRecorder(b.n.c.T)
	b.n.mu.Lock()
	b.n.recorder[id] = r
	b.n.mu.Unlock()
	b.Broker.Open(id, create, tap{s, r}, opened)
}

type tap struct {
	room.Subscriber
	r *recorder
}

func (t tap) Deliver(p room.Publication) {
	t.Subscriber.Deliver(p)
	t.r.Deliver(p)
}

// within demands that done is closed in time.
func (c *check) within(what string, done <-chan struct{}) {
	c.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		c.Fatalf("waited in vain for %s", what)
	}
}

// settlements counts how often each of n publications is settled.
type settlements struct {
	mu    sync.Mutex
	count map[string]int
	left  int
	done  chan struct{}
}

func expectSettled(n int) *settlements {
	return &settlements{count: make(map[string]int), left: n, done: make(chan struct{})}
}

func (s *settlements) settled(payload string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count[payload]++
	if s.left--; s.left == 0 {
		close(s.done)
	}
}

func (s *settlements) check(c *check) {
	c.Helper()
	c.within("all to be settled", s.done)
	s.mu.Lock()
	defer s.mu.Unlock()
	for m, n := range s.count {
		if n != 1 {
			c.Errorf("%q was settled %d times", m, n)
		}
	}
}

// settleOnce: every publication is delivered to the room that published it, as its own only there, and then settled,
// once.
func settleOnce(c *check) {
	const publishers, messages = 2, 100
	var nodes []*node
	var rooms []*room.Room
	for i := range c.Nodes {
		nodes = append(nodes, c.node(i))
		rooms = append(rooms, nodes[i].create("r"))
	}
	total := len(nodes) * publishers * messages
	s := expectSettled(total)
	var publishing sync.WaitGroup
	for i, r := range rooms {
		for p := range publishers {
			publishing.Go(func() {
				for k := range messages {
					m := fmt.Sprintf("%d.%d %d", i, p, k)
					r.Publish(room.Message{Op: frame.OpBinary, Payload: []byte(m)}, func(receipt room.Receipt, err error) {
						rec := nodes[i].delivered("r")
						rec.mu.Lock()
						switch at := receipt.Offset; {
						case err != nil:
							c.Errorf("%q: %v", m, err)
						case at == 0 || at > uint64(len(rec.events)):
							c.Errorf("%q is settled at %d, before it was delivered", m, at)
						case rec.events[at-1].message != describe(room.Publication{Op: frame.OpBinary, Payload: []byte(m)}):
							c.Errorf("%q is settled at %d, where there is %s", m, at, rec.events[at-1].message)
						case receipt.Epoch != r.Position().Epoch:
							c.Errorf("%q is settled in the epoch %q", m, receipt.Epoch)
						}
						rec.mu.Unlock()
						s.settled(m)
					})
				}
			})
		}
	}
	publishing.Wait()
	s.check(c)
	for i, n := range nodes {
		rec := n.delivered("r")
		rec.await("all messages", func() bool { return len(rec.events) >= total })
		if got := n.Stats().Published; got != publishers*messages {
			c.Errorf("node %d: %d of its own came back, want %d", i, got, publishers*messages)
		}
		if q := rooms[i].Queue(); q != 0 {
			c.Errorf("node %d: %d publishes pending", i, q)
		}
		if at := rooms[i].Position(); at != rooms[0].Position() || at.Offset != uint64(total) {
			c.Errorf("node %d is at %v, node 0 at %v, want offset %d", i, at, rooms[0].Position(), total)
		}
	}
	s.check(c)
}

// settleUnlocked: the function that tells a publisher the outcome may call any method of the hub and the broker.
func settleUnlocked(c *check) {
	n := c.node(0)
	r, other := n.create("r"), n.create("other")
	done := make(chan struct{})
	check := func(err error) {
		if err != nil {
			c.Error(err)
		}
	}
	go r.Publish(room.Message{Payload: []byte("1")}, func(_ room.Receipt, err error) {
		check(err)
		r.Publish(room.Message{Payload: []byte("2")}, func(_ room.Receipt, err error) {
			check(err)
			other.Publish(room.Message{Payload: []byte("3")}, func(_ room.Receipt, err error) {
				check(err)
				check(n.Delete(other, ""))
				go func() { // Create may wait for the broker, and this may be the broker's goroutine
					defer close(done)
					_, err := n.Create("third", room.Options{})
					check(err)
					check(n.Delete(r, ""))
				}()
			})
		})
	})
	c.within("a publish within a publish within a publish", done)
}

// settleAtTheEnd: publishes while the room is deleted, and after that, are all settled.
func settleAtTheEnd(c *check) {
	const publishers, messages = 4, 100
	n, other := c.node(0), c.node(1)
	for round := range 5 {
		id := fmt.Sprint("r", round)
		r := n.create(id)
		other.create(id)
		s := expectSettled(publishers*messages + 1)
		var publishing sync.WaitGroup
		for p := range publishers {
			publishing.Go(func() {
				for k := range messages {
					m := fmt.Sprintf("%d %d", p, k)
					r.Publish(room.Message{Payload: []byte(m)}, func(_ room.Receipt, err error) {
						if err != nil && !errors.Is(err, room.ErrNotFound) {
							c.Errorf("%q: %v", m, err)
						}
						s.settled(m)
					})
				}
			})
		}
		rec := n.delivered(id)
		rec.await("the first message", func() bool { return len(rec.events) > 0 })
		if err := n.Delete(r, ""); err != nil {
			c.Error(err)
		}
		publishing.Wait()
		r.Publish(room.Message{Payload: []byte("late")}, func(_ room.Receipt, err error) {
			if !errors.Is(err, room.ErrNotFound) {
				c.Errorf("publish to a deleted room: %v", err)
			}
			s.settled("late")
		})
		s.check(c)
		if q := r.Queue(); q != 0 {
			c.Errorf("%d publishes pending", q)
		}
	}
}
