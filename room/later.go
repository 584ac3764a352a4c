package room

// Methods with which a connection asks about a room whose broker may answer later. then is called once: before the
// method returns if the answer is known, else on this loop, as a callback of the connection. It is not called for a
// connection that is closed by then: its calls are forgotten. The calls of one connection about one room are answered
// in order.

// Open is [Hub.Open] for event loops.
func (s *Shards) Open(slot, gen uint32, id string, create *Options, then func(r *Room, made bool, err error)) {
	w := &wait{create: create, shards: s, member: Member{s.loop, slot, gen}}
	w.then = func(err error) {
		switch {
		case w.again(err):
			s.Open(slot, gen, id, create, then)
		case err != nil:
			then(nil, false, err)
		default:
			then(w.room, w.hasMade(w.room), nil)
		}
	}
	r, _, err := s.hub.open(id, w)
	if err != errWaiting {
		w.room = r
	}
	s.await(w, err)
}

// Await calls then when the room is open, or when it is known that it cannot be opened: the errors are those of
// Hub.Open.
func (s *Shards) Await(slot, gen uint32, r *Room, then func(error)) {
	w := &wait{room: r, shards: s, member: Member{s.loop, slot, gen}, then: then}
	s.await(w, r.await(w))
}

// await answers w at once, unless an earlier call of the same connection about the same room still waits.
func (s *Shards) await(w *wait, err error) {
	switch {
	case err == errWaiting:
		s.remember(w)
	case w.room != nil && s.waitsFor(w.member.Slot, w.room):
		s.remember(w)
		w.tell(err)
	default:
		w.then(err)
	}
}

// JoinLater is a Join that waits until the room is open and has a place.
func (s *Shards) JoinLater(slot, gen uint32, r *Room, o JoinOptions, then func(Joined, error)) {
	if r == nil || r.hub != s.hub || !r.opening.Load() && len(s.waits) == 0 {
		s.joinClaiming(slot, gen, r, o, then)
		return
	}
	s.Await(slot, gen, r, func(err error) {
		if err != nil {
			then(Joined{}, err)
			return
		}
		s.joinClaiming(slot, gen, r, o, then)
	})
}

// joinClaiming is Join, except that it waits for a place if the broker must be asked for one.
func (s *Shards) joinClaiming(slot, gen uint32, r *Room, o JoinOptions, then func(Joined, error)) {
	j, err := s.Join(slot, gen, r, o)
	if err != errClaim {
		then(j, err)
		return
	}
	w := &wait{shards: s, member: Member{s.loop, slot, gen}}
	w.then = func(err error) {
		if err != nil {
			then(Joined{}, err)
			return
		}
		o.claim = w.claim
		j, err := s.Join(slot, gen, r, o)
		if w.claim != nil {
			r.census.settle(r, w.claim, err == nil)
		}
		then(j, err)
	}
	switch err := w.claimPlace(r, s.users.Get(slot)); err {
	case errWaiting:
		s.remember(w)
		r.hub.watch(r)
	default:
		w.then(err)
	}
}

// remember lists a wait with its connection, which ends it when it closes.
func (s *Shards) remember(w *wait) {
	if s.waits == nil {
		s.waits = make(map[uint32][]*wait)
	}
	s.waits[w.member.Slot] = append(s.waits[w.member.Slot], w)
}

// forget removes a wait that is over.
func (s *Shards) forget(w *wait) {
	slot := w.member.Slot
	all := s.waits[slot]
	for i := range all {
		if all[i] == w {
			all = append(all[:i], all[i+1:]...)
			break
		}
	}
	if s.waits[slot] = all; len(all) == 0 {
		delete(s.waits, slot)
	}
}

// waitsFor reports whether the connection waits for the room.
func (s *Shards) waitsFor(slot uint32, r *Room) bool {
	for _, w := range s.waits[slot] {
		if w.room == r {
			return true
		}
	}
	return false
}

// cancelWaits forgets all waits of a connection that is gone.
func (s *Shards) cancelWaits(slot uint32) {
	for _, w := range s.waits[slot] {
		w.cancel()
	}
	delete(s.waits, slot)
}
