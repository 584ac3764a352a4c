package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/ledger"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/endpoint"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// again sends a message with an id, and returns message_sent.
func (c *client) again(id any, content string) object {
	c.t.Helper()
	c.say(object{"type": "chat_message", "content": content, "id": id})
	o := c.next("message_sent")
	if fmt.Sprint(o["id"]) != fmt.Sprint(id) {
		c.t.Errorf("%v, want the id %v", o, id)
	}
	return o
}

// same checks that an acknowledgement is that of an earlier message.
func same(t *testing.T, got, want object) {
	t.Helper()
	if got["message_id"] != want["message_id"] || got["offset"] != want["offset"] || got["timestamp"] != want["timestamp"] {
		t.Errorf("%v, first it was %v", got, want)
	}
}

// A message with the same user, room and id is acknowledged as before, and not posted twice. Any other is another
// message.
func TestSameID(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada, init := s.guest(object{"username": "Ada"})
	bob := s.named("Bob", ada)
	first := ada.again("m-1", "one")
	bob.hears("one")
	same(t, ada.again("m-1", "one"), first)

	ada.again("m-2", "another id")
	bob.hears("another id")
	ada.again(1, "a number")
	bob.hears("a number")
	ada.again("1", "its digits")
	bob.hears("its digits")
	ada.say(json.RawMessage(`{"content":"on\u0065","id":"\u006d-1","message_type":"text","type":"chat_message","reply_to":null}`))
	same(t, ada.next("message_sent"), first) // the same id, written in another way
	bob.again("m-1", "another user")
	ada.hears("another user")
	for range 2 { // without an id each is a message of its own
		ada.posts("x")
		bob.hears("x")
	}
	ada.goes(object{"room_id": "random"})
	bob.next("system_message")
	if o := ada.again("m-1", "another room"); o["offset"] != 1.0 || o["message_id"] == first["message_id"] {
		t.Errorf("%v", o)
	}
	ada.goes(object{"room_id": "general"})
	bob.next("system_message")
	same(t, ada.again("m-1", "one"), first)

	// The client does not know whether it was posted: it sends the same over another connection.
	ada.Reset()
	bob.next("system_message")
	bob.next("user_status")
	ada, _ = s.guest(object{"resume": object{"session": init["session"]}}, bob)
	same(t, ada.again("m-1", "one"), first)
	bob.quiet()
}

// All connections of a user share ids.
func TestSameIDOtherConnection(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	token := sign(t, auth.Claims{Subject: "ada"})
	one, _ := s.guest(object{"token": token})
	two := s.dial("/ws/room/general")
	two.say(object{"type": "join", "token": token})
	two.next("room_joined")
	first := one.again("m-1", "one")
	two.next("chat_message")
	two.say(object{"type": "chat_message", "message": "one", "id": "m-1"})
	same(t, two.next("message_sent"), first)
	one.quiet()
}

// After two minutes an id is forgotten.
func TestSameIDForgotten(t *testing.T) {
	clock := newClock()
	s := start(t, Config{Clock: clock}, room.Config{})
	ada := s.named("Ada")
	first := ada.again("m-1", "one")
	clock.forward(2*time.Minute - time.Millisecond)
	same(t, ada.again("m-1", "one"), first)
	clock.forward(time.Millisecond)
	second := ada.again("m-1", "one")
	if second["offset"] != 2.0 || second["message_id"] == first["message_id"] {
		t.Errorf("%v, first it was %v", second, first)
	}
	clock.forward(sendsTTL - time.Millisecond)
	same(t, ada.again("m-1", "one"), second)
}

// A message that was refused may be sent again with the same id.
func TestSameIDAfterError(t *testing.T) {
	s := start(t, Config{}, room.Config{MaxQueue: 2})
	ada := s.named("Ada")
	ada.say(object{"type": "chat_message", "content": "", "id": "m-1"})
	ada.fails("invalid_value")
	ada.again("m-1", "one")

	// Three messages at once, of which the queue takes two.
	var frames []wstest.Frame
	for i := range 3 {
		frames = append(frames, wstest.Text(fmt.Sprintf(`{"type":"chat_message","content":"x","id":"q-%d"}`, i)))
	}
	ada.Send(frames...)
	ids := make(map[any]float64) // their offsets by id
	for range 3 {
		_, p := ada.NextMessage()
		switch o := parse(t, p); {
		case o["type"] == "message_sent":
			ids[o["id"]] = o["offset"].(float64)
		case o["code"] != "queue_full" || o["id"] != "q-2":
			t.Errorf("%s", p)
		}
	}
	if len(ids) != 2 || ids["q-0"] != 2 || ids["q-1"] != 3 {
		t.Errorf("%v", ids)
	}
	if o := ada.again("q-2", "x"); o["offset"] != 4.0 {
		t.Errorf("%v", o)
	}
}

// Another message with the same id is an error, whichever field differs; it is not mistaken for the first one.
func TestIDReused(t *testing.T) {
	clock := newClock()
	s := start(t, Config{Clock: clock}, room.Config{})
	token := sign(t, auth.Claims{Subject: "ada"})
	ada, _ := s.guest(object{"token": token})
	bob := s.dial("/ws/room/general")
	bob.say(object{"type": "join", "token": token})
	bob.next("room_joined")
	ada.say(object{"type": "chat_message", "content": "one", "message_type": "image", "reply_to": "x", "id": 1})
	first := ada.next("message_sent")
	bob.next("chat_message")
	for _, other := range []object{
		{"content": "two", "message_type": "image", "reply_to": "x"},
		{"content": "one ", "message_type": "image", "reply_to": "x"},
		{"content": "One", "message_type": "image", "reply_to": "x"},
		{"content": "one", "message_type": "file", "reply_to": "x"},
		{"content": "one", "reply_to": "x"},
		{"content": "one", "message_type": "image"},
		{"content": "onex", "message_type": "image"},
	} {
		other["type"], other["id"] = "chat_message", 1
		ada.say(other)
		if o := ada.fails("id_reused"); o["id"] != 1.0 || o["field"] != "id" {
			t.Errorf("%v: %v", other, o)
		}
		clock.forward(time.Second)
	}
	bob.say(object{"type": "chat_message", "message": "two", "id": 1})
	bob.fails("id_reused")
	bob.say(object{"type": "chat_message", "message": "one", "message_type": "image", "reply_to": "x", "id": 1})
	same(t, bob.next("message_sent"), first)
	// With another id it is posted, and after two minutes with the old one, too.
	if o := ada.again(2, "two"); o["offset"] != 2.0 {
		t.Errorf("%v", o)
	}
	bob.next("chat_message")
	clock.forward(sendsTTL)
	if o := ada.again(1, "two"); o["offset"] != 3.0 {
		t.Errorf("%v", o)
	}
}

// A room that was deleted and made again has none of the old messages.
func TestSameIDInRoomMadeAnew(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada := s.dial("/ws/room/tea")
	join := object{"type": "join", "create": object{}}
	ada.say(join)
	ada.next("room_joined")
	say := object{"type": "chat_message", "message": "one", "id": 1}
	ada.say(say)
	first := ada.next("message_sent")
	ada.say(object{"type": "delete"})
	ada.next("room_deleted")
	ada.next("room_closed")
	ada.say(join)
	ada.next("room_joined")
	ada.say(say)
	if o := ada.next("message_sent"); o["message_id"] == first["message_id"] || o["offset"] != 1.0 {
		t.Errorf("%v, in the room before %v", o, first)
	}
}

// With a broker that answers later a message is under way: the same message again is acknowledged or fails with it,
// and another one with its id fails at once.
func TestSameIDUnderWay(t *testing.T) {
	slow := &slowBroker{Memory: room.NewMemory(), under: make(chan room.Publication, 16)}
	s := start(t, Config{}, room.Config{Broker: slow})
	token := sign(t, auth.Claims{Subject: "ada"})
	one, _ := s.guest(object{"token": token})
	two, _ := s.guest(object{"token": token})
	say := object{"type": "chat_message", "content": "one", "id": 1}
	one.say(say)
	p := <-slow.under
	for range maxWaiting {
		two.say(say)
	}
	two.say(object{"type": "chat_message", "content": "two", "id": 1})
	two.fails("id_reused")
	two.say(say)
	two.fails("busy")
	p.Settle(room.Outcome{Err: errors.New("lost")})
	for _, c := range []*client{one, two} {
		c.fails("unavailable")
	}
	for range maxWaiting - 1 {
		two.fails("unavailable")
	}
	one.say(say) // it failed, so it may be tried again
	p = <-slow.under
	two.say(say)
	two.say(object{"type": "ping"})
	two.next("pong") // it waits for the first
	slow.pass(p)
	if first := one.next("message_sent"); first["offset"] != 1.0 {
		t.Errorf("%v", first)
	} else if got := two.next("message"); got["offset"] != 1.0 {
		t.Errorf("%v", got)
	} else {
		same(t, two.next("message_sent"), first)
	}
}

// slowBroker keeps publications until the test passes them on.
type slowBroker struct {
	*room.Memory
	under chan room.Publication
	topic room.Topic // the topic of general
}

func (b *slowBroker) Open(id string, o *room.Options, s room.Subscriber, opened func(room.Topic, room.Opening, error)) {
	b.Memory.Open(id, o, s, func(topic room.Topic, at room.Opening, err error) {
		if id == generalID {
			b.topic = topic
			topic = &slowTopic{topic, b}
		}
		opened(topic, at, err)
	})
}

func (b *slowBroker) pass(p room.Publication) { b.topic.Publish(p) }

type slowTopic struct {
	room.Topic
	b *slowBroker
}

func (t *slowTopic) Publish(p room.Publication) { t.b.under <- p }

// No message is forgotten before its time: a sender that has filled its share is refused.
func TestSendsBound(t *testing.T) {
	const most = 100
	clock := newClock()
	s := newSends(clock, most*recordCost)
	named := func(k int) *ack { return &ack{name: room.Once{Key: sendKey{byte(k), byte(k >> 8)}}} }
	ada, bob := ledger.User("ada"), ledger.User("bob")
	begin := func(k int, payer ledger.Key, want standing) *ack {
		t.Helper()
		a := named(k)
		was, is := s.begin(a, payer)
		if is != want || is == isPosted && was.id != "m" {
			t.Fatalf("message %d is %v (%+v), want %v", k, is, was, want)
		}
		return a
	}
	for k := range most / 2 {
		s.settle(begin(k, ada, isNew), sent{id: "m"}, nil)
	}
	begin(most, ada, isCrowded)
	for k := range most / 2 { // all of them are known still, and bob's do not count for ada
		begin(k, ada, isPosted)
		if k < most/4 {
			begin(most+k, bob, isNew)
		}
	}
	begin(2*most, bob, isCrowded)

	// Messages that failed take no memory.
	for range 3 * most {
		s.settle(begin(3*most, ledger.User("cyd"), isNew), sent{}, errors.New("lost"))
	}
	if got := s.stats(); got.Held != most*3/4*recordCost || len(s.known) != most*3/4 || len(s.payers) != 2 {
		t.Errorf("%+v with %d known of %d payers", got, len(s.known), len(s.payers))
	}
	clock.forward(sendsTTL)
	begin(0, bob, isNew)
	if got := s.stats(); got.Held != recordCost || len(s.known) != 1 || len(s.payers) != 1 || s.first != s.last {
		t.Errorf("after two minutes: %+v with %d known of %d payers", got, len(s.known), len(s.payers))
	}
}

// TestSendsFull: a user that sends more ids than can be remembered is refused, and nothing is posted twice; messages
// of others, and messages without an id, are posted.
func TestSendsFull(t *testing.T) {
	s := start(t, Config{MaxSends: 20 * recordCost}, room.Config{})
	ada, _ := s.guest(object{"token": sign(t, auth.Claims{Subject: "ada"})})
	first := ada.again(0, "x")
	for i := 1; i < 10; i++ {
		ada.again(i, "x")
	}
	for range 3 {
		ada.say(object{"type": "chat_message", "content": "x", "id": 10})
		if o := ada.fails("busy"); o["id"] != 10.0 {
			t.Errorf("%v", o)
		}
		same(t, ada.again(0, "x"), first)
	}
	ada.posts("without an id")
	bob, _ := s.guest(object{"token": sign(t, auth.Claims{Subject: "bob"})}, ada)
	if o := bob.again(0, "x"); o["offset"] != 12.0 {
		t.Errorf("%v, want the twelfth message", o)
	}
	ada.hears("x")
}

// TestSendsMemory: the memory takes no more than it reckons.
func TestSendsMemory(t *testing.T) {
	const n = 58_000 // just after the map has grown
	live := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := live()
	s := newSends(newClock(), -1)
	for i := range n {
		a := &ack{name: room.Once{Key: sendKey{byte(i), byte(i >> 8), byte(i >> 16)}, ID: fmt.Sprintf("%012x-%06d", i, i)}}
		s.begin(a, ledger.User("ada"))
		s.settle(a, sent{id: a.name.ID}, nil)
	}
	took := live() - before
	if t.Logf("%d bytes each", took/n); took > n*recordCost || took < n*recordCost/2 {
		t.Errorf("%d bytes each, reckoned at %d", took/n, recordCost)
	}
	runtime.KeepAlive(s)
}

// of returns the same ack with another content.
func of(a *ack, content byte) *ack {
	a.name.Content = [16]byte{content}
	return a
}

// A message that failed and was begun again is not forgotten when the first attempt is.
func TestSendsBegunAnew(t *testing.T) {
	clock := newClock()
	s := newSends(clock, -1)
	k := keyOf("ada", "general", "e", []byte(`"1"`))
	first, again := &ack{name: room.Once{Key: k}}, &ack{name: room.Once{Key: k}}
	s.begin(of(first, 1), ledger.Key{})
	if _, is := s.begin(of(again, 1), ledger.Key{}); is != isWaiting {
		t.Errorf("under way: %v", is)
	}
	if w := s.settle(first, sent{}, errors.New("lost")); len(w) != 1 || w[0] != again {
		t.Errorf("%v waited", w)
	}
	clock.forward(time.Minute)
	s.begin(of(again, 2), ledger.Key{})
	s.settle(first, sent{id: "another"}, nil) // another attempt is under way now
	s.settle(again, sent{id: "m"}, nil)
	clock.forward(sendsTTL - time.Minute)
	if was, is := s.begin(of(first, 2), ledger.Key{}); is != isPosted || was.id != "m" {
		t.Errorf("a minute later: %+v, %v", was, is)
	}
	clock.forward(time.Minute)
	if _, is := s.begin(of(first, 1), ledger.Key{}); is != isNew {
		t.Errorf("after two minutes: %v", is)
	}
	// The end of one field cannot be the beginning of the next.
	if keyOf("a", "bc", "", []byte("1")) == keyOf("ab", "c", "", []byte("1")) {
		t.Error("two users in two rooms have one key")
	}
	if sum(&post{Content: "ab", ReplyTo: "c"}) == sum(&post{Content: "a", ReplyTo: "bc"}) {
		t.Error("two contents have one sum")
	}
}

// TestEveryPostIsAnswered: a post is answered also when the server has no memory left for what is on its way to loops.
func TestEveryPostIsAnswered(t *testing.T) {
	svc := New(Config{})
	s := startServer(t, svc, perch.Config{Rooms: svc.Rooms(room.Config{}), MaxOutputTotal: 4 << 10}, func(*endpoint.Config) {})
	ada := s.named("Ada")
	const n = 60
	var frames []wstest.Frame
	for i := range n {
		frames = append(frames, wstest.Text(fmt.Sprintf(`{"type":"chat_message","content":"x","id":%d}`, i)))
	}
	ada.Send(frames...)
	answered := make(map[any]bool)
	for len(answered) < n {
		_, p := ada.NextMessage()
		o := parse(t, p)
		if o["type"] != "message_sent" && o["code"] != "queue_full" {
			t.Fatalf("%s", p)
		}
		if answered[o["id"]] {
			t.Errorf("%v is answered twice", o["id"])
		}
		answered[o["id"]] = true
	}
}
