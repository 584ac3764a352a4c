package chat

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// watches asks for the list, and for changes from then on.
func (c *client) watches() object {
	c.t.Helper()
	c.say(object{"type": "list_rooms", "watch": true})
	return c.next("room_list")
}

// changes reads the next rooms: the changed rooms by id, and the ids of those that are gone.
func (c *client) changes(sequence float64) (rooms map[string]object, gone []string) {
	c.t.Helper()
	o := c.next("rooms")
	has(c.t, o, "type", "sequence", "rooms", "gone", "timestamp")
	if o["sequence"] != sequence {
		c.t.Errorf("%v, want sequence %v", o, sequence)
	}
	rooms = make(map[string]object)
	for _, r := range o["rooms"].([]any) {
		r := r.(object)
		has(c.t, r, "room_id", "room_name", "user_count", "private", "password", "offset")
		rooms[r["room_id"].(string)] = r
	}
	for _, id := range o["gone"].([]any) {
		gone = append(gone, id.(string))
	}
	return rooms, gone
}

// Watchers are told of rooms that come and go, of their members, and of messages; other clients are not.
func TestWatchRooms(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada := s.named("Ada")
	list := ada.watches()
	has(t, list, "type", "rooms", "sequence", "timestamp")
	if n := len(list["rooms"].([]any)); n != 2 || list["sequence"] != 0.0 {
		t.Errorf("%v", list)
	}
	bob := s.named("Bob", ada)
	bob.goes(object{"room_id": "tea"})
	ada.next("system_message")
	rooms, gone := ada.changes(1)
	if len(rooms) != 1 || rooms["tea"]["user_count"] != 1.0 || len(gone) != 0 {
		t.Errorf("%v, gone %q", rooms, gone)
	}
	bob.posts("hello")
	if rooms, gone = ada.changes(2); len(rooms) != 1 || rooms["tea"]["offset"] != 1.0 || len(gone) != 0 {
		t.Errorf("%v, gone %q", rooms, gone)
	}
	bob.say(object{"type": "delete_room"})
	bob.next("room_deleted")
	bob.next("room_closed")
	if rooms, gone = ada.changes(3); len(rooms) != 0 || !slices.Equal(gone, []string{"tea"}) {
		t.Errorf("%v, gone %q", rooms, gone)
	}
	bob.quiet()
}

// A private room is in no changes, but in the list of its members.
func TestWatchPrivate(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	den, err := s.Rooms().Create("den", room.Options{Private: true})
	if err != nil {
		t.Fatal(err)
	}
	ada := s.named("Ada")
	ada.goes(object{"room_id": "den"})
	if n := len(ada.watches()["rooms"].([]any)); n != 3 {
		t.Errorf("%d rooms for a member", n)
	}
	s.publish(den, 1, "x")
	ada.next("message")
	if _, err := s.Rooms().Create("tea", room.Options{}); err != nil {
		t.Fatal(err)
	}
	if rooms, _ := ada.changes(1); len(rooms) != 1 || rooms["tea"] == nil {
		t.Errorf("%v", rooms)
	}
}

// A client that watches no more, or has gone, is told nothing; when no client watches the rooms are not looked at.
func TestWatchNoMore(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	ada := s.named("Ada")
	ada.watches()
	if o := ada.watches(); o["sequence"] != 0.0 { // asking twice counts once
		t.Errorf("%v", o)
	}
	all := func() *watch {
		s.chat.watches.mu.Lock()
		defer s.chat.watches.mu.Unlock()
		return s.chat.watches.all[""]
	}
	if n := all().audience.Connections(); n != 1 {
		t.Fatalf("%d watch", n)
	}
	for range 2 {
		ada.say(object{"type": "list_rooms", "watch": false})
		has(t, ada.next("room_list"), "type", "rooms", "timestamp")
	}
	running := func() bool { return all() != nil }
	wstest.Eventually(t, "nobody looks at the rooms", func() bool { return !running() })
	if _, err := s.Rooms().Create("tea", room.Options{}); err != nil {
		t.Fatal(err)
	}
	ada.quiet()
	if n := len(ada.watches()["rooms"].([]any)); n != 3 || !running() {
		t.Errorf("%d rooms when somebody watches again", n)
	}
	ada.say(object{"type": "list_rooms", "watch": 1})
	if o := ada.fails("wrong_type"); o["field"] != "watch" {
		t.Errorf("%v", o)
	}
}

// The list has the hundred most active rooms. Changes tell of a room that takes the place of another, and of the one
// that has lost its place.
func TestWatchMost(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	var rooms []*room.Room
	for i := range maxListed {
		r, err := s.Rooms().Create(fmt.Sprintf("room-%03d", i), room.Options{})
		if err != nil {
			t.Fatal(err)
		}
		rooms = append(rooms, r)
	}
	ada := s.named("Ada")
	ids := func() (all []string) {
		for _, r := range ada.watches()["rooms"].([]any) {
			all = append(all, r.(object)["room_id"].(string))
		}
		return all
	}
	was := ids()
	if len(was) != maxListed {
		t.Fatalf("%d rooms", len(was))
	}
	var out *room.Room
	for _, r := range rooms {
		if !slices.Contains(was, r.ID()) {
			out = r
		}
	}
	time.Sleep(time.Millisecond) // a tick of the clock
	s.publish(out, 1, "x")
	changed, gone := ada.changes(1)
	if len(changed) < 1 || changed[out.ID()] == nil || !slices.Equal(gone, was[maxListed-1:]) {
		t.Errorf("changed %v, gone %q; want %s, %q", changed, gone, out.ID(), was[maxListed-1:])
	}
	if is := ids(); is[2] != out.ID() || !strings.HasPrefix(is[3], "room-") {
		t.Errorf("%q", is[:4])
	}
}

// The more clients watch, and the longer the list, the less often they are told.
func TestWatchPace(t *testing.T) {
	for _, tt := range []struct {
		bytes, watchers int
		want            time.Duration
	}{{100, 10, 0}, {16 << 10, 1 << 10, time.Second}, {16 << 10, 10 << 10, 10 * time.Second}} {
		if got := paceOf(tt.bytes, tt.watchers); got != tt.want {
			t.Errorf("%d bytes to %d: %v, want %v", tt.bytes, tt.watchers, got, tt.want)
		}
	}
}
