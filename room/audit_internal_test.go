package room

import (
	"maps"
	"slices"
)

// audit demands that facts kept in several places agree, and that nothing is left behind. No delivery may be under
// way.
func (w *world) audit() {
	w.t.Helper()
	for i, l := range w.loops {
		if len(l.posts) != 0 {
			w.t.Fatalf("loop %d has %d posts waiting", i, len(l.posts))
		}
		w.auditShards(l.shards)
	}
	active := 0
	for _, r := range w.Rooms() {
		w.auditRoom(r)
		if r.Connections() > 0 {
			active++
		}
	}
	if got := w.Stats().Active; got != active {
		w.t.Errorf("%d rooms are counted as active, %d are", got, active)
	}
	for i, r := range w.listed {
		if r.listed != i || w.rooms[r.id] != r {
			w.t.Errorf("%s is listed at %d, found at %d", r.id, r.listed, i)
		}
	}
	if len(w.listed) != len(w.rooms) {
		w.t.Errorf("%d rooms, %d are listed", len(w.rooms), len(w.listed))
	}
	w.auditHistories()
	members := 0
	for id, u := range w.users {
		if u.id != id || u.one == (Member{}) {
			w.t.Errorf("user %q with %d connections is listed as %q", u.id, len(u.all()), id)
		}
		for _, m := range u.all() {
			members++
			if p := w.loops[m.Loop].shards.has(m.Slot); p == nil || w.loops[m.Loop].shards.User(m.Slot) != u || p.gen != m.Gen {
				w.t.Errorf("user %q: %v is not its connection", id, m)
			}
		}
	}
	for _, l := range w.loops {
		for slot := range l.shards.users.Len() {
			if l.shards.User(slot) != nil && l.shards.seats.Get(slot).link&linkGone == 0 {
				members--
			}
		}
	}
	if members != 0 {
		w.t.Errorf("users list %d connections more than there are", members)
	}
}

// auditHistories counts the bytes of the histories, and their payers, anew.
func (w *world) auditHistories() {
	w.t.Helper()
	type paid struct {
		key   Payer
		stays *Room // if the room pays for itself: it stays, or has no other payer
	}
	want := make(map[paid]int)
	charges := make(map[*charge]int)
	for _, r := range w.Rooms() {
		h := &r.history
		if len(h.ring) != len(h.payers) {
			w.t.Errorf("%s: %d messages, %d payers", r.id, len(h.ring), len(h.payers))
		}
		of := make(map[*charge]int)
		for i := h.head; i < len(h.ring); i++ {
			of[h.payers[i]] += cost(h.ring[i])
		}
		if len(of) != len(r.charges) {
			w.t.Errorf("%s: %d charges, %d are needed", r.id, len(r.charges), len(of))
		}
		for c, n := range of {
			charges[c] = n + chargeCost
			p := paid{key: c.payer.key}
			if p.key == (Payer{}) {
				p.stays = r
			}
			want[p] += n + chargeCost
			if c.room != r || r.charges[c.payer.key] != c || c.payer.charges[c.place] != c {
				w.t.Errorf("%s: a charge of %v is lost", r.id, c.payer.key)
			}
		}
	}
	var all int64
	got := make(map[paid]int)
	for c, n := range charges {
		p := paid{key: c.payer.key}
		if p.key == (Payer{}) {
			p.stays = c.room
		}
		got[p] = int(c.payer.share.Held())
		all += int64(n)
		if c.bytes != n {
			w.t.Errorf("%s: %v pays for %d bytes, there are %d", c.room.id, p.key, c.bytes, n)
		}
	}
	if !maps.Equal(got, want) {
		w.t.Errorf("payers have %v, want %v", got, want)
	}
	keys := 0
	for p := range want {
		if p.stays == nil {
			keys++
		}
	}
	hs := &w.histories
	if len(hs.payers) != keys || hs.bytes.Load() != all || hs.passing.Held()+hs.staying.Held() != all {
		w.t.Errorf("%d payers, %d bytes counted (%d and %d); there are %d and %d", len(hs.payers), hs.bytes.Load(),
			hs.passing.Held(), hs.staying.Held(), keys, all)
	}
}

// auditShards checks one loop's tables against its seats.
func (w *world) auditShards(s *Shards) {
	w.t.Helper()
	if len(s.joining) != 0 {
		w.t.Errorf("loop %d: %d joins have not taken effect", s.loop, len(s.joining))
	}
	if len(s.index)+len(s.free) != len(s.shards) {
		w.t.Errorf("loop %d: %d shards, %d in use, %d free", s.loop, len(s.shards), len(s.index), len(s.free))
	}
	want := make([][Dialects][]uint32, len(s.shards))
	links := make([]int, len(s.shards))
	lists := 1 // the first one is not used
	for slot := range s.seats.Len() {
		p := s.seats.At(slot)
		in := s.rooms(p)
		if p.link&linkOne == 0 && len(in) > 0 {
			lists++
			if len(in) < 2 {
				w.t.Errorf("loop %d slot %d: a list of %d", s.loop, slot, len(in))
			}
		}
		for _, i := range in {
			links[i]++
			d := p.link & linkDialect
			want[i][d] = append(want[i][d], slot)
		}
	}
	if lists+len(s.spare) != len(s.lists) {
		w.t.Errorf("loop %d: %d lists, %d in use, %d spare", s.loop, len(s.lists), lists, len(s.spare))
	}
	for i := range s.shards {
		sh := &s.shards[i]
		if sh.room == nil && !slices.Contains(s.free, uint32(i)) || sh.room != nil && s.index[sh.room] != uint32(i) {
			w.t.Errorf("loop %d: shard %d is lost", s.loop, i)
		}
		if sh.links != links[i] {
			w.t.Errorf("loop %d shard %d: %d links, want %d", s.loop, i, sh.links, links[i])
		}
		for d := range want[i] {
			if !slices.Equal(sh.slots[d], want[i][d]) {
				w.t.Errorf("loop %d shard %d dialect %d: slots %v, want %v", s.loop, i, d, sh.slots[d], want[i][d])
			}
		}
	}
}

// auditRoom checks a room against the seats of all loops.
func (w *world) auditRoom(r *Room) {
	w.t.Helper()
	on := make(map[place]bool)
	users := make(map[*User]int32)
	nobody := 0
	for _, l := range w.loops {
		at := place{loop: l.shards.loop}
		for slot := range l.shards.seats.Len() {
			if !l.shards.In(slot, r) {
				continue
			}
			at.n[l.shards.seats.Get(slot).link&linkDialect]++
			if u := l.shards.User(slot); u == nil {
				nobody++
			} else {
				users[u]++
			}
		}
		if at.n != [Dialects]int32{} {
			on[at] = true
		}
	}
	got := make(map[place]bool)
	for _, p := range r.on {
		got[p] = true
	}
	if !maps.Equal(got, on) || len(r.on) != len(on) {
		w.t.Errorf("room %s is on %v, want %v", r.id, r.on, on)
	}
	counts := make(map[*User]int32)
	for u, p := range r.users {
		counts[u] = int32(p.connections)
	}
	if !maps.Equal(counts, users) || r.nobody != nobody {
		w.t.Errorf("room %s: users %v and %d others, want %v and %d", r.id, counts, r.nobody, users, nobody)
	}
	if r.Queue() != 0 {
		w.t.Errorf("room %s: %d publishes pending", r.id, r.Queue())
	}
	bytes := 0
	for i, p := range r.history.ring {
		switch {
		case i < r.history.head:
			if p != nil {
				w.t.Errorf("room %s: the history keeps what it has dropped", r.id)
			}
		default:
			bytes += len(p.Bytes()) + entryCost
		}
	}
	if bytes != r.history.bytes {
		w.t.Errorf("room %s: history of %d bytes, said to be %d", r.id, bytes, r.history.bytes)
	}
}
