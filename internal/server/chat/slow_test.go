package chat

import (
	"strings"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// queued returns how many bytes wait for a user's only connection.
func (s *server) queued(user string) int {
	s.t.Helper()
	n := make(chan int, 1)
	at := s.Rooms().Connections(s.Rooms().User(user))[0]
	if err := s.Ref(at).Do(func(conn perch.Conn) { n <- conn.Queued() }); err != nil {
		s.t.Fatal(err)
	}
	return wstest.Receive(s.t, "the length of a queue", n)
}

// One member stops reading. The others still get every message. For the slow one first typing is left out, then
// presence, but never a message: instead it is closed, so that it can resume, and then it is told that it missed
// messages.
func TestSlowMember(t *testing.T) {
	const maxOutput = 1 << 20 // perch.Config's default
	s := start(t, Config{}, room.Config{})
	general := s.Rooms().Room(generalID)
	bob := s.named("Bob")
	ann, _ := s.joins("general", object{"username": "Ann"})
	bob.next("system_message")
	slow, was := s.guest(object{"username": "Slow"})
	bob.next("system_message")
	bob.next("user_status")
	ann.next("user_joined")
	id := was["user_id"].(string)

	content := strings.Repeat("x", 4<<10)
	last := 0
	round := func() {
		t.Helper()
		s.publish(general, 4, content)
		for _, offset := range bob.offsets(4) {
			if last++; offset != last {
				t.Fatalf("offset %d, want %d", offset, last)
			}
			if o := ann.next("chat_message"); o["offset"] != float64(last) || o["message"] != content {
				t.Fatalf("offset %v, want %d", o["offset"], last)
			}
		}
	}
	shed := func(want uint64) {
		t.Helper()
		s.queued(id) // all its deliveries have been carried out
		if got := s.Rooms().Stats().Shed; got != want {
			t.Errorf("with %d bytes queued %d messages were shed, want %d", s.queued(id), got, want)
		}
	}
	typing := func(is bool) {
		t.Helper()
		bob.say(object{"type": "typing", "is_typing": is})
		ann.next("user_typing")
	}
	goAndCome := func() {
		t.Helper()
		ann.say(object{"type": "leave"})
		ann.next("room_left")
		bob.next("system_message")
		ann.joins(nil)
		bob.next("system_message")
	}

	typing(true)
	goAndCome()
	shed(0)
	for s.queued(id) <= maxOutput/16 {
		round()
	}
	goAndCome()
	shed(0)
	typing(false)
	shed(1)
	for s.queued(id) <= maxOutput/2 {
		round()
	}
	goAndCome()
	shed(3)
	for s.Stats().SlowConsumers == 0 {
		round()
	}
	round()

	seen := 0
	for {
		f, err := slow.Next()
		if err != nil {
			t.Fatalf("after offset %d: %v", seen, err)
		}
		if code, reason := f.CloseInfo(); code == perch.CloseSlowConsumer {
			if reason != "slow consumer" {
				t.Errorf("closed with %q", reason)
			}
			break
		}
		if offset, ok := offsetOf(f.Payload); ok {
			if offset != seen+1 {
				t.Fatalf("offset %d after %d", offset, seen)
			}
			seen = offset
		}
	}
	if seen == 0 || seen >= last {
		t.Errorf("it got %d messages of %d", seen, last)
	}
	slow.Send(wstest.Close(perch.CloseSlowConsumer, ""))
	slow.ExpectEOF()
	back, is := s.signIn(object{"resume": object{"session": was["session"], "rooms": object{
		"general": object{"epoch": general.Position().Epoch, "offset": seen},
	}}})
	if is["resumed"] != true || is["user_id"] != id {
		t.Error(is)
	}
	if o := back.enters("general"); o["recovered"] != false || o["offset"] != float64(last) || len(o["recent_messages"].([]any)) != recent {
		t.Errorf("%d messages missed, and recovered is %v", last-seen, o["recovered"])
	}
}
