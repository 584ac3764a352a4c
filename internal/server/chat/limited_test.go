package chat

import (
	"fmt"
	"slices"
	"testing"

	"github.com/perchws/perch/internal/server/auth"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// limited is the first message of a user whose token is for some rooms.
func limited(t *testing.T, user string, rooms ...string) object {
	t.Helper()
	if rooms == nil {
		rooms = []string{}
	}
	return object{"username": user, "token": sign(t, auth.Claims{Subject: user, Rooms: rooms})}
}

// ids returns the ids of a list, in order.
func ids(list any, field string) (all []string) {
	for _, item := range list.([]any) {
		all = append(all, item.(object)[field].(string))
	}
	slices.Sort(all)
	return all
}

// TestTokenRooms: a token with rooms lets its bearer know of these rooms and the users in them, and of nothing else.
func TestTokenRooms(t *testing.T) {
	s := start(t, Config{Rooms: []string{"news"}}, room.Config{})
	s.locked("vault", "Darjeeling")
	if _, err := s.Rooms().Create("den", room.Options{Private: true}); err != nil {
		t.Fatal(err)
	}
	s.named("Ada") // in general
	eve, _ := s.joins("news", object{"username": "Eve", "token": sign(t, auth.Claims{Subject: "eve"})})
	s.joins("random", object{"username": "Ron"})
	s.joins("den", object{"username": "Dan", "token": sign(t, auth.Claims{Subject: "dan"})})

	all := []string{"den", "news", "nowhere", "vault"}
	for _, tc := range []struct {
		rooms, listed, users []string
	}{
		{all, []string{"news", "vault"}, []string{"bob", "eve"}},
		{[]string{"news", "news"}, []string{"news"}, []string{"bob", "eve"}},
		{[]string{"den"}, nil, []string{"bob"}},
		{nil, nil, []string{"bob"}},
	} {
		bob := s.dial("/ws/chat")
		bob.say(limited(t, "bob", tc.rooms...))
		init := bob.next("init")
		if got := ids(init["available_rooms"], "room_id"); !slices.Equal(got, tc.listed) {
			t.Errorf("%q: init has the rooms %q, want %q", tc.rooms, got, tc.listed)
		}
		if got := ids(init["online_users"], "id"); !slices.Equal(got, tc.users) || init["online_count"] != float64(len(tc.users)) {
			t.Errorf("%q: init has the users %q, %v of them, want %q", tc.rooms, got, init["online_count"], tc.users)
		}
		for _, watch := range []bool{false, true} {
			bob.say(object{"type": "list_rooms", "watch": watch})
			if got := ids(bob.next("room_list")["rooms"], "room_id"); !slices.Equal(got, tc.listed) {
				t.Errorf("%q: room_list has %q, want %q", tc.rooms, got, tc.listed)
			}
		}
		s.cut(bob)
	}

	// At /ws/room too.
	rob, _ := s.joins("news", limited(t, "rob", all...))
	rob.say(object{"type": "list"})
	if got := ids(rob.next("room_list")["rooms"], "room_id"); !slices.Equal(got, []string{"news", "vault"}) {
		t.Errorf("room_list has %q", got)
	}
	eve.next("user_joined")

	// Nor does an error name a room that only looks like one of the token's.
	ida := s.dial("/ws/chat")
	ida.say(limited(t, "ida", "rand0m"))
	ida.next("init")
	ida.say(object{"type": "join_room", "room_id": "rand0m"})
	if o := ida.fails("room_exists"); o["room_id"] != nil {
		t.Errorf("%v", o)
	}
	ida.say(object{"type": "join_room", "room_id": "rand0m", "create": false})
	if o := ida.fails("room_not_found"); o["room_id"] != nil {
		t.Errorf("%v", o)
	}
}

// TestTokenWatch: a client with such a token is told of changes in its rooms alone, also after it has got another one.
func TestTokenWatch(t *testing.T) {
	s := start(t, Config{Rooms: []string{"news"}}, room.Config{})
	news, random := s.Rooms().Room("news"), s.Rooms().Room("random")
	bob := s.dial("/ws/chat")
	bob.say(limited(t, "bob", "news", "tea"))
	bob.next("init")
	bob.watches()
	s.publish(random, 1, "x")
	s.publish(news, 1, "x")
	if rooms, gone := bob.changes(1); len(rooms) != 1 || rooms["news"] == nil || len(gone) != 0 {
		t.Errorf("%v, %q", rooms, gone)
	}
	tea, err := s.Rooms().Create("tea", room.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if rooms, _ := bob.changes(2); len(rooms) != 1 || rooms["tea"] == nil {
		t.Errorf("%v", rooms)
	}
	if err := s.Rooms().Delete(tea, "over"); err != nil {
		t.Fatal(err)
	}
	if rooms, gone := bob.changes(3); len(rooms) != 0 || !slices.Equal(gone, []string{"tea"}) {
		t.Errorf("%v, %q", rooms, gone)
	}

	bob.say(object{"type": "refresh_token", "token": sign(t, auth.Claims{Subject: "bob", Rooms: []string{"tea", "news"}})})
	bob.next("token_refreshed")
	bob.quiet() // these are the same rooms
	bob.say(object{"type": "refresh_token", "token": sign(t, auth.Claims{Subject: "bob", Rooms: []string{"random"}})})
	bob.next("token_refreshed")
	list := bob.next("room_list")
	if got := ids(list["rooms"], "room_id"); !slices.Equal(got, []string{"random"}) {
		t.Errorf("%q after a new token", got)
	}
	s.publish(news, 1, "x")
	s.publish(random, 1, "x")
	if rooms, _ := bob.changes(list["sequence"].(float64) + 1); len(rooms) != 1 || rooms["random"] == nil {
		t.Errorf("%v", rooms)
	}
	bob.say(object{"type": "list_rooms", "watch": false})
	bob.next("room_list")
	wstest.Eventually(t, "no list is kept for nobody", func() bool {
		s.chat.watches.mu.Lock()
		defer s.chat.watches.mu.Unlock()
		return len(s.chat.watches.all) == 0
	})
}

// TestWatchesAreBounded: over maxWatches sets of rooms a client with another one is refused; those without a limit
// are not.
func TestWatchesAreBounded(t *testing.T) {
	s := start(t, Config{}, room.Config{})
	s.chat.watches.mu.Lock()
	for i := range maxWatches {
		s.chat.watches.all[fmt.Sprint("\n", i)] = &watch{audience: s.Rooms().Audience(), limited: true, key: fmt.Sprint("\n", i)}
	}
	s.chat.watches.mu.Unlock()
	bob := s.dial("/ws/chat")
	bob.say(limited(t, "bob", "random"))
	bob.next("init")
	bob.say(object{"type": "list_rooms", "watch": true})
	bob.fails("busy")
	s.named("Ada").watches()
}
