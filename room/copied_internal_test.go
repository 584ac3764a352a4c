package room

import (
	"slices"
	"testing"
)

// later is a broker that delivers when the test wants it to.
type later struct {
	*Memory
	held []func()
}

type laterTopic struct {
	Topic
	b *later
}

func (b *later) Open(room string, create *Options, s Subscriber, opened func(Topic, Opening, error)) {
	b.Memory.Open(room, create, s, func(topic Topic, at Opening, err error) { opened(laterTopic{topic, b}, at, err) })
}

func (t laterTopic) Publish(p Publication) {
	p.Payload = slices.Clone(p.Payload)
	t.b.held = append(t.b.held, func() { t.Topic.Publish(p) })
}

// A publisher may reuse its bytes at once, however long the broker takes.
func TestPublishCopies(t *testing.T) {
	b := &later{Memory: NewMemory()}
	w := newWorld(t, 2, Config{Broker: b})
	r := w.create("r", Options{})
	all := []*conn{w.connect(0), w.connect(0), w.connect(1)}
	for _, c := range all {
		c.join(r)
	}
	w.run()
	payload, except := []byte("as it was"), []Member{all[0].Member, all[1].Member}
	r.Publish(Message{Payload: payload, Except: except}, nil)
	clear(payload)
	except[0], except[1] = all[2].Member, all[2].Member
	for _, f := range b.held {
		f()
	}
	w.run()
	for i, want := range [][]string{nil, nil, {"as it was#1"}} {
		if !slices.Equal(all[i].got, want) {
			t.Errorf("connection %d got %q, want %q", i, all[i].got, want)
		}
	}
	w.audit()
}
