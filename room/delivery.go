package room

import (
	"slices"
	"sync/atomic"
)

// Delivery is one message on its way to its receivers, or a join, or the end of a room, on its way to take effect. It
// is posted to loops. The engine carries it out with [Shards.Change] or [Shards.Cursor] and then calls Walked.
// Immutable, except for the counts.
type Delivery struct {
	hub    *Hub
	frames Frames
	class  Class
	except exclusion

	// The receivers: the room's members, or to, or all that have signed in.
	room *Room
	to   []Member
	all  bool

	serial serial
	ticket uint64 // not 0: a join in room
	evict  bool   // all members leave room, which is deleted

	left   atomic.Int32 // loops that have not walked yet, and one more until its publisher was told
	taken  atomic.Int64
	cost   int64           // bytes of the budget that it takes
	kept   bool            // frames[0] is in the history
	queued bool            // counted in room.pending
	done   func(taken int) // may be nil
}

// exclusion is the set of members that are left out. Immutable.
type exclusion struct {
	one  Member              // of one
	many map[Member]struct{} // of more
}

// excluding copies a list of members.
func excluding(members []Member) (e exclusion) {
	switch len(members) {
	case 0:
	case 1:
		e.one = members[0]
	default:
		e.many = make(map[Member]struct{}, len(members))
		for _, m := range members {
			e.many[m] = struct{}{}
		}
	}
	return e
}

// Excludes reports whether m does not get the message.
func (d *Delivery) Excludes(m Member) bool {
	if d.except.many == nil {
		return m == d.except.one
	}
	_, no := d.except.many[m]
	return no
}

// Class is the class of the message.
func (d *Delivery) Class() Class { return d.class }

// post hands d to loops. A delivery whose order matters is posted under the room's lock. It returns true if d is over
// already, because there is no receiver: the caller then calls finish, without a lock.
func (d *Delivery) post(loops []uint32) (over bool) {
	d.left.Store(int32(len(loops)) + 1) // one for this function, so that d is not over before it is done
	return d.left.Add(-1-d.hand(loops)) == 0
}

// hand gives d to loops, and returns how many of them have ended.
func (d *Delivery) hand(loops []uint32) (gone int32) {
	if d.room != nil {
		d.serial = d.room.serial.next()
	}
	for _, l := range loops {
		if d.hub.loops[l].Post(d) != nil {
			gone++
		}
	}
	return gone
}

// Walked notes that one loop has carried d out: how many connections took the message, and for how many it was left
// out. Called on that loop.
func (d *Delivery) Walked(taken, shed int) {
	d.hub.delivered.Add(uint64(taken))
	if shed > 0 {
		d.hub.shed.Add(uint64(shed))
	}
	d.taken.Add(int64(taken))
	if d.left.Add(-1) == 0 {
		d.finish()
	}
}

// finish runs when all loops have walked.
func (d *Delivery) finish() {
	d.hub.release(d.cost)
	if d.kept {
		d.frames[0].Forget() // the bytes of the history are bounded, and compressed forms are not among them
	}
	if d.queued {
		d.room.pending.Add(-1)
	}
	if d.done != nil {
		d.hub.cfg.call("Message.Taken", func() { d.done(int(d.taken.Load())) })
	}
}

// deliveryCost is the size of a delivery without its message, in bytes.
const deliveryCost = 256

// reserve takes bytes for n bytes of messages from the budget; 0: it has not enough.
func (h *Hub) reserve(n int) int64 {
	cost := int64(n) + deliveryCost
	if h.budget != nil && !h.budget.Reserve(cost) {
		return 0
	}
	return cost
}

func (h *Hub) release(cost int64) {
	if h.budget != nil && cost != 0 {
		h.budget.Release(cost)
	}
}

// size is the number of bytes of f.
func (f Frames) size() (n int) {
	for _, m := range f {
		if m != nil {
			n += len(m.Bytes())
		}
	}
	return n
}

// places are the loops with members of a room, with their number by dialect.
type places []place

type place struct {
	loop uint32
	n    [Dialects]int32
}

// add counts n more members; n may be negative.
func (p *places) add(loop uint32, d Dialect, n int32) {
	i := slices.IndexFunc(*p, func(x place) bool { return x.loop == loop })
	if i < 0 {
		i = len(*p)
		*p = append(*p, place{loop: loop})
	}
	x := &(*p)[i]
	if x.n[d] += n; x.n == ([Dialects]int32{}) {
		*p = slices.Delete(*p, i, i+1)
	}
}

// loops returns the numbers of those loops.
func (p places) loops() []uint32 {
	all := make([]uint32, len(p))
	for i, x := range p {
		all[i] = x.loop
	}
	return all
}

// speak reports whether a member speaks d.
func (p places) speak(d Dialect) bool {
	return slices.ContainsFunc(p, func(x place) bool { return x.n[d] > 0 })
}

// connections returns the number of members.
func (p places) connections() (n int) {
	for _, x := range p {
		for _, k := range x.n {
			n += int(k)
		}
	}
	return n
}
