// Package brokertest is the contract of room.Broker as a test: every broker calls [Run] from a test of its own. It
// also has [Late], a broker with faults that answers when a test wants it to, for tests of programs that use brokers.
// Only tests import it.
//
//	func TestMemoryContract(t *testing.T) {
//		brokertest.Run(t, func(t *testing.T) brokertest.Harness { … })
//	}
package brokertest

import (
	"fmt"
	"testing"
	"time"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/room"
)

// Harness is one broker under test, without rooms.
type Harness struct {
	// Nodes are the broker as each of several nodes has it, at least two. A broker for one process is listed twice.
	Nodes []room.Broker
	// Durable: messages outlive the last node that follows the room.
	Durable bool
	// Lose makes the broker lose the messages of a room; nil: it cannot.
	Lose func(room string)
	// Change gives a room other options; nil: the broker cannot change them.
	Change func(room string, o room.Options)
	// Expire ends the lease of a node, as after a crash, and Renew gives it another one; nil: nodes have no leases.
	Expire, Renew func(node int)
}

// Run tests a broker against the contract. open is called once for each subtest, and closes by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(*check)
	}{
		{"Contents", contents},
		{"PayloadReused", payloadReused},
		{"Order", order},
		{"Rooms", rooms},
		{"OpenInTheMiddle", openInTheMiddle},
		{"SettleOnce", settleOnce},
		{"SettleUnlocked", settleUnlocked},
		{"SettleAtTheEnd", settleAtTheEnd},
		{"CloseKeeps", closeKeeps},
		{"CloseLast", closeLast},
		{"CloseRemoves", closeRemoves},
		{"CloseRemovesForAll", closeRemovesForAll},
		{"Expires", expires},
		{"Finds", finds},
		{"Options", options},
		{"Loses", loses},
		{"Changes", changes},
		{"Relays", relays},
		{"Counts", counts},
		{"Bounds", bounds},
		{"Lists", lists},
		{"CloseVacates", closeVacates},
		{"Vanishes", vanishes},
		{"ReachesUsers", reachesUsers},
		{"FindsConnections", findsConnections},
		{"ForgetsUsers", forgetsUsers},
		{"CloseTwice", closeTwice},
		{"NothingAfterClose", nothingAfterClose},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := open(t)
			if len(h.Nodes) < 2 {
				t.Fatalf("%d nodes, want two at least", len(h.Nodes))
			}
			test.run(&check{T: t, Harness: h})
		})
	}
}

// patience is how long a broker may take for anything.
const patience = 20 * time.Second

// check is a test with its broker. Its methods fail the test unless the broker behaves as they say.
type check struct {
	*testing.T
	Harness
}

// follower follows a room, from one Open to its Close.
type follower struct {
	*recorder
	c       *check
	topic   room.Topic
	opening room.Opening
}

// follow opens a room on a node, or makes it. At the latest the end of the test closes it.
func (c *check) follow(node int, id string) *follower {
	c.Helper()
	f, err := c.open(node, id, &room.Options{Name: id})
	if err != nil {
		c.Fatalf("Open on node %d: %v", node, err)
	}
	return f
}

// open calls Open, and waits for the answer.
func (c *check) open(node int, id string, create *room.Options) (*follower, error) {
	c.Helper()
	f := &follower{recorder: newRecorder(c.T), c: c}
	var failed error
	answered := make(chan struct{})
	c.Nodes[node].Open(id, create, f.recorder, func(t room.Topic, at room.Opening, err error) {
		f.topic, f.opening, failed = t, at, err
		close(answered) // a second answer is a panic
	})
	c.within("the answer to Open", answered)
	if failed != nil {
		return nil, failed
	}
	if f.opening.Epoch == "" {
		c.Errorf("Open on node %d: no epoch", node)
	}
	c.Cleanup(func() { f.topic.Close(room.Left, "") })
	return f, nil
}

func (f *follower) publish(payload string) {
	f.topic.Publish(room.Publication{Op: frame.OpText, Payload: []byte(payload)})
}

// publishAll publishes "name 0", "name 1" … and waits for each to be delivered.
func (f *follower) publishAll(name string, n int) {
	f.c.Helper()
	for i := range n {
		m := fmt.Sprintf("%s %d", name, i)
		f.publish(m)
		f.awaitMessage(m)
	}
}

// publishUntil publishes in the same way from a goroutine, until it is stopped.
func (f *follower) publishUntil(stop <-chan struct{}, name string) {
	f.c.Helper()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		m := fmt.Sprintf("%s %d", name, i)
		if f.publish(m); !f.sees(m) {
			return
		}
	}
}

// sees waits until a message was delivered; false: it waited in vain.
func (f *follower) sees(payload string) bool {
	f.c.Helper()
	return f.await(fmt.Sprintf("%q", payload), func() bool { return f.payloads[payload] > 0 })
}

// awaitMessage waits until a message was delivered.
func (f *follower) awaitMessage(payload string) {
	f.c.Helper()
	if !f.sees(payload) {
		f.c.FailNow()
	}
}

// awaitOffset waits until the order has reached an offset.
func (f *follower) awaitOffset(offset uint64) {
	f.c.Helper()
	if !f.await(fmt.Sprintf("offset %d", offset), func() bool {
		last := f.opening.Offset
		if n := len(f.events); n > 0 {
			last = f.events[n-1].offset
		}
		return last >= offset
	}) {
		f.c.FailNow()
	}
}

// order demands that the messages delivered follow the opening without a gap, and returns them by their place.
func (f *follower) order() map[room.Position]string {
	f.c.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make(map[room.Position]string)
	at := f.opening.Position
	for i, p := range f.opening.History {
		if want := at.Offset - uint64(len(f.opening.History)-1-i); p.Offset != want {
			f.c.Fatalf("message %d of %d in the history up to %d has the offset %d", i, len(f.opening.History), at.Offset, p.Offset)
		}
		all[room.Position{Epoch: at.Epoch, Offset: p.Offset}] = describe(p)
	}
	for _, e := range f.events {
		switch {
		case e.changed, e.removed, e.relayed:
			continue
		case e.reset:
			if e.epoch == at.Epoch {
				f.c.Fatalf("a reset to the epoch that it was in, %s", at.Epoch)
			}
			at = room.Position{Epoch: e.epoch, Offset: e.offset}
			continue
		}
		if at.Offset++; e.offset != at.Offset {
			f.c.Fatalf("offset %d delivered, want %d", e.offset, at.Offset)
		}
		all[at] = e.message
	}
	return all
}

// agree demands that all followers have the same message at each place.
func (c *check) agree(all ...*follower) {
	c.Helper()
	at := make(map[room.Position]string)
	for i, f := range all {
		for place, message := range f.order() {
			if was, ok := at[place]; ok && was != message {
				c.Fatalf("follower %d has %s at %v, another has %s", i, message, place, was)
			}
			at[place] = message
		}
	}
}

// describe is a publication's op and payload.
func describe(p room.Publication) string { return fmt.Sprintf("%v %q", p.Op, p.Payload) }
