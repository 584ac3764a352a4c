package chat

import (
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perchws/perch/internal/label"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// A client whose room is gone enters general; a room that was made again is entered like any other.
func TestResumeRoomGone(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada, was := s.signIn(object{"username": "Ada"})
	ada.enters("general")
	joined := ada.goes(object{"room_id": "tea"})
	remake := func() *room.Room {
		t.Helper()
		if err := s.Rooms().Delete(s.Rooms().Room("tea"), "for a test"); err != nil {
			t.Fatal(err)
		}
		tea, err := s.Rooms().Create("tea", room.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return tea
	}
	s.cut(ada)
	s.publish(remake(), 3, "x")
	ada, _ = s.signIn(resume(was, joined, 0))
	if o := ada.enters("tea"); o["recovered"] != false || o["epoch"] == joined["epoch"] || len(o["recent_messages"].([]any)) != 3 {
		t.Error(o)
	}
	s.cut(ada)
	if err := s.Rooms().Delete(s.Rooms().Room("tea"), "for a test"); err != nil {
		t.Fatal(err)
	}
	ada, is := s.signIn(resume(was, joined, 0))
	ada.enters("general")
	if is["username"] != "Ada" || is["resumed"] != true {
		t.Error(is)
	}
}

// A client whose room was deleted while it was there has left no room when it joins the next.
func TestNextRoomAfterDeleted(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada, _ := s.signIn(object{})
	ada.enters("general")
	ada.goes(object{"room_id": "tea"})
	if err := s.Rooms().Delete(s.Rooms().Room("tea"), "for a test"); err != nil {
		t.Fatal(err)
	}
	ada.next("room_closed")
	ada.say(object{"type": "join_room", "room_id": "random"})
	ada.enters("random")
}

// After a resume a client that had left its room is in none. It has its name in either case.
func TestResumeWithoutRoom(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada, was := s.signIn(object{"username": "Ada"})
	general := ada.enters("general")
	ada.say(object{"type": "leave_room"})
	ada.next("room_left")
	s.cut(ada)
	ada, is := s.signIn(resume(was, general, 0))
	ada.say(object{"type": "chat_message", "content": "hello"})
	ada.fails("no_room")
	if is["username"] != "Ada" {
		t.Errorf("%v", is)
	}

	bob, was := s.signIn(object{"username": "Bob", "token": sign(t, auth.Claims{Subject: "bob", Rooms: []string{"random"}})})
	bob.quiet() // in no room: it may not enter general
	s.cut(bob)
	first := justSession(was)
	first["token"] = sign(t, auth.Claims{Subject: "bob", Rooms: []string{"random"}})
	bob, is = s.signIn(first)
	bob.quiet()
	if is["username"] != "Bob" || is["resumed"] != true {
		t.Errorf("%v", is)
	}
}

// A resume does not bring a client to a room that its new token does not allow.
func TestResumeForbidden(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada, was := s.signIn(object{"username": "Ada", "token": sign(t, auth.Claims{Subject: "ada"})})
	ada.enters("general")
	joined := ada.goes(object{"room_id": "random"})
	back := func(rooms ...string) *client {
		t.Helper()
		s.cut(ada)
		first := resume(was, joined, 0)
		first["token"] = sign(t, auth.Claims{Subject: "ada", Rooms: rooms})
		c, is := s.signIn(first)
		if is["resumed"] != true || is["username"] != "Ada" {
			t.Fatal(is)
		}
		return c
	}
	ada = back("tea")
	ada.say(object{"type": "list_users"})
	ada.fails("no_room")
	ada = back("random", "general")
	ada.enters("random")
	ada = back("general")
	ada.enters("general")
}

// A client may say that it has seen messages of a room, but that does not make it a member.
func TestResumeClaimsAnotherRoom(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	bob, _ := s.signIn(object{"username": "Bob"})
	bob.enters("general")
	tea := bob.goes(object{"room_id": "tea", "password": "Darjeeling"})
	bob.say(object{"type": "chat_message", "content": "a secret"})
	bob.next("message_sent")
	eve, was := s.signIn(object{"username": "Eve"})
	eve.enters("general")
	s.cut(eve)
	eve, _ = s.signIn(resume(was, tea, 0))
	eve.enters("general")
	eve.quiet()
	bob.quiet()
}

// A client comes back again and again, with or without a close before that, while others write all the time: it sees
// every message once, in order, and keeps its name.
func TestResumeWhileOthersWrite(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	general := s.Rooms().Room(generalID)
	ada, was := s.signIn(object{"username": "Ada"})
	joined := ada.enters("general")
	last := 0
	var seen atomic.Int64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for n := int64(0); ; {
			select {
			case <-stop:
				return
			default:
			}
			if n-seen.Load() < 250 { // so that it never misses more than the server can send again
				s.publish(general, 1, "x")
				n++
			} else {
				time.Sleep(10 * time.Microsecond)
			}
		}
	}()
	defer func() {
		close(stop)
		<-done
	}()
	read := func(n int) {
		t.Helper()
		for n > 0 {
			_, p := ada.NextMessage()
			offset, ok := offsetOf(p)
			if !ok {
				continue // the welcome
			}
			if offset != last+1 {
				t.Fatalf("offset %d after %d", offset, last)
			}
			last = offset
			seen.Store(int64(last))
			n--
		}
	}
	for round := range 100 {
		read(40)
		old := ada.Conn
		switch round % 4 {
		case 0:
			old.Reset()
		case 1:
			old.Send(wstest.Close(1001, ""))
		case 2:
			old.Close()
		}
		var is object
		ada, is = s.signIn(resume(was, joined, last))
		if is["resumed"] != true || is["username"] != "Ada" || is["user_id"] != was["user_id"] {
			t.Fatalf("round %d: %v", round, is)
		}
		if o := ada.next("room_joined"); o["recovered"] != true {
			t.Fatalf("round %d, seen %d: %v", round, last, o)
		}
	}
	read(300)
}

// offsetOf returns the offset of a message; false if it is no message.
func offsetOf(p []byte) (int, bool) {
	var m struct {
		Type   string
		Offset int
	}
	err := json.Unmarshal(p, &m)
	return m.Offset, err == nil && m.Type == "message"
}

// A client that comes back while its old connection is still closing, on another loop, gets its name, although that
// has not been given back yet.
func TestResumeWhileGoing(t *testing.T) {
	svc := New(Config{})
	rooms := svc.Rooms(room.Config{})
	offline := rooms.Offline
	going, back := make(chan struct{}, 2), make(chan struct{}) // the second value is for the end of the test
	rooms.Offline = func(u *room.User) {
		going <- struct{}{}
		<-back
		offline(u)
	}
	s := startWith(t, svc, rooms)
	var others []*client
	for range 12 {
		others = append(others, s.dial("/ws/chat"))
	}
	ada, was := s.signIn(object{"username": "Ada"})
	ada.enters("general")
	ada.Reset()
	wstest.Receive(t, "the end of a user", going)
	var is object
	for _, c := range others {
		c.Timeout = 100 * time.Millisecond
		c.say(object{"type": "are you on the other loop?"})
		if _, err := c.Next(); err != nil {
			continue
		}
		c.Timeout = wstest.DefaultTimeout
		c.say(justSession(was))
		is = c.next("init")
		break
	}
	close(back)
	if is["resumed"] != true || is["username"] != "Ada" || is["user_id"] != was["user_id"] {
		t.Error(is)
	}
	wstest.Eventually(t, "the name is hers alone", func() bool {
		svc.names.(*localNames).mu.Lock()
		defer svc.names.(*localNames).mu.Unlock()
		return len(svc.names.(*localNames).taken) == len(label.Looks("Ada"))
	})
}
