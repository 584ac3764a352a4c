package chat

import (
	"context"
	"maps"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/ledger"
	"github.com/perchws/perch/internal/limit"
	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/room"
)

// joins is a client of /ws/room/{room_id} that has joined; it also returns room_joined. message may be nil.
func (s *server) joins(id string, message object) (*client, object) {
	s.t.Helper()
	c := s.dial("/ws/room/" + id)
	return c, c.joins(message)
}

// joins sends join.
func (c *client) joins(message object) object {
	c.t.Helper()
	c.say(joinWith(message))
	return c.next("room_joined")
}

func joinWith(message object) object {
	m := object{"type": "join"}
	maps.Copy(m, message)
	return m
}

// isRefused expects an error, and 1008 with its code.
func (c *client) isRefused(code string) {
	c.t.Helper()
	c.fails(code)
	if reason := c.AnswerClose(perch.ClosePolicyViolation); reason != code {
		c.t.Errorf("closed with %q, want %q", reason, code)
	}
}

// locked makes a room with a password.
func (s *server) locked(id, password string) *room.Room {
	s.t.Helper()
	hash, err := s.Rooms().Hash(context.Background(), password)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := s.Rooms().Create(id, room.Options{Password: hash})
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func TestRoomJoined(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	general := s.Rooms().Room(generalID)
	s.publish(general, 2, "x")
	c, o := s.joins("general", object{"username": "Ada", "id": 7})
	has(t, o, "type", "id", "room_id", "message", "member_count", "user_id", "username", "timestamp", "epoch", "offset", "recovered")
	stamp(t, o["timestamp"])
	want := object{
		"type": "room_joined", "id": 7.0, "room_id": "general", "message": "Welcome to General Chat", "member_count": 1.0, "username": "Ada",
		"epoch": general.Position().Epoch, "offset": 2.0, "recovered": false,
	}
	for field, v := range want {
		if o[field] != v {
			t.Errorf("%s is %v, want %v", field, o[field], v)
		}
	}
	c.quiet() // no history without since
	if _, o := s.joins("general", nil); !strings.HasPrefix(o["username"].(string), "User_") || o["member_count"] != 2.0 {
		t.Error(o)
	}
	if _, o := s.joins("general", object{"token": sign(t, auth.Claims{Subject: "bob"})}); o["user_id"] != "bob" {
		t.Error(o)
	}
}

// A client that cannot join is told the error, and closed with the same code.
func TestRoomJoinErrors(t *testing.T) {
	s := start(t, Config{}, room.Config{MaxRooms: 6})
	s.locked("locked", "Darjeeling")
	full, err := s.Rooms().Create("full", room.Options{MaxMembers: 1})
	if err != nil {
		t.Fatal(err)
	}
	s.joins("full", nil)
	create := func(o object) object { return object{"type": "join", "create": o} }
	long := strings.Repeat("x", room.MaxID+1)
	for _, test := range []struct {
		path string
		say  any
		code string
	}{
		{"general", object{}, "bad_request"},
		{"general", object{"type": "chat_message", "message": "hello"}, "bad_request"},
		{"general", object{"type": "join", "username": 7}, "wrong_type"},
		{"general", object{"type": "join", "username": strings.Repeat("x", 33)}, "name_invalid"},
		{"general", object{"type": "join", "username": "System"}, "name_invalid"},
		{"general", object{"type": "join", "username": strings.Repeat("x", 4*32+1)}, "too_long"},
		{"general", object{"type": "join", "token": sign(t, auth.Claims{Subject: "system"})}, "name_invalid"},
		{"general", object{"type": "join", "token": sign(t, auth.Claims{Subject: "anon-1"})}, "name_invalid"},
		{"general", object{"type": "join", "token": sign(t, auth.Claims{Subject: "ada", Rooms: []string{"random"}})}, "forbidden_room"},
		{"general", object{"type": "join", "since": "yesterday"}, "wrong_type"},
		{"general", object{"type": "join", "since": object{"offset": 1}}, "missing_field"},
		{"general", object{"type": "join", "since": object{"epoch": "e", "offset": "1"}}, "wrong_type"},
		{"general", object{"type": "join", "password": 7}, "wrong_type"},
		{"general", object{"type": "join", "password": strings.Repeat("x", 257)}, "too_long"},
		{"full", object{"type": "join"}, "room_full"},
		{"nowhere", object{"type": "join"}, "room_not_found"},
		{"nowhere", object{"type": "join", "password": "x"}, "room_not_found"},
		{"two%20%20spaces", create(object{}), "invalid_room_id"},
		{"line%0Aend", create(object{}), "invalid_room_id"},
		{long, create(object{}), "invalid_room_id"},
		{"nowhere", object{"type": "join", "create": true}, "wrong_type"},
		{"nowhere", create(object{"name": long}), "too_long"},
		{"nowhere", create(object{"name": "a\u200bb"}), "invalid_value"},
		{"nowhere", create(object{"name": 7}), "wrong_type"},
		{"nowhere", create(object{"private": "yes"}), "wrong_type"},
		{"nowhere", create(object{"password": strings.Repeat("x", 257)}), "too_long"},
		{"nowhere", create(object{"max_members": 0}), "invalid_value"},
		{"nowhere", create(object{"max_members": 1001}), "invalid_value"},
		{"nowhere", create(object{"max_members": -1}), "wrong_type"},
		{"nowhere", create(object{"max_members": 2.5}), "wrong_type"},
		{"locked", object{"type": "join"}, "wrong_password"},
		{"locked", object{"type": "join", "password": "Assam"}, "wrong_password"},
		{"locked", object{"type": "join", "password": "Assam", "create": object{"password": "Darjeeling"}}, "wrong_password"},
	} {
		c := s.dial("/ws/room/" + test.path)
		c.say(test.say)
		c.isRefused(test.code)
		if r := s.Rooms().Room("nowhere"); r != nil {
			t.Fatalf("%v made a room", test.say)
		}
	}
	if full.Count() != 1 {
		t.Errorf("%d members in a room for one", full.Count())
	}
	s.joins("fifth", object{"create": object{}})
	c := s.dial("/ws/room/sixth")
	c.say(create(object{}))
	c.isRefused("room_limit")
}

// A client that was refused may have the same name again at once, on a connection that comes before the end of the
// first.
func TestRoomRefusedName(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	c := s.dial("/ws/room/nowhere")
	c.say(object{"type": "join", "username": "Ada"})
	c.fails("room_not_found") // and the client does not answer the close
	if _, o := s.joins("general", object{"username": "Ada"}); o["username"] != "Ada" {
		t.Errorf("joined as %v", o["username"])
	}
}

func TestRoomFixed(t *testing.T) {
	s := start(t, Config{Fixed: true, Rooms: []string{"lobby"}}, room.Config{})
	s.joins("lobby", object{"create": object{}})
	for _, create := range []object{{}, {"password": "x"}} {
		c := s.dial("/ws/room/tea")
		c.say(object{"type": "join", "create": create})
		c.isRefused("room_not_found")
	}
}

func TestRoomCreate(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	for _, test := range []struct {
		id     string
		create object
		want   room.Options
	}{
		{"plain", object{}, room.Options{Name: "plain", MaxMembers: 1000}},
		{"empty", object{"name": "", "password": "", "private": false}, room.Options{Name: "empty", MaxMembers: 1000}},
		{"all", object{"name": "Plans", "private": true, "max_members": 2, "password": "Darjeeling"}, room.Options{Name: "Plans", Private: true, MaxMembers: 2}},
		{"largest", object{"name": strings.Repeat("y", 64), "max_members": 1000}, room.Options{Name: strings.Repeat("y", 64), MaxMembers: 1000}},
		{"smallest", object{"max_members": 1}, room.Options{Name: "smallest", MaxMembers: 1}},
		{strings.Repeat("x", 64), object{"password": strings.Repeat("x", 256)}, room.Options{Name: strings.Repeat("x", 64), MaxMembers: 1000}},
		{"tea%20time", object{}, room.Options{Name: "tea time", MaxMembers: 1000}},
	} {
		c, joined := s.joins(test.id, object{"create": test.create})
		r := s.Rooms().Room(strings.ReplaceAll(test.id, "%20", " "))
		got := r.Options()
		password, _ := test.create["password"].(string)
		if got.Password.IsSet() != (password != "") {
			t.Errorf("%s: a password is set: %v", test.id, got.Password.IsSet())
		}
		test.want.Owner, got.Password = joined["user_id"].(string), room.Password{}
		test.want.TTL = 300 * time.Second
		test.want.Payer = room.Payer(ledger.Address(limit.ShareOf(netip.MustParseAddr("127.0.0.1"))))
		if got != test.want {
			t.Errorf("%s: %+v, want %+v", test.id, got, test.want)
		}
		c.quiet()
	}
	// A room that exists already is not changed by create.
	if _, o := s.joins("plain", object{"create": object{"name": "Mine", "private": true}}); o["message"] != "Welcome to plain" {
		t.Error(o)
	}
}

// One connection makes 10 rooms in a minute.
func TestRoomCreations(t *testing.T) {
	clock := newClock()
	s := start(t, Config{Clock: clock}, room.Config{})
	c := s.dial("/ws/room/tea")
	for range 10 {
		c.joins(object{"create": object{}})
		c.say(object{"type": "delete"})
		c.next("room_deleted")
		c.next("room_closed")
	}
	c.say(object{"type": "join", "create": object{}, "id": "11th"})
	if o := c.fails("rate_limited"); o["id"] != "11th" {
		t.Error(o)
	}
	c.joinFails(object{"create": object{"password": "x"}}, "rate_limited")
	clock.forward(time.Minute)
	c.joins(object{"create": object{}})
}

// joinFails sends join, which must fail; the connection stays.
func (c *client) joinFails(message object, code string) {
	c.t.Helper()
	c.say(joinWith(message))
	c.fails(code)
}

// A room is full at its limit; another connection of a member is no further member.
func TestRoomFull(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	token := sign(t, auth.Claims{Subject: "ada"})
	ada, _ := s.joins("tea", object{"token": token, "create": object{"max_members": 2}})
	bob, _ := s.joins("tea", nil)
	ada.next("user_joined")
	if _, o := s.joins("tea", object{"token": token}); o["member_count"] != 2.0 {
		t.Error(o)
	}
	c := s.dial("/ws/room/tea")
	c.say(object{"type": "join"})
	c.isRefused("room_full")
	bob.say(object{"type": "leave"})
	bob.next("room_left")
	s.joins("tea", nil)
	bob.joinFails(nil, "room_full")
	bob.quiet()
}
