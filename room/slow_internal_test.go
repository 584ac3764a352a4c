package room

import (
	"slices"
	"sync"
)

// slowBroker is Memory with answers that wait until the test lets them through, each room's in order.
// (brokertest.Late can do more, but cannot be imported here.)
type slowBroker struct {
	*Memory
	inline  bool                              // nothing waits
	placing func(room string, payload []byte) // called before a publish gets its place; may be nil
	opening func(room string)                 // called before a room is opened

	mu    sync.Mutex
	rooms map[string][]func(fate)
}

// fate is what happens to a step.
type fate uint8

const (
	answer fate = iota
	twice       // it is carried out once and answered twice
	silent      // it is carried out and not answered
	never       // it is not carried out
	early       // a publish is answered before it is delivered
	broken      // it is not carried out, and answered with errBroken
)

func newSlowBroker() *slowBroker {
	return &slowBroker{Memory: NewMemory(), rooms: make(map[string][]func(fate))}
}

func (b *slowBroker) add(room string, step func(fate)) {
	if b.inline {
		step(answer)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rooms[room] = append(b.rooms[room], step)
}

// step carries out the oldest step of a room; false: there is none.
func (b *slowBroker) step(room string, f fate) bool {
	b.mu.Lock()
	all := b.rooms[room]
	if len(all) == 0 {
		b.mu.Unlock()
		return false
	}
	b.rooms[room] = all[1:]
	b.mu.Unlock()
	all[0](f)
	return true
}

// waiting returns the rooms with steps, in order.
func (b *slowBroker) waiting() (ids []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, steps := range b.rooms {
		if len(steps) > 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// all carries out all steps.
func (b *slowBroker) all() {
	for ids := b.waiting(); len(ids) > 0; ids = b.waiting() {
		for _, id := range ids {
			b.step(id, answer)
		}
	}
}

func (b *slowBroker) Open(room string, create *Options, s Subscriber, opened func(Topic, Opening, error)) {
	b.add(room, func(f fate) {
		switch f {
		case never:
			return
		case broken:
			opened(nil, Opening{}, errBroken)
			return
		}
		if b.opening != nil {
			b.opening(room)
		}
		t, at, err := b.follow(room, create, s)
		for range map[fate]int{answer: 1, twice: 2}[f] {
			if err != nil {
				opened(nil, at, err)
			} else {
				opened(slowTopic{t, b, room}, at, nil)
			}
		}
	})
}

type slowTopic struct {
	*memoryTopic
	b    *slowBroker
	name string
}

func (t slowTopic) Publish(p Publication) {
	p.Payload = slices.Clone(p.Payload)
	t.b.add(t.name, func(f fate) {
		switch f {
		case never:
			return
		case broken:
			p.Settle(Outcome{Err: errBroken})
			return
		case early:
			p.Settle(Outcome{Position: Position{t.order.at.Epoch, t.order.at.Offset + 1}})
		}
		if t.b.placing != nil {
			t.b.placing(t.name, p.Payload)
		}
		t.place(p)
		for range map[fate]int{answer: 1, twice: 2, early: 1}[f] {
			p.Settle(Outcome{})
		}
	})
}

func (t slowTopic) Close(how Ending, reason string) {
	t.b.add(t.name, func(fate) { t.memoryTopic.Close(how, reason) })
}
