package endpoint

import (
	"testing"

	"github.com/perchws/perch/room"
	"github.com/perchws/perch/session"
)

// TestSubscribeOwner: a room that a client without a token makes has an owner, whose key the client gets. A client that
// subscribes to a room that is there gets none.
func TestSubscribeOwner(t *testing.T) {
	w := newWorld(t, creating, nil)
	if _, err := w.srv.Rooms().Create("old", room.Options{}); err != nil {
		t.Fatal(err)
	}
	one, two := w.client("/ws/1"), w.client("/ws/2")
	one.say(`{"type":"subscribe","channel":"mine"}`)
	text, _ := one.hear()["user_key"].(string)
	key, err := session.ParseKey(text)
	if owner := w.srv.Rooms().Room("mine").Options().Owner; err != nil || owner != AnonymousID(key) {
		t.Errorf("the key is %q (%v), the owner %q", text, err, owner)
	}
	for _, channel := range []string{"mine", "old"} {
		two.say(`{"type":"subscribe","channel":"` + channel + `"}`)
		two.expect(`{"type":"subscribed","channel":"` + channel + `","timestamp":` + timestamp + `}`)
	}
}
