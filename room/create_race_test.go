package room_test

import (
	"errors"
	"testing"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/room"
)

// lateBroker opens a room twice when it is asked once, and delivers to a topic until the topic is closed.
type lateBroker struct {
	room.Broker
	again func()
}

func (b *lateBroker) Open(id string, o *room.Options, to room.Subscriber, opened func(room.Topic, room.Opening, error)) {
	again := b.again
	if again == nil {
		b.Broker.Open(id, o, to, opened)
		return
	}
	b.again = nil
	again()
	b.Broker.Open(id, o, to, func(topic room.Topic, at room.Opening, err error) { opened(lateTopic{topic, to}, at, err) })
}

type lateTopic struct {
	room.Topic
	to room.Subscriber
}

func (t lateTopic) Close(how room.Ending, reason string) {
	t.to.Deliver(room.Publication{Offset: 1, Op: frame.OpText, Payload: []byte("in the last moment")})
	t.Topic.Close(how, reason)
}

// If another call makes the room first, the slower call leaves nothing in the counts, even if messages come until its
// topic is closed.
func TestCreateTwice(t *testing.T) {
	b := &lateBroker{Broker: room.NewMemory()}
	hub := room.New(room.Config{Broker: b})
	defer hub.Close()
	b.again = func() {
		if _, err := hub.Create("a", room.Options{}); err != nil {
			t.Error(err)
		}
	}
	if _, err := hub.Create("a", room.Options{}); !errors.Is(err, room.ErrExists) {
		t.Errorf("the slower one: %v", err)
	}
	if s := hub.Stats(); s.Rooms != 1 || s.HistoryBytes != 0 {
		t.Errorf("%+v", s)
	}
}
