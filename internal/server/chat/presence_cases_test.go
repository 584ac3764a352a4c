package chat

import (
	"fmt"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// system expects a system_message, and returns it.
func (c *client) system(event string, count int) object {
	c.t.Helper()
	m := c.next("system_message")["message"].(object)
	if m["event"] != event || m["user_count"] != float64(count) || m["sender_id"] != "system" || m["sender_name"] != "System" {
		c.t.Fatalf("%v, want %s, %d", m, event, count)
	}
	return m
}

// status expects a user_status.
func (c *client) status(user any, status string) {
	c.t.Helper()
	o := c.next("user_status")
	has(c.t, o, "type", "user_id", "username", "status", "timestamp")
	if o["user_id"] != user || o["status"] != status {
		c.t.Fatalf("%v, want %v %s", o, user, status)
	}
}

// A user comes with the first connection and goes with the last; the messages do not depend on how the connections
// end.
func TestPresenceByUser(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	bob := s.named("Bob")
	token := sign(t, auth.Claims{Subject: "ada"})
	one, _ := s.guest(object{"username": "Ada", "token": token})
	m := bob.system("joined", 2)
	has(t, m, "id", "message_type", "content", "sender_id", "sender_name", "room_id", "timestamp", "event", "user_id", "username", "user_count")
	if m["user_id"] != "ada" || m["username"] != "Ada" || m["content"] != "Ada joined" {
		t.Errorf("%v", m)
	}
	bob.status("ada", "online")

	two, _ := s.guest(object{"token": token})
	bob.quiet()
	one.quiet()
	two.goes(object{"room_id": "random"})
	bob.quiet() // the first connection is still in general
	two.goes(object{"room_id": "general"})
	one.Reset()
	ada := s.Rooms().User("ada")
	wstest.Eventually(t, "the first connection has gone", func() bool { return len(s.Rooms().Connections(ada)) == 1 })
	bob.quiet()
	two.CloseHandshake(perch.CloseNormal)
	m = bob.system("offline", 1)
	if m["user_id"] != "ada" || m["content"] != "Ada went offline" {
		t.Errorf("%v", m)
	}
	bob.status("ada", "offline")
	bob.quiet()
}

// A user that loses one of two connections leaves the room of that one, but is not offline. When it loses the last,
// members of that room are told that it is offline.
func TestPresenceInTwoRooms(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	bob := s.named("Bob")
	eve := s.named("Eve", bob)
	eve.goes(object{"room_id": "random"})
	bob.system("left", 1)
	token := sign(t, auth.Claims{Subject: "ada"})
	one, _ := s.guest(object{"token": token}, bob)
	two, _ := s.guest(object{"token": token})
	two.goes(object{"room_id": "random"})
	eve.system("joined", 2)
	eve.quiet() // Ada was online before
	two.Reset()
	eve.system("left", 1)
	eve.quiet()
	bob.quiet()
	one.Reset()
	bob.system("offline", 1)
	bob.status("ada", "offline")
	eve.quiet()
}

func TestPresenceInChinese(t *testing.T) {
	s := start(t, Config{Locale: Chinese}, room.Config{})
	bob := s.named("Bob")
	ada := s.named("Ada")
	if m := bob.system("joined", 2); m["content"] != "Ada 加入了聊天室" {
		t.Errorf("%v", m)
	}
	bob.next("user_status")
	ada.CloseHandshake(perch.CloseNormal)
	if m := bob.system("offline", 1); m["content"] != "Ada 已离线" {
		t.Errorf("%v", m)
	}
}

// user_list has users, not connections, and the times at which they came.
func TestListUsers(t *testing.T) {
	clock := newClock()
	s := start(t, Config{Clock: clock}, room.Config{})
	came := map[any]time.Time{"ada": clock.now()}
	token := sign(t, auth.Claims{Subject: "ada"})
	ada, _ := s.guest(object{"username": "Ada", "token": token})
	clock.forward(time.Minute)
	_, _ = s.guest(object{"token": token})
	came["bob"] = clock.now()
	_, _ = s.guest(object{"username": "Bob", "token": sign(t, auth.Claims{Subject: "bob"})}, ada)
	for _, message := range []object{{"id": "u"}, {"id": "u", "room_id": "general"}} {
		message["type"] = "list_users"
		ada.say(message)
		list := ada.next("user_list")
		has(t, list, "type", "id", "room_id", "users", "user_count")
		if list["room_id"] != "general" || list["user_count"] != 2.0 || len(list["users"].([]any)) != 2 {
			t.Errorf("%v", list)
		}
		for _, u := range list["users"].([]any) {
			u := u.(object)
			has(t, u, "id", "username", "current_room", "joined_at")
			if at := stamp(t, u["joined_at"]); !at.Equal(came[u["id"]]) || u["current_room"] != "general" {
				t.Errorf("%v, came at %v", u, came[u["id"]])
			}
		}
	}
	ada.say(object{"type": "list_users", "room_id": "random"})
	if o := ada.fails("no_room"); o["field"] != "room_id" {
		t.Errorf("%v", o)
	}
}

// Only its members see a private room in the list.
func TestListPrivateRoom(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	if _, err := s.Rooms().Create("den", room.Options{Private: true, Name: "The Den"}); err != nil {
		t.Fatal(err)
	}
	ada := s.named("Ada")
	list := func() []any {
		ada.say(object{"type": "list_rooms", "id": 1})
		list := ada.next("room_list")
		has(t, list, "type", "id", "rooms", "timestamp")
		return list["rooms"].([]any)
	}
	if n := len(list()); n != 2 {
		t.Errorf("%d rooms for others", n)
	}
	ada.goes(object{"room_id": "den"})
	rooms := list()
	if r := rooms[2].(object); r["room_id"] != "den" || r["room_name"] != "The Den" || r["private"] != true || r["user_count"] != 1.0 {
		t.Errorf("%v", r)
	}
	ada.goes(object{"room_id": "random"})
	if n := len(list()); n != 2 {
		t.Errorf("%d rooms for a former member", n)
	}
}

// In a room with many members they are not told of each coming and going: changes come together, once a second, and
// in larger rooms without names.
func TestPresenceOfMany(t *testing.T) {
	const each, names = 3, 6
	s := start(t, Config{}, room.Config{PresenceEach: each, PresenceNames: names})
	var all []*client
	come := func(i int) *client {
		c := s.named(fmt.Sprint("guest ", i))
		all = append(all, c)
		return c
	}
	first := come(0)
	for i := 1; i < each; i++ {
		come(i)
		first.system("joined", i+1)
		first.next("user_status")
	}

	// hears sweeps until a message has the given count, and returns the names told until then.
	hears := func(count int) (joined, left []any) {
		t.Helper()
		s.Rooms().Sweep()
		for {
			o := first.next("presence")
			has(t, o, "type", "room_id", "member_count", "joined", "left", "timestamp")
			joined, left = append(joined, o["joined"].([]any)...), append(left, o["left"].([]any)...)
			if o["member_count"] == float64(count) {
				return joined, left
			}
		}
	}
	for i := each; i < names; i++ {
		come(i)
	}
	joined, left := hears(names)
	if len(joined) != names-each || len(left) != 0 {
		t.Errorf("joined %v, left %v", joined, left)
	}
	for _, u := range joined {
		has(t, u.(object), "id", "username")
	}
	all[names-1].Reset()
	joined, left = hears(names - 1)
	if len(joined) != 0 || len(left) != 1 || left[0].(object)["username"] != fmt.Sprint("guest ", names-1) {
		t.Errorf("joined %v, left %v", joined, left)
	}
	come(names)
	come(names + 1)
	if joined, left = hears(names + 1); len(joined)+len(left) > 1 { // the first of the two may have been told before
		t.Errorf("joined %v, left %v", joined, left)
	}
	first.quiet() // no other message about comings and goings
}
