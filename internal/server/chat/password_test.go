package chat

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// Only clients with the password can enter a room with a password.
func TestPassword(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	longest := strings.Repeat("p", room.MaxPassword)
	ada := s.named("Ada")
	joined := ada.goes(object{"room_id": "tea", "password": longest})
	bob := s.named("Bob")
	for _, password := range []any{nil, "", "P", longest[1:], longest + "\u0000"} {
		bob.say(object{"type": "join_room", "room_id": "tea", "password": password, "id": 5})
		code := "wrong_password"
		if p, _ := password.(string); len(p) > room.MaxPassword {
			code = "too_long"
		}
		if o := bob.fails(code); o["id"] != 5.0 {
			t.Errorf("%v", o)
		}
	}
	bob.posts("still in general")
	ada.posts("for members")
	bob.say(object{"type": "list_rooms"})
	rooms := bob.next("room_list")["rooms"].([]any)
	if r := rooms[2].(object); r["room_id"] != "tea" || r["password"] != true || r["private"] != false {
		t.Errorf("%v", r)
	}
	if o := bob.goes(object{"room_id": "tea", "password": longest}); o["epoch"] != joined["epoch"] || o["user_count"] != 2.0 {
		t.Errorf("%v", o)
	}
	bob.say(object{"type": "join_room", "room_id": "tea"})
	bob.fails("already_joined")
}

// A client that sends a password for a room without one gets an error: else it would believe that few can read its
// messages.
func TestNoPassword(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada := s.named("Ada")
	for range 2 { // the room has not changed
		ada.say(object{"type": "join_room", "room_id": "random", "password": "x", "id": 1})
		if o := ada.fails("no_password"); o["id"] != 1.0 || o["field"] != "password" {
			t.Errorf("%v", o)
		}
	}
	ada.posts("still in general")
	ada.say(object{"type": "join_room", "room_id": "Random Talk", "password": "x"})
	ada.fails("no_password")
	if s.Rooms().Room("random").Options().Password.IsSet() {
		t.Error("the room has a password now")
	}
	ada.goes(object{"room_id": "random", "password": ""})
	for _, join := range []object{{"password": "x"}, {"create": object{"password": "x"}}, {"password": "x", "create": object{}}} {
		s.dial("/ws/room/random").joinFails(join, "no_password")
	}
	for _, bad := range []string{"\u200b", "a\x00"} { // not valid as a password
		ada.say(object{"type": "join_room", "room_id": "tea", "password": bad})
		if o := ada.fails("invalid_value"); o["field"] != "password" || s.Rooms().Room("tea") != nil {
			t.Errorf("%q: %v", bad, o)
		}
	}
	// It is the same password on two keyboards.
	ada.goes(object{"room_id": "tea", "password": "cafe\u0301\u00a0noir"})
	s.named("Bob").goes(object{"room_id": "tea", "password": "caf\u00e9 noir"})
}

// Clients make a room at the same moment, one without and one with a password: no client that wants a password is in
// a room without one.
func TestNoPasswordRace(t *testing.T) {
	broker := &rival{Memory: room.NewMemory(), keep: true}
	s := start(t, Config{}, room.Config{Broker: broker})
	broker.hub = s.Rooms()
	ada := s.named("Ada")
	broker.armed.Store(true)
	ada.say(object{"type": "join_room", "room_id": "wanted", "password": "x"})
	ada.fails("no_password")
	ada.posts("still in general")
	ada.goes(object{"room_id": "wanted"})
}

// A connection has five attempts in a minute, right or wrong.
func TestPasswordAttempts(t *testing.T) {
	clock := newClock()
	s := start(t, Config{Clock: clock}, room.Config{})
	ada := s.named("Ada")
	ada.goes(object{"room_id": "tea", "password": "Darjeeling"})
	bob := s.named("Bob")
	for range maxAttempts {
		bob.say(object{"type": "join_room", "room_id": "tea", "password": "Assam"})
		bob.fails("wrong_password")
	}
	bob.say(object{"type": "join_room", "room_id": "tea", "password": "Darjeeling"})
	bob.fails("too_many_attempts")
	clock.forward(time.Minute)
	bob.goes(object{"room_id": "tea", "password": "Darjeeling"})
}

// Messages that are sent while a password is checked are handled after it, in order; if there are too many, they are
// refused.
func TestBusyWhilePassword(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada := s.named("Ada")
	ada.goes(object{"room_id": "tea", "password": "Darjeeling"})
	bob := s.named("Bob")
	const waiting = 32
	frames := []wstest.Frame{wstest.Text(`{"type":"join_room","room_id":"tea","password":"Darjeeling"}`)}
	for range waiting {
		frames = append(frames, wstest.Text(`{"type":"chat_message","content":"to the room"}`))
	}
	frames = append(frames, wstest.Text(`{"type":"ping","id":"over"}`))
	bob.Send(frames...)
	if o := bob.fails("busy"); o["id"] != "over" {
		t.Errorf("%v", o)
	}
	bob.next("room_left")
	bob.next("room_joined")
	bob.next("system_message")
	ada.next("system_message")
	for i := range waiting {
		if o := bob.next("message_sent"); o["offset"] != float64(i+1) {
			t.Errorf("%v", o)
		}
		ada.hears("to the room")
	}
	bob.quiet()
}

// Of several clients that make the same room at once one succeeds; the others need its password.
func TestMadeAtOnce(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	passwords := []string{"one", "one", "one", "two"}
	var all []*client
	for i := range passwords {
		all = append(all, s.named(string(rune('A'+i))))
		for j := range i {
			all[j].next("system_message")
			all[j].next("user_status")
		}
	}
	for i, c := range all {
		c.say(object{"type": "join_room", "room_id": "tea", "password": passwords[i]})
	}
	var in []string
	for i, c := range all {
		for {
			_, p := c.NextMessage()
			if o := parse(t, p); o["type"] == "room_joined" {
				in = append(in, passwords[i])
			} else if o["type"] != "error" {
				continue
			} else if o["code"] != "wrong_password" {
				t.Errorf("%s", p)
			}
			break
		}
	}
	if !slices.Equal(in, passwords[:3]) && !slices.Equal(in, passwords[3:]) {
		t.Errorf("the members have said %q", in)
	}
	if n := s.Rooms().Room("tea").Count(); n != len(in) {
		t.Errorf("%d members, want %d", n, len(in))
	}
}

// rival is a broker with which, once, another client is quicker to make a room, and deletes it at once.
type rival struct {
	*room.Memory
	hub   *room.Hub
	armed atomic.Bool
	keep  bool // the other client does not delete it
}

type rivalTopic struct {
	room.Topic
	lost func()
}

func (r *rival) Open(id string, o *room.Options, to room.Subscriber, opened func(room.Topic, room.Opening, error)) {
	if o == nil || !r.armed.CompareAndSwap(true, false) { // o is not nil if the room is to be made
		r.Memory.Open(id, o, to, opened)
		return
	}
	theirs, theirErr := r.hub.Create(id, room.Options{})
	r.Memory.Open(id, o, to, func(topic room.Topic, at room.Opening, err error) {
		opened(&rivalTopic{topic, func() {
			if !r.keep {
				_ = r.hub.Delete(theirs, "quick")
			}
		}}, at, errors.Join(err, theirErr))
	})
}

func (t *rivalTopic) Close(how room.Ending, reason string) {
	t.Topic.Close(how, reason)
	if how == room.Left {
		t.lost()
	}
}

// Another client makes the room meanwhile, and deletes it again. Without a password it is made in the end; with one
// the client gets an error, because hashing again would take too long.
func TestMadeAndDeletedAtOnce(t *testing.T) {
	broker := &rival{Memory: room.NewMemory()}
	s := start(t, Config{}, room.Config{Broker: broker})
	broker.hub = s.Rooms()
	ada := s.named("Ada")
	broker.armed.Store(true)
	ada.say(object{"type": "join_room", "room_id": "wanted", "password": "x"})
	ada.fails("room_exists")
	broker.armed.Store(true)
	ada.goes(object{"room_id": "wanted"})
}
