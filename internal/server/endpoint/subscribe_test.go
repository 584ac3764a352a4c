package endpoint

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/server/protocol"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
	"github.com/perchws/perch/room/brokertest"
)

func creating(_ *world, c *Config) { c.CreateRooms, c.MaxMembers, c.MaxErrors = true, 2, -1 }

// subscribe expects a subscription to work, or to be answered with an error.
func (p peer) subscribe(channel, code string) {
	p.t.Helper()
	p.say(fmt.Sprintf(`{"type":"subscribe","channel":%q,"id":1}`, channel))
	if code == "" {
		if got := p.hear(); got["type"] != "subscribed" || got["channel"] != channel || !like(got["id"], 1) {
			p.t.Errorf("subscribe to %q: got %v", channel, got)
		}
	} else if got := p.hear(); got["code"] != code || !like(got["id"], 1) {
		p.t.Errorf("subscribe to %q: got %v, want %v", channel, got, code)
	}
}

// client is a peer at /ws/{client_id} that has got its first message.
func (w *world) client(target string) peer {
	w.t.Helper()
	c := w.dial(target)
	c.hear()
	return c
}

func (w *world) publish(channel, p string) {
	w.srv.Rooms().Room(channel).Publish(room.Message{Payload: []byte(p)}, nil)
}

// TestSubscribe: a message published in a room comes once to each client that is in it.
func TestSubscribe(t *testing.T) {
	w := newWorld(t, creating, nil)
	a, b, other := w.client("/ws/1"), w.client("/ws/2"), w.client("/ws/3")
	a.subscribe("news", "")
	b.subscribe("news", "")
	a.subscribe("news", "") // as before
	other.subscribe("sports", "")
	w.publish("news", `{"n":1}`)
	w.publish("sports", `{"n":2}`)
	w.publish("news", `{"n":3}`)
	for _, c := range []peer{a, b} {
		c.ExpectText(`{"n":1}`)
		c.ExpectText(`{"n":3}`)
	}
	other.ExpectText(`{"n":2}`)
	if n := w.srv.Rooms().Room("news").Count(); n != 2 {
		t.Errorf("%d members of news", n)
	}
	b.say(`{"type":"unsubscribe","channel":"news","id":1}`, `{"type":"unsubscribe","channel":"news"}`, `{"type":"unsubscribe","channel":"none"}`)
	b.expect(`{"type":"unsubscribed","channel":"news","timestamp":` + timestamp + `,"id":1}`)
	for range 2 {
		if got := b.hear(); got["code"] != "no_room" {
			t.Errorf("unsubscribed twice: %v", got)
		}
	}
	w.publish("news", `{"n":4}`)
	a.ExpectText(`{"n":4}`)
	b.subscribe("news", "")
	a.Reset()
	wstest.Eventually(t, "who is gone has left", func() bool { return w.srv.Rooms().Room("news").Count() == 1 })
	for _, c := range []peer{b, other} {
		c.say(`{"type":"ping"}`)
		c.expect(`{"type":"pong","timestamp":"*"}`)
	}
}

// TestSubscribeByName: a channel is the room with that name, and none is made that looks like another.
func TestSubscribeByName(t *testing.T) {
	w := newWorld(t, creating, nil)
	if _, err := w.srv.Rooms().Create("news", room.Options{Name: "World News"}); err != nil {
		t.Fatal(err)
	}
	c := w.client("/ws/1")
	for range 2 {
		c.say(`{"type":"subscribe","channel":"WORLD NEWS"}`)
		c.expect(`{"type":"subscribed","channel":"news","timestamp":` + timestamp + `}`)
	}
	w.publish("news", `{"n":1}`)
	c.ExpectText(`{"n":1}`)
	c.say(`{"type":"subscribe","channel":"nеws"}`)
	c.expect(`{"type":"error","code":"room_exists","message":"*","room_id":"news"}`)
	c.say(`{"type":"unsubscribe","channel":"News"}`)
	c.expect(`{"type":"unsubscribed","channel":"news","timestamp":` + timestamp + `}`)
	if w.srv.Rooms().Room("news").Count() != 0 || len(w.srv.Rooms().Rooms()) != 1 {
		t.Error("the client is still in the room, or in another")
	}
}

func TestSubscribeRefused(t *testing.T) {
	w := newWorld(t, creating, nil)
	hub := w.srv.Rooms()
	password, err := hub.Hash(t.Context(), "secret")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hub.Create("locked", room.Options{Password: password}); err != nil {
		t.Fatal(err)
	}
	c := w.client("/ws/1")
	c.subscribe("locked", "wrong_password")
	c.subscribe(strings.Repeat("x", room.MaxID+1), "too_long")
	c.subscribe("", "invalid_room_id")
	c.subscribe("a\tb", "invalid_room_id")
	for _, tt := range []struct{ message, code string }{
		{`{"type":"subscribe"}`, "missing_field"},
		{`{"type":"subscribe","channel":7}`, "wrong_type"},
	} {
		c.say(tt.message)
		if got := c.hear()["code"]; got != tt.code {
			t.Errorf("%s: %v, want %v", tt.message, got, tt.code)
		}
	}
	for _, target := range []string{"/ws/1", "/ws/2"} {
		w.client(target).subscribe("full", "")
	}
	c.subscribe("full", "room_full")
}

// TestSubscribeFixed: if clients may not make rooms they can still use the rooms that exist.
func TestSubscribeFixed(t *testing.T) {
	w := newWorld(t, nil, nil)
	if _, err := w.srv.Rooms().Create("general", room.Options{}); err != nil {
		t.Fatal(err)
	}
	c := w.client("/ws/1")
	c.subscribe("general", "")
	c.subscribe("other", "room_not_found")
	if w.srv.Rooms().Room("other") != nil {
		t.Error("the room was made")
	}
}

// TestSubscribeOften: a connection may make ten rooms in a minute, and be in at most a hundred.
func TestSubscribeOften(t *testing.T) {
	w := newWorld(t, creating, nil)
	for i := range 101 {
		if _, err := w.srv.Rooms().Create(fmt.Sprintf("room-%d", i), room.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	c := w.client("/ws/1")
	for i := range maxCreations {
		c.subscribe(fmt.Sprintf("mine-%d", i), "")
	}
	c.subscribe("mine-too", "rate_limited")
	for i := range 100 - maxCreations {
		c.subscribe(fmt.Sprintf("room-%d", i), "")
	}
	c.subscribe("room-100", "too_many_rooms")
	w.client("/ws/2").subscribe("mine-too", "")
}

// TestSubscribeRooms: a token may name its rooms.
func TestSubscribeRooms(t *testing.T) {
	w := newWorld(t, creating, nil)
	token, err := w.key.Sign(auth.Claims{Subject: "7", Rooms: []string{"news"}, Expires: w.clock.Wall().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	c := w.client("/ws/7?token=" + token)
	c.subscribe("news", "")
	c.subscribe("sports", "forbidden_room")
	if o := w.srv.Rooms().Room("news").Options(); o.Owner != "7" || o.MaxMembers != 2 {
		t.Errorf("the room was made with %+v", o)
	}
	if token, err = w.key.Sign(auth.Claims{Subject: "7", Rooms: []string{"sports"}, Expires: w.clock.Wall().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	c.say(`{"type":"refresh_token","token":"` + token + `"}`) // for other rooms
	if got := c.hear(); got["type"] != "token_refreshed" {
		t.Errorf("refreshed: %v", got)
	}
	c.expect(`{"type":"unsubscribed","channel":"news","timestamp":` + timestamp + `}`)
	c.subscribe("sports", "")
	if n, m := w.srv.Rooms().Room("news").Count(), w.srv.Rooms().Room("sports").Count(); n != 0 || m != 1 {
		t.Errorf("%d members of news and %d of sports, want 0 and 1", n, m)
	}
}

// TestSubscribeLate: a subscription waits for a broker that answers later. Messages of the client meanwhile are
// answered after it. If the broker fails the client is told so.
func TestSubscribeLate(t *testing.T) {
	late := brokertest.NewLate()
	late.Fate = func(id string, _ brokertest.Asked) brokertest.Fate {
		if id == "broken" {
			return brokertest.Fail
		}
		return brokertest.Answer
	}
	w := newWorldOf(t, room.Config{Broker: late}, func(w *world, c *Config) {
		creating(w, c)
		c.Patience = -1
	}, nil)
	a := w.client("/ws/1")
	a.say(`{"type":"subscribe","channel":"news","id":1}`, `{"type":"ping","id":2}`)
	over := make(chan struct{})
	defer time.AfterFunc(20*time.Second, func() { close(over) }).Stop()
	for range 2 { // first there is no room, then it is made
		late.Await("news", 1, over)
		late.Step("news")
	}
	if o := a.hear(); o["type"] != "subscribed" || !like(o["id"], 1) {
		t.Errorf("%v", o)
	}
	if o := a.hear(); o["type"] != "pong" || !like(o["id"], 2) {
		t.Errorf("%v", o)
	}
	a.say(`{"type":"subscribe","channel":"broken","id":3}`)
	late.Await("broken", 1, over)
	late.Step("broken")
	if o := a.hear(); o["code"] != "unavailable" || !like(o["id"], 3) {
		t.Errorf("%v", o)
	}
}

func TestRoomError(t *testing.T) {
	for err, want := range map[error]protocol.Code{
		room.ErrNotFound: "room_not_found", room.ErrExists: "room_exists", room.ErrID: "invalid_room_id",
		room.ErrTooMany: "room_limit", room.ErrFull: "room_full", room.ErrPassword: "wrong_password",
		room.ErrBusy: "busy", room.ErrJoined: "already_joined", room.ErrNotIn: "no_room",
		room.ErrTooManyRooms: "too_many_rooms", room.ErrQueueFull: "queue_full", room.ErrClosed: "busy",
		fmt.Errorf("join: %w", room.ErrFull): "room_full",
	} {
		if e, ok := errors.AsType[*protocol.Error](RoomError(err)); !ok || e.Code != want || want.Meaning() == "" {
			t.Errorf("%v: %v, want %v", err, RoomError(err), want)
		}
	}
	if err := RoomError(nil); err != nil {
		t.Errorf("no error: %v", err)
	}
	if fault := errors.New("fault"); RoomError(fault) != fault {
		t.Error("a fault of ours is passed on")
	}
}
