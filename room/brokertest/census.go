package brokertest

import (
	"slices"
	"time"

	"github.com/perchws/perch/room"
)

// countingTopic is the Topic of a LateNode.
type countingTopic struct{ *lateTopic }

// place is a place that a node has for a visitor.
type place struct {
	room.Visitor
	since time.Time
}

// Enter implements room.Census.
func (t countingTopic) Enter(v room.Visitor, most int, answer func(error)) {
	t.b.add(t.r.id, func(r *lateRoom) {
		t.b.asked(r.id, Enter, func() error { return t.enter(v, most) }, answer)
	})
}

// Leave implements room.Census.
func (t countingTopic) Leave(v room.Visitor) {
	t.b.add(t.r.id, func(r *lateRoom) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if i := slices.IndexFunc(t.places, is(v)); i >= 0 {
			t.places = slices.Delete(t.places, i, i+1)
			r.tellMembers(nil, []room.Visitor{v})
		}
	})
}

// List implements room.Census.
func (t countingTopic) List(most int, answer func([]room.Present, int, error)) {
	t.b.add(t.r.id, func(r *lateRoom) {
		var some []room.Present
		all := 0
		t.b.asked(r.id, List, func() error {
			some, all = r.list(most)
			return nil
		}, func(err error) { answer(some, all, err) })
	})
}

// is returns a function that finds the place of a visitor.
func is(v room.Visitor) func(place) bool { return func(p place) bool { return p.Visitor == v } }

func (t countingTopic) enter(v room.Visitor, most int) error {
	r := t.r
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case t.closed || !r.there:
		return room.ErrNotFound
	case t.expired:
		return ErrLate
	case v.ID != "" && slices.ContainsFunc(t.places, is(v)):
		return nil
	case v.ID != "" && r.has(v):
		t.places = append(t.places, place{v, time.Now()})
		return nil
	case most > 0 && r.members() >= most:
		return room.ErrFull
	}
	t.places = append(t.places, place{v, time.Now()})
	r.tellMembers([]room.Visitor{v}, nil)
	return nil
}

// has reports whether any node has a place for a visitor. r.mu is held.
func (r *lateRoom) has(v room.Visitor) bool {
	return slices.ContainsFunc(r.nodes, func(t *lateTopic) bool { return slices.ContainsFunc(t.places, is(v)) })
}

// users returns the users in the room, each once. r.mu is held.
func (r *lateRoom) users() (all []place) {
	for _, t := range r.nodes {
		for _, p := range t.places {
			if p.ID != "" && !slices.ContainsFunc(all, is(p.Visitor)) {
				all = append(all, p)
			}
		}
	}
	return all
}

// members returns the number of members on all nodes. r.mu is held.
func (r *lateRoom) members() int {
	n := len(r.users())
	for _, t := range r.nodes {
		for _, p := range t.places {
			if p.ID == "" {
				n++
			}
		}
	}
	return n
}

// list returns some of the users, and how many there are.
func (r *lateRoom) list(most int) (some []room.Present, all int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.users() {
		if len(some) < most {
			some = append(some, room.Present{Visitor: p.Visitor, Since: p.since})
		}
		all++
	}
	return some, all
}

// tellMembers tells all nodes who has come and gone. It leaves out connections without a user, and users that are still
// there on another node. r.mu is held.
func (r *lateRoom) tellMembers(came, went []room.Visitor) {
	came = slices.DeleteFunc(came, func(v room.Visitor) bool { return v.ID == "" })
	went = slices.DeleteFunc(went, func(v room.Visitor) bool { return v.ID == "" || r.has(v) })
	for _, t := range r.nodes {
		if !t.expired {
			t.to.Members(r.members(), came, went)
		}
	}
}

// vacate removes the places of a node, and tells the others. r.mu is held.
func (r *lateRoom) vacate(t *lateTopic) {
	var went []room.Visitor
	for _, p := range t.places {
		went = append(went, p.Visitor)
	}
	if t.places = nil; len(went) > 0 {
		r.tellMembers(nil, went)
	}
}

// expire ends the lease of a node.
func (r *lateRoom) expire(n *LateNode) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.nodes {
		if t.node == n {
			t.expired = true
			r.vacate(t)
		}
	}
}

// renew gives the node another lease.
func (r *lateRoom) renew(n *LateNode) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.nodes {
		if t.node == n {
			t.expired = false
			t.to.Forgotten(r.members())
		}
	}
}
