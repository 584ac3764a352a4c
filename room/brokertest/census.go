package brokertest

import (
	"slices"

	"github.com/perchws/perch/room"
)

// countingTopic is the Topic of a Late that counts members: see Late.Counts.
type countingTopic struct{ *lateTopic }

// Enter implements room.Census.
func (t countingTopic) Enter(v room.Visitor, most int, answer func(error)) {
	t.b.add(t.r.id, func(r *lateRoom) {
		f := t.b.fate(r.id, Enter)
		switch f {
		case Never:
			return
		case Fail:
			answer(ErrLate)
			return
		}
		err := t.enter(v, most)
		if f == Silent {
			return
		}
		answer(err)
		if f == Twice {
			answer(err)
		}
	})
}

// Leave implements room.Census.
func (t countingTopic) Leave(v room.Visitor) {
	t.b.add(t.r.id, func(r *lateRoom) {
		r.mu.Lock()
		defer r.mu.Unlock()
		i := slices.Index(t.visitors, v)
		if i < 0 {
			return
		}
		t.visitors = slices.Delete(t.visitors, i, i+1)
		r.tellMembers(nil, v)
	})
}

func (t countingTopic) enter(v room.Visitor, most int) error {
	r := t.r
	r.mu.Lock()
	defer r.mu.Unlock()
	here, elsewhere := slices.Contains(t.visitors, v), false
	for _, n := range r.nodes {
		elsewhere = elsewhere || slices.Contains(n.visitors, v)
	}
	switch {
	case t.closed || !r.there:
		return room.ErrNotFound
	case v.ID != "" && here:
		return nil
	case v.ID != "" && elsewhere:
		t.visitors = append(t.visitors, v)
		return nil
	case most > 0 && r.members() >= most:
		return room.ErrFull
	}
	t.visitors = append(t.visitors, v)
	r.tellMembers(&v, room.Visitor{})
	return nil
}

// members are those of all nodes. r.mu is held.
func (r *lateRoom) members() (n int) {
	users := make(map[room.Visitor]bool)
	for _, t := range r.nodes {
		for _, v := range t.visitors {
			if v.ID == "" {
				n++
			} else {
				users[v] = true
			}
		}
	}
	return n + len(users)
}

// tellMembers tells all nodes that somebody has come, or else that went has gone, unless it is still there by another
// node. Visitors without a name change the number alone. r.mu is held.
func (r *lateRoom) tellMembers(came *room.Visitor, went room.Visitor) {
	var in, out []room.Visitor
	switch {
	case came != nil && came.ID != "":
		in = []room.Visitor{*came}
	case came == nil && went.ID != "" && !slices.ContainsFunc(r.nodes, func(t *lateTopic) bool { return slices.Contains(t.visitors, went) }):
		out = []room.Visitor{went}
	}
	for _, t := range r.nodes {
		t.to.Members(r.members(), in, out)
	}
}
