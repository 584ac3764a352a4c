package brokertest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/perchws/perch/room"
)

// ada and bob are users.
var (
	ada = room.Visitor{ID: "ada", Name: "Ada"}
	bob = room.Visitor{ID: "bob", Name: "Bob"}
)

// census returns the room.Census of a follower. It skips the test if there is none.
func (f *follower) census() room.Census {
	f.c.Helper()
	t, ok := f.topic.(room.Census)
	if !ok {
		f.c.Skip("members are not counted")
	}
	return t
}

// enter asks for a place, and waits for the answer.
func (f *follower) enter(v room.Visitor, most int) (err error) {
	f.c.Helper()
	answered := make(chan struct{})
	f.census().Enter(v, most, func(e error) {
		err = e
		close(answered) // a second answer is a panic
	})
	f.c.within("the answer to Enter", answered)
	return err
}

// entered demands that a visitor gets its place, and that the node knows of it by then.
func (f *follower) entered(v room.Visitor) {
	f.c.Helper()
	if err := f.enter(v, 0); err != nil {
		f.c.Fatalf("Enter(%v): %v", v, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if v.ID != "" && f.present[v.ID] != 1 {
		f.c.Errorf("%v has its place, but the node was not told that it came", v)
	}
}

// awaitMembers waits until a node was told a number of members, and that these users are there, each of which has come
// once more than it has gone.
func (f *follower) awaitMembers(total int, users ...string) {
	f.c.Helper()
	if !f.await(fmt.Sprintf("%d members with %q", total, users), func() bool {
		var there []string
		for id, n := range f.present {
			there = append(there, slices.Repeat([]string{id}, max(n, 0))...)
			if n < 0 {
				return false
			}
		}
		slices.Sort(there)
		return f.members == total && slices.Equal(there, users)
	}) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.c.Fatalf("there are %d, with %v", f.members, f.present)
	}
}

// counts: all nodes are told how many members there are, and which users came and went. A user on two nodes counts
// once. A node that opens the room later knows the number.
func counts(c *check) {
	a, b := c.follow(0, "r"), c.follow(1, "r")
	a.entered(ada)
	b.awaitMembers(1, "ada")
	b.entered(ada)
	b.entered(room.Visitor{})
	b.entered(room.Visitor{})
	b.entered(bob)
	a.awaitMembers(4, "ada", "bob")
	b.awaitMembers(4, "ada", "bob")
	if late := c.follow(0, "r"); late.opening.Members != 4 {
		c.Errorf("opened with %d members, want 4", late.opening.Members)
	}
	a.census().Leave(ada)
	a.census().Leave(ada) // has no place
	b.census().Leave(room.Visitor{})
	b.census().Leave(bob)
	a.awaitMembers(2, "ada")
	b.awaitMembers(2, "ada")
	b.census().Leave(ada)
	a.awaitMembers(1)
	b.awaitMembers(1)
	if a.count()+b.count() != 0 {
		c.Error("members have places in the order of messages")
	}
}

// bounds: whatever nodes ask at the same time, a room has never more members than it may have. A place that was given
// back goes to another one.
func bounds(c *check) {
	const most, each = 5, 10
	all := []*follower{c.follow(0, "r"), c.follow(1, "r")}
	all[0].census()
	var mu sync.Mutex
	var in []func()
	var asking sync.WaitGroup
	for node, f := range all {
		for i := range each {
			v := room.Visitor{ID: fmt.Sprintf("%d.%d", node, i)}
			if i%3 == 0 {
				v = room.Visitor{}
			}
			asking.Go(func() {
				switch err := f.enter(v, most); {
				case err == nil:
					mu.Lock()
					defer mu.Unlock()
					in = append(in, func() { f.census().Leave(v) })
				case !errors.Is(err, room.ErrFull):
					c.Errorf("Enter: %v", err)
				}
			})
		}
	}
	asking.Wait()
	if len(in) != most {
		c.Fatalf("%d visitors have places, there are %d", len(in), most)
	}
	for _, f := range all {
		f.await("all members", func() bool { return f.members == most })
	}
	in[0]()
	all[0].await("a free place", func() bool { return all[0].members == most-1 })
	if err := all[1].enter(ada, most); err != nil {
		c.Errorf("the free place: %v", err)
	}
	if err := all[0].enter(ada, most); err != nil {
		c.Errorf("a user that is there on another node: %v", err)
	}
	if err := all[0].enter(bob, most); !errors.Is(err, room.ErrFull) {
		c.Errorf("one more: %v, want %v", err, room.ErrFull)
	}
}

// lists: any node lists the users of all nodes.
func lists(c *check) {
	a, b := c.follow(0, "r"), c.follow(1, "r")
	a.entered(ada)
	b.entered(ada)
	b.entered(bob)
	b.entered(room.Visitor{})
	for _, f := range []*follower{a, b} {
		for most, want := range []string{0: "", 1: "?", 2: "ada Ada, bob Bob", 3: "ada Ada, bob Bob"} {
			var got []string
			answered := make(chan struct{})
			f.census().List(most, func(some []room.Present, all int, err error) {
				defer close(answered) // a second answer is a panic
				for _, p := range some {
					got = append(got, p.ID+" "+p.Name)
				}
				if err != nil || all != 2 || len(some) != min(most, 2) {
					c.Errorf("List(%d): %v, %d users in all, %v", most, some, all, err)
				}
			})
			c.within("the list", answered)
			slices.Sort(got)
			if s := strings.Join(got, ", "); want != "?" && s != want {
				c.Errorf("List(%d): %s, want %s", most, s, want)
			}
		}
	}
}

// closeVacates: a node that follows the room no longer has no places in it.
func closeVacates(c *check) {
	a, b := c.follow(0, "r"), c.follow(1, "r")
	a.entered(ada)
	a.entered(room.Visitor{})
	b.entered(bob)
	b.awaitMembers(3, "ada", "bob")
	a.topic.Close(room.Left, "")
	b.awaitMembers(1, "bob")
	if err := a.enter(ada, 0); !errors.Is(err, room.ErrNotFound) {
		c.Errorf("Enter on the node that has closed: %v", err)
	}
}

// vanishes: the members of a node whose lease has ended have gone. With another lease it enters them again.
func vanishes(c *check) {
	if c.Expire == nil {
		c.Skip("nodes have no leases")
	}
	a, b := c.follow(0, "r"), c.follow(1, "r")
	a.entered(ada)
	a.entered(room.Visitor{})
	b.entered(bob)
	b.awaitMembers(3, "ada", "bob")
	c.Expire(0)
	b.awaitMembers(1, "bob")
	c.Renew(0)
	if !a.await("another lease", func() bool { return a.fresh == 1 }) || a.others != 1 {
		c.Fatalf("the node was told of %d members elsewhere, want 1", a.others)
	}
	if err := a.enter(ada, 1); !errors.Is(err, room.ErrFull) {
		c.Errorf("ada has a place still: %v", err)
	}
	if err := a.enter(ada, 0); err != nil {
		c.Errorf("Enter with another lease: %v", err)
	}
	b.awaitMembers(2, "ada", "bob")
}
