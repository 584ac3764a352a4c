package brokertest

import (
	"fmt"
	"strings"
	"sync"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/room"
)

// contents: messages arrive unchanged.
func contents(c *check) {
	a, b := c.follow(0, "r"), c.follow(1, "r")
	var bytes []byte
	for i := range 256 {
		bytes = append(bytes, byte(i))
	}
	all := []room.Publication{
		{Op: frame.OpText, Payload: []byte("text, наш 文字")},
		{Op: frame.OpBinary, Payload: bytes},
		{Op: frame.OpText, Payload: nil},
		{Op: frame.OpBinary, Payload: []byte{}},
		{Op: frame.OpText, Payload: []byte(strings.Repeat("long ", 20_000))},
	}
	for _, p := range all {
		a.topic.Publish(p)
	}
	for _, f := range []*follower{a, b} {
		f.awaitOffset(f.opening.Offset + uint64(len(all)))
		order := f.order()
		for i, p := range all {
			at := room.Position{Epoch: f.opening.Epoch, Offset: uint64(i + 1)}
			if got := order[at]; got != describe(p) {
				c.Errorf("message %d came as %.80s, want %.80s", i+1, got, describe(p))
			}
		}
	}
}

// payloadReused: a publisher writes its next message over the last one.
func payloadReused(c *check) {
	const messages = 100
	f := c.follow(0, "r")
	p := make([]byte, 3)
	for i := range messages {
		copy(p, fmt.Sprintf("%03d", i))
		f.topic.Publish(room.Publication{Op: frame.OpText, Payload: p})
		clear(p)
	}
	f.awaitOffset(f.opening.Offset + messages)
	order := f.order()
	for i := range messages {
		want := describe(room.Publication{Op: frame.OpText, Payload: fmt.Appendf(nil, "%03d", i)})
		if got := order[room.Position{Epoch: f.opening.Epoch, Offset: f.opening.Offset + uint64(i+1)}]; got != want {
			c.Errorf("message %d came as %s, want %s", i, got, want)
		}
	}
}

// order: publishers on all nodes publish at once. Every node gets every message once, all in the same order, and the
// messages of each publisher as it has published them.
func order(c *check) {
	const publishers, messages = 3, 100
	var all []*follower
	for node := range c.Nodes {
		all = append(all, c.follow(node, "r"))
	}
	var publishing sync.WaitGroup
	for node, f := range all {
		for p := range publishers {
			publishing.Go(func() {
				for i := range messages {
					f.publish(fmt.Sprintf("%d.%d %03d", node, p, i))
				}
			})
		}
	}
	publishing.Wait()
	total := len(all) * publishers * messages
	for node, f := range all {
		f.awaitOffset(uint64(total))
		if n := len(f.order()); n != total {
			c.Fatalf("node %d: %d messages, want %d", node, n, total)
		}
		latest := make(map[string]string)
		f.mu.Lock()
		for _, e := range f.events {
			_, rest, _ := strings.Cut(e.message, " ")
			publisher, number := rest[:len(`"0.0`)], rest[len(`"0.0`):]
			if number <= latest[publisher] {
				c.Errorf("node %d: %s of %s came after %s", node, number, publisher, latest[publisher])
			}
			latest[publisher] = number
		}
		for p, n := range f.payloads {
			if n != 1 {
				c.Errorf("node %d: %q came %d times", node, p, n)
			}
		}
		f.mu.Unlock()
		if f.opening.Epoch != all[0].opening.Epoch {
			c.Errorf("node %d is in the epoch %s, node 0 in %s", node, f.opening.Epoch, all[0].opening.Epoch)
		}
	}
	c.agree(all...)
}

// rooms: each room has an order of its own.
func rooms(c *check) {
	a, b := c.follow(0, "a"), c.follow(0, "b")
	b1 := c.follow(1, "b")
	if a.opening.Epoch == b.opening.Epoch {
		c.Errorf("two rooms are in one epoch, %s", a.opening.Epoch)
	}
	a.publishAll("in a", 5)
	b1.publishAll("in b", 3)
	b.awaitOffset(3)
	a.publishAll("again in a", 1)
	if n, m := len(a.order()), len(b.order()); n != 6 || m != 3 {
		c.Errorf("%d messages in one room, %d in the other, want 6 and 3", n, m)
	}
	c.agree(b, b1)
}

// openInTheMiddle: a node that opens the room while others publish gets all later messages.
func openInTheMiddle(c *check) {
	const openings = 20
	all := []*follower{c.follow(0, "r"), c.follow(1, "r")}
	stop := make(chan struct{})
	var publishing sync.WaitGroup
	for node, f := range all {
		for p := range 2 {
			publishing.Go(func() { f.publishUntil(stop, fmt.Sprintf("%d.%d", node, p)) })
		}
	}
	middle := false
	for i := range openings {
		all[i%2].awaitOffset(uint64(i * 10))
		f := c.follow(i%2, "r")
		middle = middle || f.opening.Offset > 0
		all = append(all, f)
		if i%3 == 0 {
			f.topic.Close(room.Left, "")
		}
	}
	close(stop)
	publishing.Wait()
	all[0].publishAll("the last", 1)
	all[0].mu.Lock()
	last := all[0].events[len(all[0].events)-1].offset
	all[0].mu.Unlock()
	for i, f := range all {
		if i < 2 || (i-2)%3 != 0 {
			f.awaitOffset(last)
		}
		if f.opening.Epoch != all[0].opening.Epoch {
			c.Errorf("opening %d is in another epoch", i)
		}
	}
	if !middle {
		c.Error("no opening had anything before it")
	}
	c.agree(all...)
}
