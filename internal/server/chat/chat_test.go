package chat

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/endpoint"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
	"github.com/perchws/perch/session"
)

// server is a chat on a real server.
type server struct {
	*perch.Server
	t     *testing.T
	chat  *Service
	realm *endpoint.Realm
	store *session.Memory
}

const secret = "a secret of the tests, long enough"

func start(t *testing.T, c Config, rooms room.Config) *server {
	t.Helper()
	svc := New(c)
	return startWith(t, svc, svc.Rooms(rooms))
}

// startWith is start with another configuration of rooms.
func startWith(t *testing.T, svc *Service, rooms room.Config) *server {
	t.Helper()
	return startOn(t, svc, rooms, func(*endpoint.Config) {})
}

// startOn is startWith with a realm whose configuration prepare may change.
func startOn(t *testing.T, svc *Service, rooms room.Config, prepare func(*endpoint.Config)) *server {
	t.Helper()
	return startServer(t, svc, perch.Config{Rooms: rooms}, prepare)
}

// startServer is startOn with settings of the engine.
func startServer(t *testing.T, svc *Service, cfg perch.Config, prepare func(*endpoint.Config)) *server {
	t.Helper()
	wstest.NoLeaks(t)
	key, err := auth.SecretKey("test", []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := auth.New(auth.Config{Keys: []auth.Key{key}})
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, chat: svc, store: session.NewMemory(session.Config{Clock: svc.cfg.Clock})}
	cfg.Addr, cfg.Loops = "127.0.0.1:0", 2
	s.Server = perch.New(cfg)
	realm := endpoint.Config{Auth: verifier, Sessions: s.store, Find: s.Find}
	prepare(&realm)
	s.realm = endpoint.New(realm)
	if err := s.chat.Mount(s.Server, s.realm); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		s.realm.Close()
		verifier.Close()
	})
	return s
}

// client is a connection that speaks JSON.
type client struct {
	*wstest.Conn
	t *testing.T
}

type object = map[string]any

func (s *server) dial(path string) *client {
	s.t.Helper()
	return &client{wstest.Dial(s.t, s.Addr().String(), path), s.t}
}

func (c *client) say(v any) {
	c.t.Helper()
	p, err := json.Marshal(v)
	if err != nil {
		c.t.Fatal(err)
	}
	c.Send(wstest.Text(string(p)))
}

// next reads the next message, which must be of a type.
func (c *client) next(typ string) object {
	c.t.Helper()
	_, p := c.NextMessage()
	var o object
	if err := json.Unmarshal(p, &o); err != nil {
		c.t.Fatalf("%s: %v", p, err)
	}
	if o["type"] != typ {
		c.t.Fatalf("%s, want %s", p, typ)
	}
	return o
}

func TestTwoTalk(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada, bob := s.dial("/ws/chat"), s.dial("/ws/chat")
	ada.say(object{"username": "Ada"})
	ada.next("init")
	ada.next("room_joined")
	ada.next("system_message")
	bob.say(object{"username": " ADA "})
	if o := bob.next("init"); o["username"] != "ADA_2" {
		t.Errorf("%v", o)
	}
	bob.next("room_joined")
	bob.next("system_message")
	ada.next("system_message")
	ada.next("user_status")
	ada.say(object{"type": "chat_message", "content": "<b>hello</b>", "id": "1"})
	if o := ada.next("message_sent"); o["offset"] != 1.0 || o["id"] != "1" {
		t.Errorf("%v", o)
	}
	o := bob.next("message")
	if m := o["message"].(object); m["content"] != "<b>hello</b>" || m["sender_name"] != "Ada" {
		t.Errorf("%v", o)
	}
	r := s.dial("/ws/room/general")
	r.say(object{"type": "join"})
	t.Log(r.next("room_joined"))
	bob.say(object{"type": "chat_message", "content": "you"})
	t.Log(r.next("chat_message"))
}

// A new token for fewer rooms removes the client from its room.
func TestRefreshForFewerRooms(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	token := func(rooms ...string) string {
		key, err := auth.SecretKey("test", []byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		token, err := key.Sign(auth.Claims{Subject: "ada", Rooms: rooms, Expires: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	ada := s.dial("/ws/chat")
	ada.say(object{"token": token("general", "random")})
	ada.next("init")
	ada.next("room_joined")
	ada.next("system_message")
	ada.say(object{"type": "refresh_token", "token": token("general")})
	ada.next("token_refreshed")
	ada.say(object{"type": "refresh_token", "token": token("random")})
	ada.next("token_refreshed")
	ada.next("room_left")
	if o := ada.next("error"); o["code"] != "forbidden_room" {
		t.Errorf("%v", o)
	}
	ada.say(object{"type": "chat_message", "content": "still here?"})
	if o := ada.next("error"); o["code"] != "no_room" {
		t.Errorf("%v", o)
	}
	if n := s.Rooms().Room(generalID).Count(); n != 0 {
		t.Errorf("%d members left in general", n)
	}
}

// A first message with a type is refused, because the type would be ignored. Lists show a private room only to its
// members.
func TestListRooms(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	if _, err := s.Rooms().Create("secret", room.Options{Private: true}); err != nil {
		t.Fatal(err)
	}
	ada, bob := s.dial("/ws/chat"), s.dial("/ws/room/secret")
	ada.say(object{"type": "chat_message", "content": "hello"})
	if o := ada.next("error"); o["code"] != "bad_request" {
		t.Errorf("%v", o)
	}
	ada.say(object{})
	ada.next("init")
	ada.next("room_joined")
	ada.next("system_message")
	ada.say(object{"type": "list_rooms", "id": 1})
	bob.say(object{"type": "join"})
	bob.next("room_joined")
	bob.say(object{"type": "list", "id": 1})
	for c, want := range map[*client][]string{ada: {"general", "random"}, bob: {"general", "random", "secret"}} {
		var got []string
		for _, r := range c.next("room_list")["rooms"].([]any) {
			got = append(got, r.(object)["room_id"].(string))
		}
		if !slices.Equal(got, want) {
			t.Errorf("listed %q, want %q", got, want)
		}
	}
}
