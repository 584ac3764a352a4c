package brokertest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/perchws/perch/room"
)

// Late is a broker that answers when a test wants it to, in any order between rooms, and with the faults that the
// test chooses. All nodes of a test share one; with [Late.Node] each of them has its own part. It keeps options,
// histories and the names of messages until a room is deleted or has expired.
//
// Each call becomes a step of its room. [Late.Step] carries out the oldest step of a room, [Late.Run] steps of all
// rooms. Any goroutine may call the methods.
type Late struct {
	// Fate decides the fate of a step; nil: [Answer]. It is set before the first call, and called with locks held.
	Fate func(room string, a Asked) Fate

	mu     sync.Mutex
	rooms  map[string]*lateRoom
	epochs int
	all    []*LateNode
	news   chan struct{} // closed with the next step
}

// Asked is the kind of a step.
type Asked uint8

const (
	Open Asked = iota
	Publish
	Close
	Relay
	Enter
	List
	Connections
)

// Fate is what happens to a step.
type Fate uint8

const (
	Answer Fate = iota // it is carried out and answered
	Early              // a publish is answered before it is delivered
	Twice              // it is carried out once and answered twice
	Silent             // it is carried out and not answered
	Never              // it is not carried out, nor answered
	Fail               // it is not carried out, and answered with ErrLate
)

// ErrLate is the error of a step that fails.
var ErrLate = errors.New("brokertest: the step fails")

// NewLate makes a broker without rooms.
func NewLate() *Late {
	return &Late{rooms: make(map[string]*lateRoom), news: make(chan struct{})}
}

// lateRoom is a room of a Late, kept from the first call about it to the end.
type lateRoom struct {
	id      string
	steps   []func()
	running sync.Mutex // held while a step runs, so that only one does

	mu      sync.Mutex // held while subscribers are called; taken before Late.mu
	there   bool
	at      room.Position
	options room.Options
	created time.Time
	log     []room.Publication
	names   map[[16]byte]named
	nodes   []*lateTopic
}

type named struct {
	once room.Once
	at   room.Position
}

type lateTopic struct {
	b    *Late
	r    *lateRoom
	to   room.Subscriber
	node *LateNode // nil: members are not counted

	// Under lateRoom.mu.
	closed  bool
	expired bool    // the lease of the node has ended
	places  []place // that the node has
}

// add appends a step to the steps of a room.
func (b *Late) add(id string, step func(r *lateRoom)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.addLocked(id, step)
}

// addLocked is add with b.mu held.
func (b *Late) addLocked(id string, step func(r *lateRoom)) {
	r := b.rooms[id]
	if r == nil {
		r = &lateRoom{id: id}
		b.rooms[id] = r
	}
	r.steps = append(r.steps, func() { step(r) })
	close(b.news)
	b.news = make(chan struct{})
}

// Step carries out the oldest step of a room; false: there is none.
func (b *Late) Step(id string) bool {
	b.mu.Lock()
	r := b.rooms[id]
	b.mu.Unlock()
	if r == nil {
		return false
	}
	r.running.Lock()
	defer r.running.Unlock()
	b.mu.Lock()
	if len(r.steps) == 0 {
		b.mu.Unlock()
		return false
	}
	step := r.steps[0]
	r.steps = r.steps[1:]
	b.mu.Unlock()
	step()
	return true
}

// Waiting returns the rooms with steps that wait, in order, each as often as it has steps.
func (b *Late) Waiting() (ids []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, r := range b.rooms {
		for range r.steps {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Await waits until n steps of a room wait; false: over was closed before.
func (b *Late) Await(id string, n int, over <-chan struct{}) bool {
	for {
		b.mu.Lock()
		news := b.news
		r := b.rooms[id]
		enough := r != nil && len(r.steps) >= n
		b.mu.Unlock()
		if enough {
			return true
		}
		select {
		case <-news:
		case <-over:
			return false
		}
	}
}

// Run carries out steps as they come until over is closed, those of different rooms in an order that follows from the
// seed.
func (b *Late) Run(seed uint64, over <-chan struct{}) {
	rng := rand.New(rand.NewPCG(seed, 0))
	for {
		b.mu.Lock()
		news := b.news
		b.mu.Unlock()
		if ids := b.Waiting(); len(ids) > 0 {
			b.Step(ids[rng.IntN(len(ids))])
			continue
		}
		select {
		case <-news:
		case <-over:
			return
		}
	}
}

// Change gives a room other options, as another node would.
func (b *Late) Change(id string, o room.Options) {
	b.add(id, func(r *lateRoom) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.options = o
		for _, n := range r.nodes {
			n.to.Changed(o)
		}
	})
}

// Remove deletes a room, as another node would.
func (b *Late) Remove(id, reason string) {
	b.add(id, func(r *lateRoom) { r.end(reason) })
}

// Lose loses the messages of a room, which goes on in another epoch.
func (b *Late) Lose(id string) {
	b.add(id, func(r *lateRoom) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.at = room.Position{Epoch: b.epoch()}
		r.log, r.names = nil, nil
		for _, n := range r.nodes {
			n.to.Reset(r.at)
		}
	})
}

func (b *Late) epoch() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.epochs++
	return fmt.Sprint("epoch ", b.epochs)
}

func (b *Late) fate(id string, a Asked) Fate {
	if b.Fate == nil {
		return Answer
	}
	return b.Fate(id, a)
}

// asked carries out a call and answers it, unless its fate is another one.
func (b *Late) asked(id string, a Asked, carry func() error, answer func(error)) {
	f := b.fate(id, a)
	if f == Never {
		return
	}
	err := ErrLate
	if f != Fail {
		err = carry()
	}
	if f == Silent {
		return
	}
	answer(err)
	if f == Twice {
		answer(err)
	}
}

// Open implements room.Broker.
func (b *Late) Open(id string, create *room.Options, s room.Subscriber, opened func(room.Topic, room.Opening, error)) {
	b.open(id, create, s, nil, opened)
}

// open is Open for a node; nil: for one that has no part of its own.
func (b *Late) open(id string, create *room.Options, s room.Subscriber, n *LateNode,
	opened func(room.Topic, room.Opening, error),
) {
	if create != nil {
		o := *create
		create = &o
	}
	b.add(id, func(r *lateRoom) {
		f := b.fate(id, Open)
		switch f {
		case Never:
			return
		case Fail:
			opened(nil, room.Opening{}, ErrLate)
			return
		}
		t, at, err := r.follow(b, create, s, n)
		if f == Silent {
			return
		}
		answer := func() {
			if err != nil {
				opened(nil, room.Opening{}, err)
				return
			}
			if n != nil {
				opened(countingTopic{t}, at, nil)
				return
			}
			opened(t, at, nil)
		}
		answer()
		if f == Twice {
			answer()
		}
	})
}

func (r *lateRoom) follow(b *Late, create *room.Options, s room.Subscriber, n *LateNode) (*lateTopic, room.Opening, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	made := !r.there
	switch {
	case !made:
	case create == nil:
		return nil, room.Opening{}, room.ErrNotFound
	default:
		r.there, r.options, r.at, r.created = true, *create, room.Position{Epoch: b.epoch()}, time.Now()
	}
	t := &lateTopic{b: b, r: r, to: s, node: n}
	r.nodes = append(r.nodes, t)
	return t, room.Opening{
		Position: r.at, Options: r.options, Created: r.created, Made: made, History: slices.Clone(r.log),
		Members: r.members(),
	}, nil
}

// Publish implements room.Topic.
func (t *lateTopic) Publish(p room.Publication) {
	p.Payload = slices.Clone(p.Payload)
	t.b.add(t.r.id, func(r *lateRoom) {
		f := t.b.fate(r.id, Publish)
		switch f {
		case Never:
			return
		case Fail:
			p.Settle(room.Outcome{Err: ErrLate})
			return
		case Early:
			if at, ok := t.next(p); ok {
				p.Settle(room.Outcome{Position: at})
			}
		}
		out := t.place(p)
		if f == Silent {
			return
		}
		p.Settle(out)
		if f == Twice {
			p.Settle(out)
		}
	})
}

// Relay implements room.Relay.
func (t *lateTopic) Relay(f room.Frames, class room.Class) {
	t.b.add(t.r.id, func(r *lateRoom) {
		if t.b.fate(r.id, Relay) != Answer {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, n := range r.nodes {
			if n != t {
				n.to.Relayed(f, class)
			}
		}
	})
}

// next returns the place that place would give p; false: p gets none.
func (t *lateTopic) next(p room.Publication) (room.Position, bool) {
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	return room.Position{Epoch: t.r.at.Epoch, Offset: t.r.at.Offset + 1}, t.r.there && !t.closed && p.Once == nil
}

// place gives p its offset and delivers it to all nodes.
func (t *lateTopic) place(p room.Publication) room.Outcome {
	r := t.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.closed || !r.there {
		return room.Outcome{Err: room.ErrNotFound}
	}
	if p.Once != nil {
		if first, ok := r.names[p.Once.Key]; ok {
			return room.Outcome{Position: first.at, First: &first.once}
		}
	}
	r.at.Offset++
	p.Offset = r.at.Offset
	if p.Once != nil {
		if r.names == nil {
			r.names = make(map[[16]byte]named)
		}
		r.names[p.Once.Key] = named{*p.Once, r.at}
	}
	foreign := room.Publication{Offset: p.Offset, Op: p.Op, Payload: p.Payload}
	r.log = append(r.log, foreign)
	for _, n := range r.nodes {
		if n == t {
			n.to.Deliver(p)
		} else {
			n.to.Deliver(foreign)
		}
	}
	return room.Outcome{Position: r.at}
}

// Close implements room.Topic.
func (t *lateTopic) Close(how room.Ending, reason string) {
	t.r.mu.Lock()
	closed := t.closed
	t.closed = true
	t.r.nodes = slices.DeleteFunc(t.r.nodes, func(n *lateTopic) bool { return n == t })
	t.r.mu.Unlock()
	if closed {
		return
	}
	t.b.add(t.r.id, func(r *lateRoom) {
		r.mu.Lock()
		r.vacate(t)
		r.mu.Unlock()
		if f := t.b.fate(r.id, Close); f == Never || f == Fail {
			return
		}
		switch how {
		case room.Deleted:
			r.end(reason)
		case room.Expired:
			r.mu.Lock()
			followed := len(r.nodes) > 0
			r.mu.Unlock()
			if !followed {
				r.end(reason)
			}
		}
	})
}

// end removes the room, and tells the nodes that follow it.
func (r *lateRoom) end(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.there, r.log, r.names = false, nil, nil
	for _, n := range r.nodes {
		n.closed = true
		n.to.Removed(reason)
	}
	r.nodes = nil
}
