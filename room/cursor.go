package room

import (
	"slices"

	"github.com/perchws/perch/frame"
)

// Cursor goes through the connections of this loop that d is for. Meanwhile any connection may join or leave rooms.
func (s *Shards) Cursor(d *Delivery) Cursor {
	c := Cursor{s: s, d: d}
	if d.room != nil {
		i, ok := s.index[d.room]
		if !ok {
			c.dialect = Dialects
			return c
		}
		s.shards[i].last.passed(d)
		c.shard = i
		c.start()
	}
	return c
}

// Cursor is a place in a walk. If Gen is zero, any connection of the slot is meant.
type Cursor struct {
	Slot, Gen uint32
	Frame     *frame.Prepared

	s       *Shards
	d       *Delivery
	shard   uint32
	dialect Dialect
	next    int
	version uint32
	slots   []uint32
}

// Next goes on to the next connection; false: there is none.
func (c *Cursor) Next() bool {
	switch {
	case c.d.room != nil:
		return c.nextMember()
	case c.d.all:
		for uint32(c.next) < c.s.users.Len() {
			slot := uint32(c.next)
			c.next++
			if c.s.users.Get(slot) == nil {
				continue
			}
			if p := c.s.seats.Get(slot); c.found(slot, p.gen, p.link&linkDialect) {
				return true
			}
		}
	default:
		for c.next < len(c.d.to) {
			m := c.d.to[c.next]
			c.next++
			if m.Loop != c.s.loop {
				continue
			}
			dialect := uint32(0) // of a connection that has neither signed in nor joined
			if p := c.s.has(m.Slot); p != nil && p.gen == m.Gen {
				dialect = p.link & linkDialect
			}
			if c.found(m.Slot, m.Gen, dialect) {
				return true
			}
		}
	}
	return false
}

// found sets the cursor to a connection; false: there is no message in its dialect.
func (c *Cursor) found(slot, gen, dialect uint32) bool {
	c.Slot, c.Gen, c.Frame = slot, gen, c.d.frames[dialect]
	return c.Frame != nil
}

// start begins the walk of the room's members that speak the next dialect in which there is a message.
func (c *Cursor) start() {
	for ; c.dialect < Dialects; c.dialect++ {
		sh := &c.s.shards[c.shard]
		if c.d.frames[c.dialect] != nil && len(sh.slots[c.dialect]) > 0 {
			c.slots, c.version, c.next = sh.slots[c.dialect], sh.version, 0
			c.Frame = c.d.frames[c.dialect]
			return
		}
	}
}

func (c *Cursor) nextMember() bool {
	for c.dialect < Dialects {
		if sh := &c.s.shards[c.shard]; sh.version != c.version { // there were joins and leaves since
			if sh.room != c.d.room {
				return false
			}
			c.slots, c.version = sh.slots[c.dialect], sh.version
			if c.next > 0 {
				k, found := slices.BinarySearch(c.slots, c.Slot)
				if found {
					k++
				}
				c.next = k
			}
		}
		if c.next < len(c.slots) {
			c.Slot = c.slots[c.next]
			c.next++
			return true
		}
		c.dialect++
		c.start()
	}
	return false
}
