package room

import (
	"crypto/rand"
	"encoding/hex"
	"slices"
	"sync"

	"github.com/perchws/perch/frame"
)

// Broker gives the messages of a room their order and brings them to every node
// that has opened it. [Memory] is the one of a single process. The contract,
// which brokertest checks:
//
//   - All nodes see a room's publications in the same order, with the offsets
//     1, 2, 3 … of its epoch, none left out and none twice.
//   - A node gets all that come after the opening it was given; what came before is
//     in Opening.History as far as the broker still has it, the latest ones.
//   - When the order cannot be continued (data lost) every node is told by Reset,
//     before anything of the new epoch.
//   - A room that was removed, or whose history is lost, has another epoch when
//     it is opened again.
type Broker interface {
	// Open follows a room. Deliver may be called before Open returns. It may wait for
	// a network, except for Memory: then it is not for event loops.
	Open(room string, s Subscriber) (Topic, Opening, error)
}

// Opening is where a room stood when it was opened.
type Opening struct {
	Position
	History []Publication // the latest before that position and up to it, in order; may be empty
}

// Topic is one node's access to one room's order. Any goroutine.
type Topic interface {
	// Publish takes p into the order; it does not wait. On this node Deliver gets the
	// very p that was published, with its offset; then p.Settle is called. An
	// error is told by p.Settle too. p.Payload is the publisher's again when Publish
	// has returned: a broker that needs it for longer copies it.
	Publish(p Publication)

	// Close ends the following. With remove the room's order and history end for all
	// nodes. Nothing is delivered after it returns.
	Close(remove bool)
}

// Subscriber is a node's side of a room. Its methods are called one at a time,
// in order, and do not block.
type Subscriber interface {
	Deliver(p Publication)
	Reset(at Position)
}

// Publication is one message on its way through a broker.
type Publication struct {
	Offset  uint64
	Op      frame.Opcode // text or binary
	Payload []byte       // not to be changed; valid until Deliver returns

	order *order // on the node that published it
}

// Settle tells the publisher how it went. The broker calls it once, after Deliver
// on this node, with no lock held.
func (p Publication) Settle(err error) {
	if p.order != nil {
		p.order.settle(err)
	}
}

// Memory is the Broker of a single process. It keeps no history: the rooms do,
// and they are all here.
type Memory struct {
	mu     sync.Mutex
	topics map[string]*memoryOrder
}

// NewMemory returns a broker without rooms.
func NewMemory() *Memory { return &Memory{topics: make(map[string]*memoryOrder)} }

// memoryOrder is a room's order.
type memoryOrder struct {
	mu    sync.Mutex
	at    Position
	nodes []*memoryTopic
}

type memoryTopic struct {
	broker *Memory
	room   string
	order  *memoryOrder
	to     Subscriber
}

// Open implements Broker.
func (b *Memory) Open(room string, s Subscriber) (Topic, Opening, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.topics[room]
	if o == nil {
		o = &memoryOrder{at: Position{Epoch: newEpoch()}}
		b.topics[room] = o
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	t := &memoryTopic{broker: b, room: room, order: o, to: s}
	o.nodes = append(o.nodes, t)
	return t, Opening{Position: o.at}, nil
}

// newEpoch is 64 random bits: another epoch is never taken for this one.
func newEpoch() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// Publish implements Topic.
func (t *memoryTopic) Publish(p Publication) {
	defer p.Settle(nil) // whatever happens to those it is delivered to
	t.deliver(p)
}

// deliver gives p its place; a topic that is closed has none to give: its order
// may be somebody else's by now.
func (t *memoryTopic) deliver(p Publication) {
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
func (t *memoryTopic) Close(remove bool) {
	t.broker.mu.Lock()
	defer t.broker.mu.Unlock()
	o := t.order
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, n := range o.nodes {
		if n == t {
			o.nodes = append(o.nodes[:i:i], o.nodes[i+1:]...)
			break
		}
	}
	switch {
	case t.broker.topics[t.room] != o: // closed before
	case len(o.nodes) == 0:
		delete(t.broker.topics, t.room)
	case remove:
		o.at = Position{Epoch: newEpoch()}
		for _, n := range o.nodes {
			n.to.Reset(o.at)
		}
	}
}
