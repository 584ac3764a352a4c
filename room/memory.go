package room

import (
	"encoding/hex"
	"slices"
	"sync"

	"github.com/perchws/perch/internal/entropy"
)

// Memory is the Broker of a single process. It answers at once. It keeps no history: the rooms keep it, and they are
// all in this process.
type Memory struct {
	entropy entropy.Source // immutable

	mu     sync.Mutex
	topics map[string]*memoryOrder
}

// NewMemory returns a broker without rooms.
func NewMemory() *Memory { return newMemory(entropy.System{}) }

func newMemory(random entropy.Source) *Memory {
	return &Memory{entropy: random, topics: make(map[string]*memoryOrder)}
}

// memoryOrder is a room's order.
type memoryOrder struct {
	mu      sync.Mutex
	at      Position
	options Options
	nodes   []*memoryTopic
}

type memoryTopic struct {
	broker *Memory
	room   string
	order  *memoryOrder
	to     Subscriber
}

// Open implements Broker.
func (b *Memory) Open(room string, create *Options, s Subscriber, opened func(Topic, Opening, error)) {
	t, at, err := b.follow(room, create, s)
	if err != nil {
		opened(nil, at, err)
		return
	}
	opened(t, at, nil)
}

func (b *Memory) follow(room string, create *Options, s Subscriber) (*memoryTopic, Opening, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.topics[room]
	made := o == nil
	switch {
	case !made:
	case create == nil:
		return nil, Opening{}, ErrNotFound
	default:
		o = &memoryOrder{at: Position{Epoch: b.newEpoch()}, options: *create}
		b.topics[room] = o
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	t := &memoryTopic{broker: b, room: room, order: o, to: s}
	o.nodes = append(o.nodes, t)
	return t, Opening{Position: o.at, Options: o.options, Made: made}, nil
}

// newEpoch is 64 random bits: no two epochs are the same.
func (b *Memory) newEpoch() string {
	var e [8]byte
	b.entropy.Fill(e[:])
	return hex.EncodeToString(e[:])
}

// Publish implements Topic.
func (t *memoryTopic) Publish(p Publication) {
	defer p.Settle(Outcome{}) // also if a panic in Deliver ends this function
	t.place(p)
}

// place gives p its offset. A closed topic gives none: its order may belong to a new room by now.
func (t *memoryTopic) place(p Publication) {
	o := t.order
	o.mu.Lock()
	defer o.mu.Unlock()
	if !slices.Contains(o.nodes, t) {
		return
	}
	o.at.Offset++
	p.Offset = o.at.Offset
	for _, n := range o.nodes {
		q := p
		if n != t {
			q.order = nil
		}
		n.to.Deliver(q)
	}
}

// Close implements Topic.
func (t *memoryTopic) Close(how Ending, reason string) {
	t.broker.mu.Lock()
	defer t.broker.mu.Unlock()
	o := t.order
	o.mu.Lock()
	defer o.mu.Unlock()
	i := slices.Index(o.nodes, t)
	if i < 0 { // it is closed already
		return
	}
	o.nodes = append(o.nodes[:i:i], o.nodes[i+1:]...)
	if how == Deleted {
		for _, n := range o.nodes {
			n.to.Removed(reason)
		}
		o.nodes = nil
	}
	if len(o.nodes) == 0 {
		delete(t.broker.topics, t.room)
	}
}
