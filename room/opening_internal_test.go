package room

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch/frame"
)

var errBroken = errors.New("the broker is broken")

// slowWorld is a world with a broker whose answers wait for the test.
func slowWorld(t testing.TB, loops int, c Config) (*world, *slowBroker) {
	t.Helper()
	b := newSlowBroker()
	c.Broker = b
	return newWorld(t, loops, c), b
}

// opens asks for a room as a connection. note, if not nil, gets the answer.
func (c *conn) opens(id string, create *Options, note func(r *Room, made bool, err error)) {
	c.l.shards.Open(c.Slot, c.Gen, id, create, func(r *Room, made bool, err error) {
		if note != nil {
			note(r, made, err)
		}
	})
}

// opening returns a room that a connection has asked for, and about which the broker has not answered.
func (w *world) opening(id string) *Room {
	w.t.Helper()
	w.connect(0).opens(id, &Options{}, nil)
	r := w.Room(id)
	if r == nil || !r.opening.Load() {
		w.t.Fatalf("room %q is not being opened: %v", id, r)
	}
	return r
}

// empty demands that no call waits, and that the broker owes no answer.
func (w *world) empty() {
	w.t.Helper()
	w.Sweep()
	waits := 0
	for _, l := range w.loops {
		waits += len(l.shards.waits)
	}
	if n := w.waitingBytes.Load(); n != 0 || waits != 0 || len(w.owed) != 0 {
		w.t.Errorf("%d bytes wait, of %d connections; the broker owes %d rooms an answer", n, waits, len(w.owed))
	}
	w.audit()
}

// Calls about a room that is being opened are answered in order when it is open. Messages keep the order in which
// they were published, before and after.
func TestOpeningWaitsInOrder(t *testing.T) {
	w, b := slowWorld(t, 2, Config{})
	c, other := w.connect(0), w.connect(1)
	var log []string
	note := func(what string, err error) { log = append(log, fmt.Sprintf("%s %v", what, err)) }
	var r *Room
	c.opens("r", &Options{Name: "Sea"}, func(opened *Room, made bool, err error) { note(fmt.Sprint("opened ", made), err) })
	r = w.Room("r")
	other.opens("r", &Options{}, func(opened *Room, made bool, err error) { note(fmt.Sprint("found ", made, opened == r), err) })
	publish := func(text string) {
		r.Publish(Message{Payload: []byte(text)}, func(at Receipt, err error) { note(fmt.Sprint(text, " ", at.Offset), err) })
	}
	publish("one")
	c.l.shards.JoinLater(c.Slot, c.Gen, r, JoinOptions{Recent: 9}, func(j Joined, err error) {
		note(fmt.Sprint("joined ", payloads(j.Recent)), err)
	})
	publish("two")
	c.l.shards.Await(c.Slot, c.Gen, r, func(err error) { note(fmt.Sprint("page ", payloads(r.Before(9, 9).Messages)), err) })
	if _, err := c.tryJoin(r, JoinOptions{}); !errors.Is(err, ErrOpening) || !errors.Is(err, ErrUnavailable) {
		t.Errorf("Join: %v", err)
	}
	if len(log) != 0 || len(w.Rooms()) != 0 {
		t.Errorf("answered already: %q, rooms %v", log, w.Rooms())
	}
	b.step("r", answer) // the room is open
	publish("three")
	b.step("r", answer) // the first message
	w.run()
	b.all()
	w.run()
	want := []string{
		"one 1 <nil>", "opened true <nil>", "joined [one#1] <nil>", "page [one#1] <nil>", "found false true <nil>",
		"two 2 <nil>", "three 3 <nil>",
	}
	if !slices.Equal(log, want) {
		t.Errorf("answers %q, want %q", log, want)
	}
	c.expect("two#2", "three#3")
	if o := r.Options(); o.Name != "Sea" {
		t.Errorf("options %+v", o)
	}
	w.empty()
}

// Waiting calls are bounded: for a room in number and bytes, for all rooms in bytes. Other rooms are served
// meanwhile, and the calls that wait are answered in the end.
func TestOpeningBounds(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    Config
		size int
		fits int
	}{
		{"calls", Config{MaxWaiting: 3}, 1, 2}, // and the call that has asked for the room
		{"bytes", Config{MaxWaitingBytes: 4 * waitCost}, waitCost, 1},
		{"all", Config{MaxWaitingTotal: 5 * waitCost}, waitCost, 2},
		{"publishes", Config{MaxQueue: 2}, 1, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, b := slowWorld(t, 1, tt.c)
			r := w.opening("stuck")
			said := Message{Payload: make([]byte, tt.size)}
			var settled []error
			for range tt.fits + 1 {
				r.Publish(said, func(_ Receipt, err error) { settled = append(settled, err) })
			}
			if len(settled) != 1 || !errors.Is(settled[0], ErrQueueFull) {
				t.Errorf("settled %v, want the last with ErrQueueFull", settled)
			}
			if tt.name != "publishes" {
				c := w.connect(0)
				var joined error
				c.l.shards.JoinLater(c.Slot, c.Gen, r, JoinOptions{}, func(_ Joined, err error) { joined = err })
				if tt.name == "calls" && !errors.Is(joined, ErrQueueFull) { // it would have fitted otherwise
					t.Errorf("JoinLater: %v", joined)
				}
				c.close()
			}
			if tt.name != "all" { // another connection
				c := w.connect(0)
				var other *Room
				c.opens("other", &Options{}, func(r *Room, _ bool, err error) { w.is(err, nil, "Open of another room"); other = r })
				b.step("other", answer)
				w.run()
				c.join(other)
				other.Publish(said, nil)
				b.step("other", answer)
				w.run()
				if len(c.got) != 1 {
					t.Errorf("in another room %q", c.got)
				}
			}
			b.all()
			w.run()
			for _, err := range settled[1:] {
				w.is(err, nil, "Publish")
			}
			if len(settled) != tt.fits+1 || r.Position().Offset != uint64(tt.fits) {
				t.Errorf("%d settled, the room is at %v", len(settled), r.Position())
			}
			w.empty()
		})
	}
}

// When the broker does not answer about a room, all calls that wait get the error. The room is not there, and may be
// asked for again. A Topic that comes later is closed.
func TestOpeningTimeout(t *testing.T) {
	for _, late := range []bool{false, true} {
		w, b := slowWorld(t, 1, Config{})
		c := w.connect(0)
		r := w.opening("r")
		var told []error
		c.opens("r", nil, func(_ *Room, _ bool, err error) { told = append(told, err) })
		c.l.shards.JoinLater(c.Slot, c.Gen, r, JoinOptions{}, func(_ Joined, err error) { told = append(told, err) })
		r.Publish(Message{Payload: []byte("x")}, func(_ Receipt, err error) { told = append(told, err) })
		if !late {
			b.step("r", never)
		}
		w.pass(10*time.Second - 1)
		w.run()
		if len(told) != 0 || w.Room("r") != r {
			t.Fatalf("given up too early: %v", told)
		}
		w.pass(1)
		w.run()
		if len(told) != 3 || w.Room("r") != nil || !r.Closed() {
			t.Errorf("%v, listed %t, closed %t", told, w.Room("r") != nil, r.Closed())
		}
		for _, err := range told {
			if !errors.Is(err, ErrTimeout) || !errors.Is(err, ErrUnavailable) {
				t.Errorf("%v, want ErrTimeout", err)
			}
		}
		if _, err := c.tryJoin(r, JoinOptions{}); !errors.Is(err, ErrNotFound) {
			t.Errorf("join of a room that was given up: %v", err)
		}
		b.all() // too late
		if n := len(b.topics); n != 0 {
			t.Errorf("%d topics are still open", n)
		}
		again := w.opening("r")
		b.all()
		w.run()
		if again == r || w.Room("r") != again || again.Closed() {
			t.Error("the room cannot be opened again")
		}
		w.empty()
	}
}

// An error of the broker goes to all calls that wait; a second answer changes nothing.
func TestOpeningAnswers(t *testing.T) {
	w, b := slowWorld(t, 1, Config{})
	r := w.opening("broken")
	c := w.connect(0)
	var told error
	c.l.shards.Await(c.Slot, c.Gen, r, func(err error) { told = err })
	b.step("broken", broken)
	w.run()
	if !errors.Is(told, errBroken) || !errors.Is(told, ErrUnavailable) || w.Room("broken") != nil {
		t.Errorf("told %v, listed %t", told, w.Room("broken") != nil)
	}
	r = w.opening("twice")
	c.l.shards.JoinLater(c.Slot, c.Gen, r, JoinOptions{}, func(_ Joined, err error) { told = err })
	r.Publish(Message{Payload: []byte("x")}, nil)
	b.step("twice", twice)
	b.step("twice", twice)
	w.run()
	if told != nil || !c.in(r) || r.Position().Offset != 1 {
		t.Errorf("told %v, in it %t, at %v", told, c.in(r), r.Position())
	}
	w.empty()
}

// A call that wants to make a room waits for one that only looks for it, and then makes it.
func TestOpeningMadeAfterLookup(t *testing.T) {
	w, b := slowWorld(t, 2, Config{})
	looks, makes := w.connect(0), w.connect(1)
	var log []string
	looks.opens("r", nil, func(_ *Room, made bool, err error) { log = append(log, fmt.Sprint("looked ", made, " ", err)) })
	makes.opens("r", &Options{Owner: "ada"}, func(r *Room, made bool, err error) { log = append(log, fmt.Sprint("made ", made, " ", err)) })
	done := make(chan error)
	go func() { // and a goroutine that waits for the same
		_, err := w.Create("r", Options{})
		done <- err
	}()
	for waits := 0; waits < 3; {
		r := w.Room("r")
		r.mu.Lock()
		waits = r.waiting.waits.Len()
		r.mu.Unlock()
	}
	b.step("r", answer) // there is no such room
	over := false
	for !over {
		select {
		case err := <-done:
			over = true
			if err != nil && !errors.Is(err, ErrExists) {
				t.Error(err)
			}
			log = append(log, fmt.Sprint("created ", err == nil))
		default:
			w.run()
			b.all()
		}
	}
	w.run()
	made := 0
	for _, s := range log {
		if s == "made true <nil>" || s == "created true" {
			made++
		}
	}
	if made != 1 || !slices.Contains(log, "looked false "+ErrNotFound.Error()) || w.Room("r") == nil {
		t.Errorf("%q, want one to have made it", log)
	}
	w.empty()
}

// Connections that close while they wait leave no trace, and the next connections in their slots are told nothing.
func TestOpeningClosedConnections(t *testing.T) {
	w, b := slowWorld(t, 1, Config{MaxWaiting: 10})
	r := w.opening("r")
	wrong := func(what string) func(error) { return func(err error) { t.Errorf("%s: told %v", what, err) } }
	for range 100 { // more than may wait
		c := w.connect(0)
		c.opens("r", nil, func(*Room, bool, error) { t.Error("a closed connection is told that a room is open") })
		c.l.shards.JoinLater(c.Slot, c.Gen, r, JoinOptions{}, func(Joined, error) { t.Error("a closed connection has joined") })
		c.l.shards.Await(c.Slot, c.Gen, r, wrong("closed"))
		c.close()
	}
	if n := r.waiting.waits.Len(); n != 1 {
		t.Errorf("%d wait, want the one that has asked first", n)
	}
	gone := w.connect(0)
	gone.l.shards.Await(gone.Slot, gone.Gen, r, wrong("closed in the last moment"))
	b.step("r", answer)
	gone.close() // its answer is in the mailbox
	heir := w.connect(0)
	if heir.Slot != gone.Slot {
		t.Fatal("another slot")
	}
	w.run()
	if heir.in(r) || r.Count() != 0 {
		t.Error("the room has a member")
	}
	w.empty()
}

// If a room is changed or removed before it is open, that holds once it is.
func TestOpeningIsToldOfChanges(t *testing.T) {
	w, b := slowWorld(t, 1, Config{})
	c := w.connect(0)
	r := w.opening("gone")
	var told error
	c.l.shards.Await(c.Slot, c.Gen, r, func(err error) { told = err })
	r.Removed("deleted elsewhere")
	b.all()
	w.run()
	if !errors.Is(told, ErrNotFound) || w.Room("gone") != nil {
		t.Errorf("told %v, listed %t", told, w.Room("gone") != nil)
	}
	r = w.opening("lost")
	r.Reset(Position{"new", 5})
	b.step("lost", answer)
	w.run()
	if at := r.Position(); at != (Position{"new", 5}) {
		t.Errorf("at %v", at)
	}
	w.empty()
}

// A room that another node deletes ends on this node too: its members are told, and are out of it.
func TestRemovedElsewhere(t *testing.T) {
	b := NewMemory()
	announce := func(e Event) Frames { return text(fmt.Sprint(e.Kind, " ", e.Reason)) }
	here, there := newWorld(t, 1, Config{Broker: b, Announce: announce}), newWorld(t, 1, Config{Broker: b})
	r := here.create("r", Options{})
	c := here.connect(0)
	c.join(r)
	here.run()
	theirs, made, err := there.Open("r", nil)
	if err != nil || made {
		t.Fatal(made, err)
	}
	there.is(there.Delete(theirs, "over"), nil, "Delete")
	here.run()
	c.expect("3 over")
	if c.in(r) || !r.Closed() || here.Room("r") != nil {
		t.Errorf("in it %t, closed %t, listed %t", c.in(r), r.Closed(), here.Room("r") != nil)
	}
	_, err = here.tryPublish(r, Message{Payload: []byte("x")})
	here.is(err, ErrNotFound, "Publish")
	here.is(here.Delete(r, ""), ErrNotFound, "Delete")
	again := here.create("r", Options{})
	if again.Position().Epoch == theirs.Position().Epoch {
		t.Error("the epoch of the old room")
	}
	here.empty()
}

// New options hold at once: limits, passwords, and the names by which the room is found.
func TestChangedOptions(t *testing.T) {
	looks := func(s string) []string { return []string{strings.ToLower(s)} }
	w := newWorld(t, 1, Config{Looks: looks})
	password, err := w.Hash(t.Context(), "Darjeeling")
	w.is(err, nil, "Hash")
	r := w.create("r", Options{Name: "Sea", Password: password})
	key, err := r.Unlock(t.Context(), "Darjeeling")
	w.is(err, nil, "Unlock")
	w.connect(0).joinWith(r, JoinOptions{Key: key})
	other, err := w.Hash(t.Context(), "Assam")
	w.is(err, nil, "Hash")
	r.Changed(Options{Name: "Lake", Password: other, MaxMembers: 2, Owner: "ada"})
	if w.Alike("SEA") != nil || w.Alike("lake") != r || r.Options().Owner != "ada" || r.Created() != w.now {
		t.Errorf("found by its old name %t, by its new one %t", w.Alike("SEA") != nil, w.Alike("lake") == r)
	}
	_, err = w.connect(0).tryJoin(r, JoinOptions{Key: key})
	w.is(err, ErrPassword, "Join with the key of the old password")
	key, err = r.Unlock(t.Context(), "Assam")
	w.is(err, nil, "Unlock")
	w.connect(0).joinWith(r, JoinOptions{Key: key})
	_, err = w.connect(0).tryJoin(r, JoinOptions{Key: key})
	w.is(err, ErrFull, "Join of a third")
	r.Changed(Options{Private: true, TTL: time.Minute})
	if w.Alike("lake") != nil || w.Alike("r") != nil || r.Options().Name != "r" {
		t.Error("a private room is found")
	}
	w.create("lake", Options{})
	for _, c := range w.loops[0].conns {
		if c.in(r) {
			c.leave(r)
		}
	}
	w.run()
	w.pass(time.Minute)
	if !r.Closed() {
		t.Error("the new TTL does not count")
	}
	w.empty()
}

// Of two calls that open a room at the same moment exactly one has made it, whichever was listed first, and both get
// the same room.
func TestOpenTwiceAtOnce(t *testing.T) {
	var w *world
	var inner *Room
	b := &scripted{Memory: NewMemory()}
	inside := false
	nested := nestedBroker{b, func() {
		if inside {
			return
		}
		inside = true
		var made bool
		var err error
		inner, made, err = w.Open("r", nil)
		if w.is(err, nil, "the inner Open"); made {
			t.Error("the inner call has not made it")
		}
	}}
	w = newWorld(t, 1, Config{Broker: nested})
	r, made, err := w.Open("r", &Options{})
	w.is(err, nil, "the outer Open")
	if r != inner || !made || w.Room("r") != r {
		t.Errorf("made %t, the same room %t", made, r == inner)
	}
	w.empty()
}

// A call has made a room, but others find it first and delete it before the call returns. Then the call has not made
// the next room of that id, and the deleted room is not found.
func TestOpenMadeAndDeleted(t *testing.T) {
	for _, again := range []bool{true, false} {
		var w *world
		var next *Room
		inside := false
		w = newWorld(t, 1, Config{Broker: answeredBroker{NewMemory(), func() {
			if inside {
				return
			}
			inside = true
			first, made, err := w.Open("r", nil)
			if w.is(err, nil, "Open of another call"); made {
				t.Error("the other call has not made it")
			}
			w.Delete(first, "")
			if again {
				next, err = w.Create("r", Options{})
				w.is(err, nil, "Create of another call")
			}
		}}})
		r, made, err := w.Open("r", &Options{})
		switch {
		case again && (r != next || made || err != nil):
			t.Errorf("made %t, the next room %t, %v", made, r == next, err)
		case !again && (!errors.Is(err, ErrNotFound) || w.Room("r") != nil):
			t.Errorf("a room that is deleted is listed: %t, %v", w.Room("r") != nil, err)
		}
	}
}

// answeredBroker calls a function when the opening of a room has been answered.
type answeredBroker struct {
	Broker
	then func()
}

func (b answeredBroker) Open(room string, create *Options, s Subscriber, opened func(Topic, Opening, error)) {
	b.Broker.Open(room, create, s, opened)
	b.then()
}

// nestedBroker calls a function between the opening of a room and its answer.
type nestedBroker struct {
	Broker
	then func()
}

func (b nestedBroker) Open(room string, create *Options, s Subscriber, opened func(Topic, Opening, error)) {
	b.Broker.Open(room, create, s, func(t Topic, at Opening, err error) {
		b.then()
		opened(t, at, err)
	})
}

// A goroutine that waits for the broker goes on at the deadline, even without loops, and at the end of the hub.
func TestOpenBlocks(t *testing.T) {
	h := New(Config{Broker: newSlowBroker(), BrokerTimeout: time.Millisecond})
	if _, err := h.Create("r", Options{}); !errors.Is(err, ErrTimeout) {
		t.Errorf("Create: %v", err)
	}
	h.Close()
	for range 2000 { // the end comes at a different moment each time
		b := newSlowBroker()
		h := New(Config{Broker: b, BrokerTimeout: -1})
		done := make(chan error)
		go func() {
			_, _, err := h.Open("r", &Options{})
			done <- err
		}()
		for r := h.Room("r"); r == nil || !r.awaited(); {
			r = h.Room("r")
		}
		h.Close()
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("Open at the end: %v", err)
		}
		b.all()
		if n := len(b.topics); n != 0 {
			t.Errorf("%d topics are left", n)
		}
	}
}

func (r *Room) awaited() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.waiting != nil && r.waiting.waits.Len() > 0
}

// A message is delivered with its name. A message whose name the broker knows is not published again.
func TestOnce(t *testing.T) {
	var seen []*Once
	first := &Once{ID: "first"}
	b := &onceBroker{Memory: NewMemory(), answer: func(p Publication) (Outcome, bool) {
		seen = append(seen, p.Once)
		if len(seen) < 3 {
			return Outcome{}, false
		}
		return Outcome{Position: Position{"e", 1}, First: first}, true
	}}
	w := newWorld(t, 1, Config{Broker: b})
	r := w.create("r", Options{})
	c := w.connect(0)
	c.join(r)
	name := &Once{Key: [16]byte{1}, ID: "mine"}
	w.publish(r, "without a name")
	got, err := w.tryPublish(r, Message{Payload: []byte("x"), Once: name})
	if w.is(err, nil, "Publish"); got.First != nil || got.Offset != 2 {
		t.Errorf("receipt %+v", got)
	}
	got, err = w.tryPublish(r, Message{Payload: []byte("x"), Once: name})
	if w.is(err, nil, "Publish again"); got.First != first || got.Position != (Position{"e", 1}) || got.Members != 1 {
		t.Errorf("receipt %+v", got)
	}
	w.run()
	c.expect("without a name#1", "x#2")
	if seen[0] != nil || seen[1] != name || seen[2] != name {
		t.Errorf("names %v", seen)
	}
	w.empty()
}

type onceBroker struct {
	*Memory
	answer func(p Publication) (o Outcome, known bool)
}

func (b *onceBroker) Open(room string, create *Options, s Subscriber, opened func(Topic, Opening, error)) {
	b.Memory.Open(room, create, s, func(t Topic, at Opening, err error) { opened(onceTopic{t, b}, at, err) })
}

type onceTopic struct {
	Topic
	b *onceBroker
}

func (t onceTopic) Publish(p Publication) {
	if o, known := t.b.answer(p); known {
		p.Settle(o)
		return
	}
	t.Topic.Publish(p)
}

// A message that is delivered twice, or after a later one, does not reach members again.
func TestDeliveredTwice(t *testing.T) {
	w := newWorld(t, 1, Config{})
	r := w.create("r", Options{})
	c := w.connect(0)
	c.join(r)
	for _, offset := range []uint64{1, 2, 2, 1, 3} {
		r.Deliver(Publication{Offset: offset, Op: frame.OpText, Payload: []byte("m")})
	}
	w.run()
	c.expect("m#1", "m#2", "m#3")
	w.empty()
}
