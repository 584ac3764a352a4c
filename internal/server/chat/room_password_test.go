package chat

import (
	"fmt"
	"testing"
	"time"

	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// Messages that come while a password is checked are handled after it, in order; if there are too many they are
// refused at once.
func TestMessagesWhilePasswordIsChecked(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	s.locked("tea", "Darjeeling")
	c := s.dial("/ws/room/tea")
	all := []wstest.Frame{wstest.Text(`{"type":"join","password":"Darjeeling"}`)}
	for i := 1; i <= 33; i++ {
		all = append(all, wstest.Text(fmt.Sprintf(`{"type":"chat_message","message":"x","id":%d}`, i)))
	}
	c.Send(all...)
	if o := c.fails("busy"); o["id"] != 33.0 {
		t.Error(o)
	}
	c.next("room_joined")
	for i := 1; i <= 32; i++ {
		if o := c.next("message_sent"); o["id"] != float64(i) || o["offset"] != float64(i) {
			t.Fatal(o)
		}
	}
	c.quiet()

	ada := s.named("Ada")
	ada.Send(wstest.Text(`{"type":"join_room","room_id":"tea","password":"Darjeeling"}`), wstest.Text(`{"type":"list_users"}`),
		wstest.Text(`{"type":"leave_room"}`), wstest.Text(`{"type":"chat_message","content":"and now?"}`))
	ada.next("room_left")
	ada.enters("tea")
	if o := ada.next("user_list"); o["room_id"] != "tea" {
		t.Error(o)
	}
	if o := ada.next("room_left"); o["room_id"] != "tea" {
		t.Error(o)
	}
	ada.fails("no_room")
}

// A client that is gone when its password has been checked is in no room.
func TestClosedWhilePasswordIsChecked(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	tea := s.locked("tea", "Darjeeling")
	for range 5 {
		c := s.dial("/ws/room/tea")
		c.say(object{"type": "join", "username": "Ada", "password": "Darjeeling"})
		c.Reset()
		made := s.dial("/ws/room/coffee")
		made.say(object{"type": "join", "create": object{"password": "Java"}})
		made.Reset()
	}
	s.joins("tea", object{"password": "Darjeeling", "username": "Bob"}) // checked after the others
	wstest.Eventually(t, "one member is left", func() bool { return tea.Count() == 1 && s.Rooms().Stats().Users == 1 })
	if _, o := s.joins("tea", object{"password": "Darjeeling", "username": "Ada"}); o["username"] != "Ada" {
		t.Errorf("the name was not given back: %v", o)
	}
	if r := s.Rooms().Room("coffee"); r != nil && r.Count() != 0 {
		t.Errorf("%d members", r.Count())
	}
}

// If a room is deleted while a password for it is checked, the client enters neither it nor a new room of its id.
func TestDeletedWhilePasswordIsChecked(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	tea := s.locked("tea", "Darjeeling")
	c := s.dial("/ws/room/tea")
	c.say(object{"type": "join", "password": "Darjeeling"})
	wstest.Eventually(t, "the client has signed in", func() bool { return s.Rooms().Stats().Users == 1 })
	if err := s.Rooms().Delete(tea, "for a test"); err != nil {
		t.Fatal(err)
	}
	c.isRefused("room_not_found")
}

// A connection may try 5 passwords a minute, right or wrong.
func TestAttempts(t *testing.T) {
	clock := newClock()
	s := start(t, Config{Clock: clock}, room.Config{})
	s.locked("tea", "Darjeeling")
	right, wrong := object{"password": "Darjeeling"}, object{"password": "Assam"}
	c, _ := s.joins("tea", right)
	c.say(object{"type": "leave"})
	c.next("room_left")
	for range 4 {
		c.joinFails(wrong, "wrong_password")
	}
	c.joinFails(wrong, "too_many_attempts")
	c.joinFails(right, "too_many_attempts")
	s.joins("tea", right) // others may try
	clock.forward(time.Minute)
	c.joins(right)
}

// A room allows 60 wrong passwords a minute from all connections together; after that even a right one is refused. A
// member that has shown its password before does not notice.
func TestAttemptsOfManyConnections(t *testing.T) {
	clock := newClock()
	s := start(t, Config{Clock: clock}, room.Config{})
	tea := s.locked("tea", "Darjeeling")
	s.locked("coffee", "Java")
	ada, was := s.signIn(object{"username": "Ada"})
	ada.enters("general")
	joined := ada.goes(object{"room_id": "tea", "password": "Darjeeling"})
	for range maxFailures - 2 { // as if so many had been refused
		s.chat.attempts.failed(tea)
	}
	try := func(id, password, code string) {
		t.Helper()
		c := s.dial("/ws/room/" + id)
		c.say(object{"type": "join", "password": password})
		c.isRefused(code)
	}
	try("tea", "Assam", "wrong_password")
	s.joins("tea", object{"password": "Darjeeling"})
	ada.next("system_message")
	try("tea", "", "wrong_password")
	try("tea", "Assam", "too_many_attempts")
	try("tea", "Darjeeling", "too_many_attempts")
	try("coffee", "Darjeeling", "wrong_password")
	s.joins("coffee", object{"password": "Java"})
	s.cut(ada)
	ada, _ = s.signIn(resume(was, joined, 0))
	ada.enters("tea")
	clock.forward(time.Minute)
	s.joins("tea", object{"password": "Darjeeling"})
}

// The wrong passwords of deleted rooms are forgotten.
func TestFailuresOfDeletedRooms(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	tea := s.locked("tea", "Darjeeling")
	s.chat.attempts.failed(tea)
	for range 1200 {
		r, err := s.Rooms().Create("gone", room.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s.chat.attempts.failed(r)
		if err := s.Rooms().Delete(r, ""); err != nil {
			t.Fatal(err)
		}
	}
	s.chat.mu.Lock()
	defer s.chat.mu.Unlock()
	if n := len(s.chat.attempts.(*localAttempts).failures); n > 1025 || s.chat.attempts.(*localAttempts).failures[tea] == nil {
		t.Errorf("%d rooms remembered, the one that is left among them: %v", n, s.chat.attempts.(*localAttempts).failures[tea] != nil)
	}
}

// A client whose token does not allow a room cannot try passwords on it.
func TestForbiddenBeforePassword(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	s.locked("tea", "Darjeeling")
	c := s.dial("/ws/room/tea")
	c.say(object{"type": "join", "password": "Assam", "token": sign(t, auth.Claims{Subject: "ada", Rooms: []string{"coffee"}})})
	c.isRefused("forbidden_room")
}
