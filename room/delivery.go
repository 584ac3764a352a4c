package room

import (
	"slices"
	"sync/atomic"
)

// Delivery is one message on its way to its receivers, or a join on its way to
// take effect. It is posted to loops. The engine carries it out with
// [Shards.Change] or [Shards.Cursor] and says so with Walked. Immutable, but for
// the counts.
type Delivery struct {
	hub    *Hub
	frames Frames
	class  Class
	except exclusion

	// To whom: the room's members, or these, or all who have signed in.
	room *Room
	to   []Member
	all  bool

	serial serial
	ticket uint64 // not 0: of a join in room
	evict  bool   // everybody leaves room, which is deleted

	left   atomic.Int32 // loops that have not walked yet, and one for a publisher that is not told yet
	taken  atomic.Int64
	cost   int64           // that it has taken of the budget
	kept   bool            // frames[0] is in the history
	queued bool            // counted in room.pending
	done   func(taken int) // nil: nobody asks
}

// exclusion is who is left out. Immutable.
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

// Excludes reports that m is not to get it.
func (d *Delivery) Excludes(m Member) bool {
	if d.except.many == nil {
		return m == d.except.one
	}
	_, no := d.except.many[m]
	return no
}

// Class is what may happen to it.
func (d *Delivery) Class() Class { return d.class }

// post hands d to loops. A delivery whose order matters is posted under the
// room's lock. It reports that d is over already, as nobody is there to get it:
// the caller then calls finish, without a lock.
func (d *Delivery) post(loops []uint32) (over bool) {
	d.left.Store(int32(len(loops)) + 1) // one for ourselves, so that it is not over before we are done
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

// Walked says that one loop has carried d out: how many connections took it,
// and how many it was left out for. On that loop.
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

// finish is for when all loops have walked.
func (d *Delivery) finish() {
	d.hub.release(d.cost)
	if d.kept {
		d.frames[0].Forget() // the history's bytes are bounded
	}
	if d.queued {
		d.room.pending.Add(-1)
	}
	if d.done != nil {
		d.hub.cfg.call("Message.Taken", func() { d.done(int(d.taken.Load())) })
	}
}

// deliveryCost is what a delivery takes of the budget beside its message, in bytes.
const deliveryCost = 256

// reserve asks the budget for so many bytes of messages; 0: they are not to be had.
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

// add counts n more members, or fewer.
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

// loops are the numbers of those loops.
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

// connections is the number of members.
func (p places) connections() (n int) {
	for _, x := range p {
		for _, k := range x.n {
			n += int(k)
		}
	}
	return n
}
