package brokertest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/perchws/perch/room"
)

// closeKeeps: the order goes on while a node follows the room, and a node that comes back finds it there.
func closeKeeps(c *check) {
	a, b := c.follow(0, "r"), c.follow(1, "r")
	a.publishAll("first", 3)
	b.awaitOffset(3)
	a.topic.Close(room.Left, "")
	b.publishAll("second", 2)
	back := c.follow(0, "r")
	if want := (room.Position{Epoch: a.opening.Epoch, Offset: 5}); back.opening.Position != want {
		c.Fatalf("opened at %v, want %v", back.opening.Position, want)
	}
	b.publishAll("third", 1)
	back.awaitOffset(6)
	if n := a.count(); n != 3 {
		c.Errorf("%d messages for the node that has closed, want 3", n)
	}
	c.agree(a, b, back)
}

// closeLast: when no node follows a room any more, a durable broker keeps its order; with another one it begins anew.
func closeLast(c *check) {
	a, b := c.follow(0, "r"), c.follow(1, "r")
	a.publishAll("message", 20)
	b.awaitOffset(20)
	a.topic.Close(room.Left, "")
	b.topic.Close(room.Left, "")
	for node := range c.Nodes {
		back := c.follow(node, "r")
		at := back.opening.Position
		switch {
		case !c.Durable && (at.Epoch == a.opening.Epoch || at.Offset != 0 || len(back.opening.History) != 0):
			c.Errorf("opened at %v with %d messages, want another epoch than %s", at, len(back.opening.History), a.opening.Epoch)
		case c.Durable && at != room.Position{Epoch: a.opening.Epoch, Offset: 20}:
			c.Errorf("opened at %v, want offset 20 of %s", at, a.opening.Epoch)
		case c.Durable && len(back.opening.History) == 0:
			c.Error("no history")
		}
		back.publishAll("more", 3)
		c.agree(a, b, back)
		back.topic.Close(room.Left, "")
		if c.Durable {
			break
		}
	}
}

// closeRemoves: a room that is made again after it was removed is another room.
func closeRemoves(c *check) {
	seen := make(map[string]bool)
	for i := range 4 {
		f := c.follow(i%2, "r")
		if seen[f.opening.Epoch] {
			c.Fatalf("the epoch %s comes again", f.opening.Epoch)
		}
		seen[f.opening.Epoch] = true
		if f.opening.Offset != 0 || len(f.opening.History) != 0 {
			c.Fatalf("opened at %d with %d messages", f.opening.Offset, len(f.opening.History))
		}
		f.publishAll(fmt.Sprint("life ", i), 5)
		f.topic.Close(room.Deleted, "gone")
	}
}

// closeRemovesForAll: all nodes that follow a room are told that it was deleted, and nothing after that. A new room
// of the same id is another room.
func closeRemovesForAll(c *check) {
	a, b := c.follow(0, "r"), c.follow(1, "r")
	a.publishAll("before", 3)
	b.awaitOffset(3)
	a.topic.Close(room.Deleted, "gone")
	if !b.await("the end", func() bool { return len(b.events) > 3 && b.events[3].removed }) {
		return
	}
	if reason := b.events[3].message; reason != "gone" {
		c.Errorf("deleted because of %q", reason)
	}
	again := c.follow(0, "r")
	if again.opening.Epoch == a.opening.Epoch || !again.opening.Made {
		c.Fatalf("it is the old one: %+v", again.opening)
	}
	again.publishAll("mine", 1)
	c.agree(a, again)
	if n, m := a.count(), b.count(); n != 3 || m != 4 {
		c.Errorf("%d and %d events for those of the deleted room, want 3 and 4", n, m)
	}
}

// expires: a room that is empty on one node goes on while another node follows it, and ends with the last.
func expires(c *check) {
	a, b := c.follow(0, "r"), c.follow(1, "r")
	a.publishAll("first", 2)
	b.awaitOffset(2)
	a.topic.Close(room.Expired, "")
	b.publishAll("second", 1)
	b.topic.Close(room.Expired, "")
	if f, err := c.open(0, "r", nil); !errors.Is(err, room.ErrNotFound) {
		c.Fatalf("the room that has expired is opened: %+v, %v", f, err)
	}
	again := c.follow(1, "r")
	if at := again.opening; at.Offset != 0 || at.Epoch == b.opening.Epoch || len(at.History) != 0 {
		c.Errorf("made again at %+v", again.opening)
	}
}

// finds: all nodes find a room once one of them has made it, and not before.
func finds(c *check) {
	for node := range c.Nodes {
		if f, err := c.open(node, "r", nil); !errors.Is(err, room.ErrNotFound) {
			c.Fatalf("node %d has found a room that is not there: %+v, %v", node, f, err)
		}
	}
	a := c.follow(0, "r")
	for node := range c.Nodes {
		f, err := c.open(node, "r", nil)
		if err != nil || f.opening.Made || f.opening.Epoch != a.opening.Epoch {
			c.Fatalf("node %d: %+v, %v", node, f, err)
		}
	}
	if !a.opening.Made {
		c.Error("no node has made it")
	}
}

// options: a room has the options that it was made with, not those of a later call.
func options(c *check) {
	all := room.Options{Name: "Sea", Owner: "ada", Private: true, MaxMembers: 7, TTL: time.Hour}
	a, err := c.open(0, "r", &all)
	if err != nil {
		c.Fatal(err)
	}
	b := c.follow(1, "r")
	for _, f := range []*follower{a, b} {
		if got := f.opening.Options; got != all {
			c.Errorf("options %+v, want %+v", got, all)
		}
	}
	if !a.opening.Made || b.opening.Made {
		c.Errorf("made: %t and %t, want the first alone", a.opening.Made, b.opening.Made)
	}
}

// loses: all nodes are told before they get anything of the new epoch.
func loses(c *check) {
	if c.Lose == nil {
		c.Skip("the broker cannot be made to lose anything")
	}
	a, b := c.follow(0, "r"), c.follow(1, "r")
	a.publishAll("before", 3)
	b.awaitOffset(3)
	c.Lose("r")
	for _, f := range []*follower{a, b} {
		f.await("the reset", func() bool { return len(f.events) > 3 && f.events[3].reset })
	}
	a.publishAll("after", 3)
	b.awaitMessage("after 2")
	again := c.follow(1, "r")
	if again.opening.Epoch == a.opening.Epoch {
		c.Error("the epoch is the old one")
	}
	c.agree(a, b, again)
}

// changes: all nodes are told, and a node that comes later gets the new options.
func changes(c *check) {
	if c.Change == nil {
		c.Skip("options cannot be changed")
	}
	a, b := c.follow(0, "r"), c.follow(1, "r")
	o := room.Options{Name: "another", MaxMembers: 3}
	c.Change("r", o)
	for _, f := range []*follower{a, b} {
		f.await("the change", func() bool { return len(f.events) == 1 && f.events[0].changed && f.options == o })
	}
	a.publishAll("on it goes", 1)
	b.awaitOffset(1)
	if again := c.follow(0, "r"); again.opening.Options != o {
		c.Errorf("opened with %+v", again.opening.Options)
	}
}

// closeTwice: a second Close changes nothing, not even for a new room of the same id.
func closeTwice(c *check) {
	old := c.follow(0, "r")
	old.publishAll("before", 1)
	old.topic.Close(room.Deleted, "gone")
	a, b := c.follow(0, "r"), c.follow(1, "r")
	old.topic.Close(room.Deleted, "gone")
	a.publishAll("after", 2)
	b.awaitOffset(2)
	later := c.follow(1, "r")
	if want := (room.Position{Epoch: a.opening.Epoch, Offset: 2}); later.opening.Position != want {
		c.Errorf("opened at %v, want %v", later.opening.Position, want)
	}
	c.agree(a, b, later)
}

// nothingAfterClose: once Close has returned the subscriber is not called any more.
func nothingAfterClose(c *check) {
	const rounds = 30
	a, witness := c.follow(0, "r"), c.follow(1, "r")
	stop := make(chan struct{})
	var publishing sync.WaitGroup
	publishing.Go(func() { a.publishUntil(stop, "message") })
	closed := make(map[*follower]int)
	for range rounds {
		f := c.follow(1, "r")
		f.awaitOffset(f.opening.Offset + 2)
		f.topic.Close(room.Left, "")
		closed[f] = f.count()
	}
	close(stop)
	publishing.Wait()
	a.publishAll("the last", 1)
	witness.awaitMessage("the last 0")
	for f, n := range closed {
		if got := f.count(); got != n {
			c.Errorf("%d events were delivered after Close", got-n)
		}
	}
}

// relays: a message that one node relays comes to the other nodes, and not back.
func relays(c *check) {
	a, b := c.follow(0, "r"), c.follow(1, "r")
	relay, ok := a.topic.(room.Relay)
	if !ok {
		c.Skip("it has one node")
	}
	relay.Relay(room.Text([]byte("typing")), room.ClassTyping)
	b.await("what is relayed", func() bool { return len(b.events) == 1 && b.events[0].message == "typing" })
	b.publishAll("and on", 1)
	a.awaitOffset(1)
	if n := a.count(); n != 1 {
		c.Errorf("%d events on the node that has relayed, want 1", n)
	}
	c.agree(a, b)
}
