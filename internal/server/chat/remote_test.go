package chat

import (
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/endpoint"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
	"github.com/perchws/perch/session"
	"github.com/perchws/perch/session/storetest"
)

// startRemote is start with a store of sessions that may wait, and that has faults.
func startRemote(t *testing.T, decide func(session.Call) storetest.Fault) (*server, *storetest.Faulty) {
	t.Helper()
	svc := New(Config{})
	var faulty *storetest.Faulty
	s := startOn(t, svc, svc.Rooms(room.Config{}), func(c *endpoint.Config) {
		faulty = storetest.NewFaulty(c.Sessions, decide)
		c.Sessions, c.Remote = nil, faulty
	})
	return s, faulty
}

// TestRemoteChat: with a store that may wait the chat behaves as with one that answers at once, however late it
// answers, in any order, and even twice.
func TestRemoteChat(t *testing.T) {
	for name, fault := range map[string]storetest.Fault{"at once": storetest.AtOnce, "twice": storetest.Twice, "late": storetest.Late} {
		t.Run(name, func(t *testing.T) {
			s, faulty := startRemote(t, storetest.All(fault))
			t.Cleanup(faulty.Scramble(5))
			bob := s.named("Bob")
			ada := s.dial("/ws/chat")
			ada.say(object{"username": "Ada"}) // and goes on at once, as a client may
			ada.say(object{"type": "join_room", "room_id": "tea"})
			ada.say(object{"type": "chat_message", "content": "alone?", "id": 1})
			init := ada.next("init")
			ada.enters("general")
			ada.next("room_left")
			joined := ada.enters("tea")
			ada.next("message_sent")
			bob.next("system_message")
			bob.next("user_status")
			bob.next("system_message")
			bob.goes(object{"room_id": "tea"})
			ada.next("system_message")
			s.cut(ada)
			bob.next("system_message")
			bob.next("user_status")
			bob.posts("where are you?")
			again, back := s.signIn(resume(init, joined, 1))
			if back["user_id"] != init["user_id"] || back["resumed"] != true || back["username"] != "Ada" {
				t.Errorf("%v", back)
			}
			if o := again.next("room_joined"); o["room_id"] != "tea" || o["recovered"] != true {
				t.Errorf("%v", o)
			}
			if got := again.offsets(1); got[0] != 2 {
				t.Errorf("missed %v", got)
			}
			again.next("system_message")
			other, back := s.signIn(justSession(init))
			if back["user_id"] != init["user_id"] {
				t.Errorf("%v", back)
			}
			if reason := again.AnswerClose(endpoint.CloseReplaced); reason != "replaced by a resume elsewhere" {
				t.Error(reason)
			}
			other.enters("tea")
			other.CloseHandshake(perch.CloseNormal)
			wstest.Eventually(t, "the session has ended", func() bool { return s.store.Stats().Sessions == 1 })
		})
	}
}

// TestRemoteStoreGone: connected clients go on without the store; others are told to come back.
func TestRemoteStoreGone(t *testing.T) {
	s, faulty := startRemote(t, nil)
	ada := s.named("Ada")
	faulty.Decide(storetest.All(storetest.Refused))
	ada.say(object{"type": "join_room", "room_id": "tea", "id": 1})
	ada.next("room_left")
	ada.enters("tea")
	if o := ada.next("error"); o["code"] != "unavailable" || o["id"] != nil { // her room cannot be kept
		t.Errorf("%v", o)
	}
	ada.posts("still here")
	for _, first := range []object{{"username": "Bob"}, {"resume": object{"session": session.NewKey().Text()}}} {
		c := s.dial("/ws/chat")
		first["id"] = "f"
		c.say(first)
		c.say(object{"type": "ping"})
		if o := c.next("error"); o["code"] != "unavailable" || o["id"] != "f" {
			t.Errorf("%v", o)
		}
		if reason := c.AnswerClose(perch.CloseTryAgainLater); reason != "sessions are not available, try again" {
			t.Error(reason)
		}
	}
	if n := s.Rooms().Stats().Users; n != 1 {
		t.Errorf("%d users", n)
	}
	joins, _ := s.joins("tea", object{"type": "join"}) // no session is needed there
	joins.Close()
	faulty.Decide(nil)
	s.signIn(object{"username": "Bob"})
}

// TestRemoteGoneMeanwhile: a client that leaves while its session is on its way leaves nothing behind.
func TestRemoteGoneMeanwhile(t *testing.T) {
	s, faulty := startRemote(t, storetest.Only(storetest.Late, session.OpCreate))
	c := s.dial("/ws/chat")
	c.say(object{"token": sign(t, auth.Claims{Subject: "ada"})})
	c.say(object{"type": "join_room", "room_id": "tea"})
	created := faulty.Next(t)
	c.Reset()
	wstest.Eventually(t, "the connection is gone", func() bool { return s.Stats().Connections == 0 })
	created.Release()
	if n := s.store.Stats().Sessions; n != 0 {
		t.Errorf("%d sessions", n)
	}
	if st := s.Rooms().Stats(); st.Users != 0 || s.Rooms().Room("tea") != nil {
		t.Errorf("left behind: %+v", st)
	}
}
