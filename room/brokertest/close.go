package brokertest

import (
	"fmt"
	"sync"

	"github.com/perchws/perch/room"
)

// closeKeeps: the order goes on while somebody follows it, and who comes back
// finds it where it is.
func closeKeeps(c *check) {
	a, b := c.follow(0, "r"), c.follow(1, "r")
	a.publishAll("first", 3)
	b.awaitOffset(3)
	a.topic.Close(false)
	b.publishAll("second", 2)
	back := c.follow(0, "r")
	if want := (room.Position{Epoch: a.opening.Epoch, Offset: 5}); back.opening.Position != want {
		c.Fatalf("opened at %v, want %v", back.opening.Position, want)
	}
	b.publishAll("third", 1)
	back.awaitOffset(6)
	if n := a.count(); n != 3 {
		c.Errorf("%d messages for who has closed, want 3", n)
	}
	c.agree(a, b, back)
}

// closeLast: when nobody follows a room a durable broker keeps it, another
// begins anew.
func closeLast(c *check) {
	a, b := c.follow(0, "r"), c.follow(1, "r")
	a.publishAll("message", 20)
	b.awaitOffset(20)
	a.topic.Close(false)
	b.topic.Close(false)
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
		back.topic.Close(false)
		if c.Durable {
			break
		}
	}
}

// closeRemoves: a room that was removed is another one when it is made again.
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
		f.topic.Close(true)
	}
}

// closeRemovesForAll: who still follows a room that was removed goes on in
// another epoch, together with who opens it again.
func closeRemovesForAll(c *check) {
	a, b := c.follow(0, "r"), c.follow(1, "r")
	a.publishAll("before", 3)
	b.awaitOffset(3)
	a.topic.Close(true)
	if !b.await("the reset", func() bool { return len(b.events) > 3 && b.events[3].reset }) {
		return
	}
	again := c.follow(0, "r")
	if again.opening.Epoch == a.opening.Epoch {
		c.Fatal("the epoch is the old one")
	}
	b.publishAll("after", 3)
	again.awaitMessage("after 2")
	again.publishAll("mine", 1)
	b.awaitMessage("mine 0")
	if n := len(again.order()); n != 4 {
		c.Errorf("%d messages, want 4", n)
	}
	for at := range again.order() {
		if at.Epoch != again.opening.Epoch {
			c.Errorf("at %v", at)
		}
	}
	c.agree(a, b, again)
	if n := a.count(); n != 3 {
		c.Errorf("%d messages for who has removed it, want 3", n)
	}
}

// closeTwice: the second time changes nothing, for a room of that name that was
// made since either.
func closeTwice(c *check) {
	old := c.follow(0, "r")
	old.publishAll("before", 1)
	old.topic.Close(true)
	a, b := c.follow(0, "r"), c.follow(1, "r")
	old.topic.Close(true)
	a.publishAll("after", 2)
	b.awaitOffset(2)
	later := c.follow(1, "r")
	if want := (room.Position{Epoch: a.opening.Epoch, Offset: 2}); later.opening.Position != want {
		c.Errorf("opened at %v, want %v", later.opening.Position, want)
	}
	c.agree(a, b, later)
}

// nothingAfterClose: once Close has returned the subscriber is left alone.
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
		f.topic.Close(false)
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
