package chat

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/endpoint"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
	"github.com/perchws/perch/room/brokertest"
)

// lateServer is a chat with a broker that answers when the test wants it to.
type lateServer struct {
	*server
	*brokertest.Late
	clock moved
}

func startLate(t *testing.T, patience time.Duration) *lateServer {
	t.Helper()
	b := brokertest.NewLate()
	return startLateOn(t, patience, b, b)
}

// startLateOn starts one on a part of such a broker.
func startLateOn(t *testing.T, patience time.Duration, b *brokertest.Late, part room.Broker) *lateServer {
	t.Helper()
	s := &lateServer{Late: b, clock: newClock()}
	svc := New(Config{Clock: s.clock})
	ready := s.pump(t, 1) // for the rooms that always exist
	rooms := svc.Rooms(room.Config{Broker: part})
	s.server = startOn(t, svc, rooms, func(c *endpoint.Config) { c.Patience = patience })
	ready()
	return s
}

// startStepped starts a lateServer whose clients wait without a limit, and lets guests with these names in, one after
// the other. From then on only step and pump make the broker answer.
func startStepped(t *testing.T, seed uint64, names ...string) (s *lateServer, guests []*client) {
	t.Helper()
	s = startLate(t, -1)
	defer s.pump(t, seed)()
	for _, name := range names {
		guests = append(guests, s.named(name, guests...))
	}
	return s, guests
}

// pump makes the broker answer all calls, in an order that follows from the seed, until stop is called.
func (s *lateServer) pump(t *testing.T, seed uint64) (stop func()) {
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(seed, over)
	}()
	return func() {
		close(over)
		<-ended
	}
}

// step makes the broker answer the next call about a room.
func (s *lateServer) step(id string) {
	s.t.Helper()
	late := make(chan struct{})
	defer time.AfterFunc(20*time.Second, func() { close(late) }).Stop()
	if !s.Await(id, 1, late) || !s.Step(id) {
		s.t.Fatalf("no call about %q waits", id)
	}
}

// With a broker that answers later, and for rooms in any order, the chat behaves as with one that answers at once.
func TestLateChat(t *testing.T) {
	s := startLate(t, 0)
	defer s.pump(t, 2)()
	ada, init := s.guest(object{"username": "Ada"})
	bob := s.named("Bob", ada)
	ada.goes(object{"room_id": "tea", "password": "Darjeeling"})
	bob.next("system_message")
	bob.goes(object{"room_id": "tea", "password": "Darjeeling"})
	ada.next("system_message")
	ada.posts("one")
	bob.hears("one")
	s.cut(ada)
	bob.next("system_message")
	bob.next("user_status")
	bob.posts("two")
	again, back := s.signIn(object{"resume": object{"session": init["session"], "rooms": object{
		"tea": object{"epoch": s.Rooms().Room("tea").Position().Epoch, "offset": 1},
	}}})
	if back["resumed"] != true {
		t.Errorf("%v", back)
	}
	if o := again.next("room_joined"); o["room_id"] != "tea" || o["recovered"] != true {
		t.Errorf("%v", o)
	}
	again.hears("two")
	program, _ := s.joins("coffee", object{"create": object{"max_members": 1}})
	s.dial("/ws/room/coffee").joinFails(object{}, "room_full")
	program.say(object{"type": "delete"})
	program.next("room_deleted")
	program.next("room_closed")
}

// Messages of a client whose room is being opened are answered after that, in order; other clients are served
// meanwhile.
func TestLateJoinInOrder(t *testing.T) {
	s, in := startStepped(t, 3, "Ada", "Bob")
	ada, bob := in[0], in[1]
	ada.say(object{"type": "join_room", "room_id": "tea", "id": "join"})
	ada.say(object{"type": "chat_message", "content": "first", "id": "say"})
	ada.say(object{"type": "history", "id": "history"})
	ada.say(object{"type": "ping", "id": "ping"})
	bob.say(object{"type": "chat_message", "content": "meanwhile"})
	s.step("general")
	bob.next("message_sent")
	ada.hears("meanwhile") // she is still in general
	s.step("tea")          // there is no such room
	s.step("tea")          // it is made
	ada.next("room_left")
	if o := ada.next("room_joined"); o["id"] != "join" || o["created"] != true {
		t.Errorf("%v", o)
	}
	ada.next("system_message")
	if o := ada.next("history"); o["id"] != "history" {
		t.Errorf("%v", o)
	}
	if o := ada.next("pong"); o["id"] != "ping" {
		t.Errorf("%v", o)
	}
	s.step("tea")
	if o := ada.next("message_sent"); o["id"] != "say" || o["offset"] != 1.0 {
		t.Errorf("%v", o)
	}
}

// The messages of a client that waits are bounded, and none that was accepted is lost.
func TestLateBacklog(t *testing.T) {
	s, in := startStepped(t, 4, "Ada")
	ada := in[0]
	const kept, all = 32, 100
	frames := []wstest.Frame{wstest.Text(`{"type":"join_room","room_id":"tea"}`)}
	for i := range all {
		frames = append(frames, wstest.Text(fmt.Sprintf(`{"type":"ping","id":%d}`, i)))
	}
	ada.Send(frames...)
	for i := kept; i < all; i++ {
		if o := ada.fails("busy"); o["id"] != float64(i) {
			t.Errorf("%v, want %d", o, i)
		}
	}
	defer s.pump(t, 5)()
	ada.next("room_left")
	ada.enters("tea")
	for i := range kept {
		if o := ada.next("pong"); o["id"] != float64(i) {
			t.Errorf("%v, want %d", o, i)
		}
	}
}

// If no answer comes a client is told so, and stays where it was; a new client is told why it cannot enter its room.
func TestLateNever(t *testing.T) {
	s := startLate(t, 50*time.Millisecond)
	stop := s.pump(t, 6)
	ada, init := s.guest(object{"username": "Ada"})
	ada.goes(object{"room_id": "tea"})
	stop()
	ada.say(object{"type": "join_room", "room_id": "nowhere", "id": 1})
	if o := ada.fails("unavailable"); o["id"] != 1.0 {
		t.Errorf("%v", o)
	}
	ada.say(object{"type": "ping"})
	ada.next("pong")
	program := s.dial("/ws/room/nowhere")
	program.say(object{"type": "join", "id": 2})
	if o := program.fails("unavailable"); o["id"] != 2.0 {
		t.Errorf("%v", o)
	}
	if reason := program.AnswerClose(perch.CloseTryAgainLater); reason != "unavailable" {
		t.Error(reason)
	}
	// After some time the room is given up; an answer that comes too late changes nothing.
	s.clock.forward(10 * time.Second)
	if s.Rooms().Room("nowhere") != nil {
		t.Error("the room was not given up")
	}
	s.Remove("tea", "gone")
	defer s.pump(t, 7)()
	ada.next("room_closed")
	s.cut(ada)
	again, _ := s.signIn(object{"resume": object{"session": init["session"]}})
	if o := again.next("room_joined"); o["room_id"] != "general" { // tea is gone
		t.Errorf("%v", o)
	}
}

// A client is told once, and clearly, when the broker answers with an error, twice or too early.
func TestLateFates(t *testing.T) {
	s, in := startStepped(t, 8, "Ada", "Bob")
	ada, bob := in[0], in[1]
	fates := map[string]brokertest.Fate{"broken": brokertest.Fail, "twice": brokertest.Twice}
	s.Fate = func(id string, _ brokertest.Asked) brokertest.Fate { return fates[id] }
	ada.say(object{"type": "join_room", "room_id": "broken"})
	s.step("broken")
	ada.fails("unavailable")
	ada.say(object{"type": "join_room", "room_id": "twice"})
	s.step("twice")
	s.step("twice")
	ada.next("room_left")
	ada.enters("twice")
	bob.next("system_message")
	for i, fate := range []brokertest.Fate{brokertest.Twice, brokertest.Early, brokertest.Fail, brokertest.Answer} {
		fates["twice"] = fate
		ada.say(object{"type": "chat_message", "content": "x", "id": i})
		s.step("twice")
		if fate == brokertest.Fail {
			ada.fails("unavailable")
		} else if o := ada.next("message_sent"); o["id"] != float64(i) {
			t.Errorf("%v", o)
		}
	}
	ada.quiet()
}

// The broker does not answer publishes: the messages of a client under way are bounded, and others in the room are
// still heard. The sender is told in the end, and a message that is sent again is known by its name.
func TestLateOwed(t *testing.T) {
	s, in := startStepped(t, 9, "Ada", "Bob")
	ada, bob := in[0], in[1]
	ada.say(object{"type": "chat_message", "content": "one", "id": "one"})
	for range maxOwed - 1 {
		ada.say(object{"type": "chat_message", "content": "more"})
	}
	ada.say(object{"type": "chat_message", "content": "too much", "id": "over"})
	if o := ada.fails("queue_full"); o["id"] != "over" {
		t.Errorf("%v", o)
	}
	s.Fate = func(string, brokertest.Asked) brokertest.Fate { return brokertest.Silent }
	for range maxOwed {
		s.step("general")
	}
	for i := range maxOwed {
		if o := bob.next("message"); o["offset"] != float64(i+1) {
			t.Errorf("%v", o)
		}
	}
	s.Fate = nil
	bob.say(object{"type": "chat_message", "content": "and I"})
	s.step("general")
	bob.next("message_sent")
	ada.hears("and I")
	s.clock.forward(10 * time.Second) // they were delivered here, so it is known that they have their places
	var first object
	for i := range maxOwed {
		o := ada.next("message_sent")
		if i == 0 {
			first = o
		}
	}
	s.clock.forward(sendsTTL) // this node has forgotten the message
	ada.say(object{"type": "chat_message", "content": "one", "id": "one"})
	s.step("general")
	if o := ada.next("message_sent"); o["message_id"] != first["message_id"] || o["offset"] != first["offset"] || o["timestamp"] != first["timestamp"] {
		t.Errorf("%v, was %v", o, first)
	}
	s.clock.forward(sendsTTL)
	ada.say(object{"type": "chat_message", "content": "two", "id": "one"})
	s.step("general")
	ada.fails("id_reused")
	bob.quiet()
}

// Rooms that another node makes, changes and deletes.
func TestLateOtherNode(t *testing.T) {
	s := startLate(t, -1)
	defer s.pump(t, 10)()
	other := room.New(room.Config{Broker: s.Late})
	defer other.Close()
	password, err := other.Hash(t.Context(), "Darjeeling")
	if err != nil {
		t.Fatal(err)
	}
	far, err := other.Create("far", room.Options{Name: "Far away", Owner: "ada", Password: password})
	if err != nil {
		t.Fatal(err)
	}
	ada, _ := s.guest(object{"token": sign(t, auth.Claims{Subject: "ada"})})
	ada.say(object{"type": "join_room", "room_id": "far", "create": false})
	ada.fails("wrong_password")
	if o := ada.goes(object{"room_id": "far", "create": false, "password": "Darjeeling"}); o["room_name"] != "Far away" || o["owner"] != "ada" {
		t.Errorf("%v", o)
	}
	if err := far.Send(room.Text([]byte(`{"type":"user_typing","username":"Bob"}`)), room.ClassTyping); err != nil {
		t.Fatal(err)
	}
	if o := ada.next("user_typing"); o["username"] != "Bob" {
		t.Errorf("%v", o)
	}
	far.Publish(room.Message{Payload: []byte(`{"type":"message","message":{"id":"m","content":"hello"}}`)}, nil)
	ada.hears("hello")
	s.Change("far", room.Options{Name: "Full", MaxMembers: 1})
	here := s.Rooms().Room("far")
	wstest.Eventually(t, "the change is known", func() bool { return here.Options().MaxMembers == 1 })
	s.dial("/ws/room/far").joinFails(object{}, "room_full")
	if err := other.Delete(far, "far away"); err != nil {
		t.Fatal(err)
	}
	if o := ada.next("room_closed"); o["reason"] != "far away" {
		t.Errorf("%v", o)
	}
	ada.say(object{"type": "chat_message", "content": "anybody?"})
	ada.fails("no_room")
	if _, _, err := other.Open("far", nil); !errors.Is(err, room.ErrNotFound) {
		t.Errorf("Open: %v", err)
	}
}

// Clients that leave while they wait leave nothing behind.
func TestLateGoneMeanwhile(t *testing.T) {
	s, in := startStepped(t, 11, "Ada")
	ada := in[0]
	ada.say(object{"type": "join_room", "room_id": "tea"})
	program := s.dial("/ws/room/coffee")
	program.say(object{"type": "join", "username": "Bob"})
	late := t.Context().Done()
	s.Late.Await("tea", 1, late)
	s.Late.Await("coffee", 1, late)
	for _, c := range []*client{ada, program} {
		c.Reset()
	}
	wstest.Eventually(t, "the connections are gone", func() bool { return s.Stats().Connections == 0 })
	s.pump(t, 12)()
	wstest.Eventually(t, "the names are free", func() bool { return s.chat.names.(*localNames).count() == 0 })
	if st := s.Rooms().Stats(); st.Users != 0 || st.Active != 0 {
		t.Errorf("left behind: %+v", st)
	}
}

// TestCountedRoom: if the broker counts the members of a room, a client waits for its place. If it does not get one in
// time it is told so, and the place goes to another client.
func TestCountedRoom(t *testing.T) {
	b := brokertest.NewLate()
	s := startLateOn(t, 5*time.Second, b, b.Node())
	stop := s.pump(t, 4)
	owner, _ := s.joins("tea", object{"create": object{"max_members": 2}})
	bob := s.dial("/ws/room/tea")
	stop()
	bob.say(object{"type": "join", "username": "Bob", "id": 1})
	late := make(chan struct{})
	defer time.AfterFunc(20*time.Second, func() { close(late) }).Stop()
	s.Await("tea", 1, late)
	s.clock.forward(5 * time.Second)
	bob.fails("unavailable")
	bob.AnswerClose(perch.CloseTryAgainLater)
	defer s.pump(t, 5)()
	wstest.Eventually(t, "the place is free again", func() bool { return s.Rooms().Room("tea").Count() == 1 })
	cyd, joined := s.joins("tea", object{"username": "Cyd"})
	if joined["member_count"] != 2.0 {
		t.Errorf("%v", joined)
	}
	for o := owner.next("user_joined"); o["username"] != "Cyd"; o = owner.next("user_joined") {
		if o["username"] != "Bob" { // Bob may have had a place for a moment
			t.Errorf("%v", o)
		}
		owner.next("user_left")
	}
	s.dial("/ws/room/tea").joinFails(object{}, "room_full")
	cyd.say(object{"type": "leave"})
	owner.next("user_left")
	s.joins("tea", object{"username": "Dee"})
	owner.next("user_joined")
}
