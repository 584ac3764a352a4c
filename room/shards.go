package room

import (
	"slices"

	"github.com/perchws/perch/internal/beside"
)

// Shards is one loop's part of all rooms: which of its connections are in which. It belongs to that loop; the engine
// has one for each. A connection that joins costs 8 bytes, and 8 more if it signs in. In one room it costs 4 bytes
// more; in several 24, and 8 for each.
type Shards struct {
	hub     *Hub
	loop    uint32
	seats   beside.Table[seat]  // by slot
	users   beside.Table[*User] // by slot, of those who have signed in
	index   map[*Room]uint32    // of shards
	shards  []shard
	free    []uint32   // indices of shards
	lists   [][]uint32 // shards of connections in several rooms
	spare   []uint32   // indices of lists
	joining map[joining]uint64
	ticket  uint64
	recycle []*Delivery        // of joins, for the next ones
	waits   map[uint32][]*wait // by slot: calls that wait for rooms being opened
}

// seat is what a loop knows of a connection. If gen is zero, the connection has neither signed in nor joined.
type seat struct {
	gen  uint32
	link uint32 // the bits below; above them the index of its one shard, or of its list of shards
}

const (
	linkDialect = 1 // the connection's dialect
	linkOne     = 2 // it is in one room
	linkGone    = 4 // it has signed out
	linkShift   = 3
	linkKept    = linkDialect | linkGone // bits that do not depend on the rooms
)

// shard is a room's members on this loop, as their slots, in order: a walk goes through memory in one direction.
type shard struct {
	room    *Room
	last    serial // of the deliveries carried out so far
	slots   [Dialects][]uint32
	links   int    // seats that refer to the shard
	version uint32 // of slots
}

// joining is a join that has not taken effect, because messages that were published before it are still in the
// mailbox.
type joining struct {
	slot, shard uint32
}

// NewShards is for the engine.
func NewShards(h *Hub, loop int) *Shards {
	return &Shards{
		hub: h, loop: uint32(loop), index: make(map[*Room]uint32), joining: make(map[joining]uint64),
		lists: make([][]uint32, 1),
	}
}

// keepJoins is how many deliveries of joins are kept for the next ones.
const keepJoins = 256

// Trim frees memory that connections have left behind. The engine calls it a few times a second.
func (s *Shards) Trim() {
	s.seats.Trim(nil)
	s.users.Trim(nil)
	half := len(s.recycle) / 2
	clear(s.recycle[half:])
	s.recycle = s.recycle[:half]
}

// seat returns the connection's seat, and makes it if there is none.
func (s *Shards) seat(slot, gen uint32) *seat {
	p := s.seats.At(slot)
	p.gen = gen
	return p
}

// has returns the connection's seat; nil: there is none.
func (s *Shards) has(slot uint32) *seat {
	if p := s.seats.Find(slot); p != nil && p.gen != 0 {
		return p
	}
	return nil
}

// SignIn makes the connection one of a user. Errors: ErrSignedIn, ErrUserID.
func (s *Shards) SignIn(slot, gen uint32, id Identity) (u *User, first bool, err error) {
	p := s.seat(slot, gen)
	if s.users.Get(slot) != nil || p.link>>linkShift != 0 || p.link&linkOne != 0 {
		return nil, false, ErrSignedIn
	}
	u, first, err = s.hub.signIn(Member{s.loop, slot, gen}, id)
	if err == nil {
		s.users.Set(slot, u)
		p.link = uint32(id.Dialect)
	}
	return u, first, err
}

// User returns the user of the connection; nil: it has not signed in.
func (s *Shards) User(slot uint32) *User { return s.users.Get(slot) }

// rooms returns the shards that a seat is in, or will be.
func (s *Shards) rooms(p *seat) []uint32 {
	switch i := p.link >> linkShift; {
	case p.link&linkOne != 0:
		return []uint32{i}
	case i != 0:
		return s.lists[i]
	}
	return nil
}

// Rooms calls f for every room that the connection is in, except audiences. f may leave any of them.
func (s *Shards) Rooms(slot uint32, f func(*Room)) {
	p := s.has(slot)
	if p == nil {
		return
	}
	var all []*Room
	for _, i := range s.rooms(p) {
		all = append(all, s.shards[i].room)
	}
	for _, r := range all {
		if !r.audience && s.In(slot, r) {
			f(r)
		}
	}
}

// In reports whether the connection is in the room.
func (s *Shards) In(slot uint32, r *Room) bool {
	p := s.has(slot)
	i, ok := s.index[r]
	return p != nil && ok && slices.Contains(s.rooms(p), i)
}

// Join makes the connection a member. Errors: ErrJoined, ErrTooManyRooms,
// ErrNotFound, ErrPassword, ErrFull, ErrOpening.
func (s *Shards) Join(slot, gen uint32, r *Room, o JoinOptions) (Joined, error) {
	if r == nil || r.hub != s.hub {
		return Joined{}, ErrNotFound
	}
	p := s.seat(slot, gen)
	in := s.rooms(p)
	switch {
	case s.In(slot, r):
		return Joined{}, ErrJoined
	case len(in) >= s.hub.cfg.MaxRoomsPerMember:
		return Joined{}, ErrTooManyRooms
	}
	dialect := Dialect(p.link & linkDialect)
	s.ticket++
	d := s.joinOf(r, Member{s.loop, slot, gen})
	j, err := r.join(s.loop, s.users.Get(slot), dialect, o, d)
	if err != nil {
		s.joinIsOver(d)
		return j, err
	}
	i := s.shardOf(r)
	s.link(p, i)
	s.joining[joining{slot, i}] = d.ticket
	if dialect != 0 {
		for i, f := range j.Missed {
			j.Missed[i] = r.translate(dialect, f)
		}
	}
	return j, nil
}

// joinOf makes the delivery of a join, which goes through the loop's mailbox.
func (s *Shards) joinOf(r *Room, m Member) (d *Delivery) {
	if n := len(s.recycle); n > 0 {
		d = s.recycle[n-1]
		s.recycle = s.recycle[:n-1]
	} else {
		d = &Delivery{to: make([]Member, 1)}
	}
	d.hub, d.room, d.ticket, d.to[0] = s.hub, r, s.ticket, m
	return d
}

// joinIsOver keeps d for another join. Nothing else refers to it: a join is posted to its own loop alone.
func (s *Shards) joinIsOver(d *Delivery) {
	if len(s.recycle) < keepJoins {
		*d = Delivery{to: d.to}
		s.recycle = append(s.recycle, d)
	}
}

// shardOf returns the room's shard, and makes it if there is none.
func (s *Shards) shardOf(r *Room) uint32 {
	if i, ok := s.index[r]; ok {
		return i
	}
	var i uint32
	if n := len(s.free); n > 0 {
		i = s.free[n-1]
		s.free = s.free[:n-1]
	} else {
		i = uint32(len(s.shards))
		s.shards = append(s.shards, shard{})
	}
	s.shards[i].room = r
	s.index[r] = i
	return i
}

// link notes that the seat is in the shard.
func (s *Shards) link(p *seat, i uint32) {
	s.shards[i].links++
	d := p.link & linkKept
	switch n := p.link >> linkShift; {
	case p.link&linkOne == 0 && n == 0:
		p.link = i<<linkShift | linkOne | d
	case p.link&linkOne != 0:
		if k := len(s.spare); k > 0 {
			p.link = s.spare[k-1]<<linkShift | d
			s.spare = s.spare[:k-1]
		} else {
			p.link = uint32(len(s.lists))<<linkShift | d
			s.lists = append(s.lists, nil)
		}
		s.lists[p.link>>linkShift] = []uint32{n, i}
	default:
		list := s.lists[n]
		if len(list) == cap(list) { // grow by little: there are as many lists as connections
			list = append(make([]uint32, 0, len(list)+max(2, len(list)/8)), list...)
		}
		s.lists[n] = append(list, i)
	}
}

// unlink undoes link.
func (s *Shards) unlink(p *seat, i uint32) {
	d := p.link & linkKept
	n := p.link >> linkShift
	if p.link&linkOne != 0 {
		p.link = d
	} else {
		list := s.lists[n]
		k := slices.Index(list, i)
		list = append(list[:k], list[k+1:]...)
		s.lists[n] = list
		if len(list) == 1 {
			p.link = list[0]<<linkShift | linkOne | d
			s.lists[n] = nil
			s.spare = append(s.spare, n)
		}
	}
	sh := &s.shards[i]
	if sh.links--; sh.links == 0 {
		delete(s.index, sh.room)
		s.shards[i] = shard{version: sh.version + 1}
		s.free = append(s.free, i)
	}
}

// Change carries out a join or the end of a room; false: d is a message.
func (s *Shards) Change(d *Delivery) bool {
	switch {
	case d.evict:
		if i, ok := s.index[d.room]; ok {
			s.shards[i].last.passed(d)
		}
		s.evict(d.room)
	case d.ticket != 0:
		slot := d.to[0].Slot
		i, ok := s.index[d.room]
		k := joining{slot, i}
		if ok {
			s.shards[i].last.passed(d)
		}
		if ok && s.joining[k] == d.ticket {
			delete(s.joining, k)
			s.shards[i].insert(Dialect(s.seats.Get(slot).link&linkDialect), slot)
		}
		d.Walked(0, 0)
		s.joinIsOver(d)
		return true
	default:
		return false
	}
	d.Walked(0, 0)
	return true
}

// evict removes all members of a deleted room.
func (s *Shards) evict(r *Room) {
	i, ok := s.index[r]
	if !ok {
		return
	}
	for _, slots := range s.shards[i].slots {
		for _, slot := range slices.Backward(slices.Clone(slots)) { // removing the last one moves no other
			s.remove(slot, s.seats.At(slot), i)
		}
	}
}

// insert adds a member.
func (sh *shard) insert(d Dialect, slot uint32) {
	list := sh.slots[d]
	if n := len(list); n > 0 && list[n-1] > slot {
		k, _ := slices.BinarySearch(list, slot)
		list = slices.Insert(list, k, slot)
	} else {
		list = append(list, slot)
	}
	sh.slots[d] = list
	sh.version++
}

// remove takes the connection out of a shard.
func (s *Shards) remove(slot uint32, p *seat, i uint32) {
	k := joining{slot, i}
	if _, ok := s.joining[k]; ok {
		delete(s.joining, k)
	} else {
		sh := &s.shards[i]
		d := p.link & linkDialect
		if at, ok := slices.BinarySearch(sh.slots[d], slot); ok {
			sh.slots[d] = slices.Delete(sh.slots[d], at, at+1)
			if c := cap(sh.slots[d]); c > 64 && c > 4*len(sh.slots[d]) {
				sh.slots[d] = slices.Clone(sh.slots[d])
			}
			sh.version++
		}
	}
	s.unlink(p, i)
}

// Leave ends the connection's membership: no further message of the room is delivered to it. last: it was the last of
// its user's connections in the room. Error: ErrNotIn.
func (s *Shards) Leave(slot uint32, r *Room) (last bool, err error) {
	if !s.In(slot, r) {
		return false, ErrNotIn
	}
	p := s.seats.At(slot)
	s.remove(slot, p, s.index[r])
	return r.leave(s.loop, s.users.Get(slot), Dialect(p.link&linkDialect)), nil
}

// LeaveAll forgets a connection that is gone.
func (s *Shards) LeaveAll(slot uint32) {
	if len(s.waits) > 0 {
		s.cancelWaits(slot)
	}
	p := s.has(slot)
	if p == nil {
		return
	}
	returned := false
	defer func() {
		if !returned { // Announce or Offline has called runtime.Goexit: do the rest nevertheless
			s.LeaveAll(slot)
		}
	}()
	for {
		in := s.rooms(p)
		if len(in) == 0 {
			break
		}
		r := s.shards[in[len(in)-1]].room
		s.remove(slot, p, in[len(in)-1])
		r.leave(s.loop, s.users.Get(slot), Dialect(p.link&linkDialect))
	}
	s.SignOut(slot)
	*p = seat{}
	s.users.Clear(slot)
	returned = true
}

// SignOut undoes SignIn, ahead of LeaveAll: the connection stays in its rooms. last: it was the user's last
// connection; only the first call reports that.
func (s *Shards) SignOut(slot uint32) (last bool) {
	p, u := s.has(slot), s.users.Get(slot)
	if u == nil || p.link&linkGone != 0 {
		return false
	}
	p.link |= linkGone
	last = s.hub.signOut(Member{s.loop, slot, p.gen}, u)
	if last {
		s.hub.cfg.Offline(u)
	}
	return last
}
