package room

import (
	"errors"
	"slices"
	"testing"

	"github.com/perchws/perch/frame"
)

// scripted is a broker that calls the test when a room is opened or closed; otherwise it is Memory.
type scripted struct {
	*Memory
	open   func(room string, s Subscriber) (Opening, error)
	closed func(room string, how Ending)
}

func (b *scripted) Open(room string, create *Options, s Subscriber, opened func(Topic, Opening, error)) {
	var at Opening
	var err error
	if b.open != nil {
		at, err = b.open(room, s)
	}
	b.Memory.Open(room, create, s, func(t Topic, o Opening, e error) {
		at.Made = o.Made
		if b.open == nil {
			at, err = o, e
		}
		opened(scriptedTopic{t, b, room}, at, err)
	})
}

type scriptedTopic struct {
	Topic
	b    *scripted
	room string
}

func (t scriptedTopic) Close(how Ending, reason string) {
	if t.Topic.Close(how, reason); t.b.closed != nil {
		t.b.closed(t.room, how)
	}
}

// published returns publications that a broker brings from another node.
func published(from, to uint64) (all []Publication) {
	for i := from; i <= to; i++ {
		all = append(all, Publication{Offset: i, Op: frame.OpText, Payload: []byte("m")})
	}
	return all
}

// A room begins at the position that the broker has, with the history that the broker has.
func TestOpenWithHistory(t *testing.T) {
	b := &scripted{Memory: NewMemory(), open: func(string, Subscriber) (Opening, error) {
		return Opening{Position: Position{"e", 7}, History: published(4, 7)}, nil
	}}
	w := newWorld(t, 1, Config{Broker: b})
	r := w.create("r", Options{})
	c := w.connect(0)
	j := c.joinWith(r, JoinOptions{Recent: 50})
	if want := []string{"m#4", "m#5", "m#6", "m#7"}; j.Position != (Position{"e", 7}) || !slices.Equal(payloads(j.Recent), want) {
		t.Errorf("joined at %v with %q, want %q", j.Position, payloads(j.Recent), want)
	}
	for offset, want := range map[uint64]int{3: 4, 5: 2, 7: 0} {
		if n, ok := w.recovered(r, Position{"e", offset}); n != want || !ok {
			t.Errorf("since %d: %d messages, recovered %t, want %d", offset, n, ok, want)
		}
	}
	if _, ok := w.recovered(r, Position{"e", 2}); ok {
		t.Error("recovered messages older than the history")
	}
	w.run()
	w.audit()
}

// Messages that the broker delivers before Open has returned come after the opening.
func TestOpenWhileDelivering(t *testing.T) {
	b := &scripted{Memory: NewMemory(), open: func(_ string, s Subscriber) (Opening, error) {
		for _, p := range published(4, 5) {
			s.Deliver(p)
		}
		return Opening{Position: Position{"e", 3}, History: published(2, 3)}, nil
	}}
	w := newWorld(t, 1, Config{Broker: b})
	r := w.create("r", Options{})
	if at := r.Position(); at != (Position{"e", 5}) {
		t.Errorf("the room is at %v, want at 5 of e", at)
	}
	if n, ok := w.recovered(r, Position{"e", 1}); n != 4 || !ok {
		t.Errorf("%d messages, recovered %t, want 4", n, ok)
	}
	r.Deliver(published(6, 6)[0])
	if n, ok := w.recovered(r, Position{"e", 1}); n != 5 || !ok {
		t.Errorf("%d messages, recovered %t, want 5", n, ok)
	}
	w.run()
	w.audit()
}

// A reset that comes before Open has returned is newer than the opening.
func TestOpenWhileResetting(t *testing.T) {
	b := &scripted{Memory: NewMemory(), open: func(_ string, s Subscriber) (Opening, error) {
		s.Reset(Position{"f", 0})
		s.Deliver(published(1, 1)[0])
		return Opening{Position: Position{"e", 3}, History: published(2, 3)}, nil
	}}
	w := newWorld(t, 1, Config{Broker: b})
	r := w.create("r", Options{})
	if at := r.Position(); at != (Position{"f", 1}) {
		t.Errorf("the room is at %v, want at 1 of f", at)
	}
	if n, ok := w.recovered(r, Position{"f", 0}); n != 1 || !ok {
		t.Errorf("%d messages, recovered %t, want 1", n, ok)
	}
	w.run()
	w.audit()
}

// After a reset nobody gets messages of the old epoch, and members go on.
func TestReset(t *testing.T) {
	w := newWorld(t, 1, Config{})
	r := w.create("r", Options{})
	c := w.connect(0)
	c.join(r)
	old := w.publish(r, "old").Position
	r.Reset(Position{"new", 10})
	if n := w.Stats().HistoryBytes; n != 0 {
		t.Errorf("%d bytes of history", n)
	}
	r.Deliver(published(11, 11)[0])
	w.run()
	c.expect("old#1", "m#11")
	if n, ok := w.recovered(r, old); n != 0 || ok {
		t.Errorf("since the old epoch: %d messages, recovered %t", n, ok)
	}
	if n, ok := w.recovered(r, Position{"new", 10}); n != 1 || !ok {
		t.Errorf("since the new epoch: %d messages, recovered %t", n, ok)
	}
	w.run()
	w.audit()
}

// Of two calls that make a room at the same time one is too late, and the topic that it has opened is closed.
func TestCreateTwiceAtOnce(t *testing.T) {
	var w *world
	var first *Room
	closed := 0
	b := &scripted{Memory: NewMemory(), closed: func(_ string, how Ending) {
		if how == Deleted {
			t.Error("the room of the quicker one is removed")
		}
		w.Room("r") // no lock is held
		closed++
	}}
	b.open = func(string, Subscriber) (Opening, error) {
		b.open = func(string, Subscriber) (Opening, error) {
			return Opening{Position: Position{"e", 9}, History: published(1, 9)}, nil
		}
		first = w.create("r", Options{})
		return Opening{Position: Position{"e", 9}, History: published(1, 9)}, nil
	}
	w = newWorld(t, 1, Config{Broker: b})
	_, err := w.Create("r", Options{})
	w.is(err, ErrExists, "the slower Create")
	if w.Room("r") != first || closed != 1 {
		t.Errorf("the room is not the first; %d topics closed, want 1", closed)
	}
	w.audit() // also the bytes of histories
}

// A room made while one of the same id is being deleted is another room without the order of the old one, or it
// cannot be made yet.
func TestCreateWhileDeleting(t *testing.T) {
	var w *world
	b := &scripted{Memory: NewMemory()}
	w = newWorld(t, 1, Config{Broker: b})
	old := w.create("r", Options{})
	at := w.publish(old, "old").Position
	tried := false
	b.closed = func(id string, _ Ending) {
		tried = true
		if r, err := w.Create(id, Options{}); err == nil && r.Position().Epoch == at.Epoch || err != nil && !errors.Is(err, ErrExists) {
			t.Errorf("Create: %v", err)
		}
	}
	w.is(w.Delete(old, ""), nil, "Delete")
	if !tried {
		t.Fatal("the order is not removed")
	}
	b.closed = nil
	r := w.Room("r")
	if r == nil {
		r = w.create("r", Options{})
	}
	if r.Position() == at || r.Position().Epoch == at.Epoch {
		t.Errorf("the new room is at %v", r.Position())
	}
	if _, ok := w.recovered(r, at); ok {
		t.Error("recovered from the old room")
	}
	w.run()
	w.audit()
}

// Create returns errors of the broker.
func TestOpenFails(t *testing.T) {
	broken := errors.New("broken")
	w := newWorld(t, 1, Config{Broker: &scripted{Memory: NewMemory(), open: func(string, Subscriber) (Opening, error) { return Opening{}, broken }}})
	if r, err := w.Create("r", Options{}); r != nil || !errors.Is(err, broken) {
		t.Errorf("Create: %v, %v", r, err)
	}
	if w.Room("r") != nil {
		t.Error("the room is there")
	}
	w.audit()
}
