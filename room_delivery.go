//go:build linux

package perch

import "github.com/perchws/perch/room"

// stretch is after how many receivers the only message of a tick is flushed.
const stretch = 128

// deliverRoom carries out one delivery: the message is queued for every connection
// of this loop that it is for. If nothing else waits to be flushed or carried out
// there is nothing to gather for: it is flushed stretch by stretch, while what it
// touches is still in the cache. It returns how many there were.
func (l *loop) deliverRoom(d *room.Delivery) int {
	l.own.Check()
	if l.rooms.Change(d) {
		return 0
	}
	return l.walk(walking{d: d, at: l.rooms.Cursor(d)})
}

// walking is a delivery, and how far it has come.
type walking struct {
	d           *room.Delivery // nil: none
	at          room.Cursor
	taken, shed int // of those before at
}

// walk queues a delivery for the connections that are left. A callback that calls
// runtime.Goexit ends it; drainMailbox goes on with it in the next tick.
func (l *loop) walk(w walking) int {
	l.own.Check()
	d, at, taken, shed := w.d, w.at, w.taken, w.shed
	done := false
	defer func() {
		if !done {
			l.lists.walking = walking{d, at, taken, shed}
		}
	}()
	alone := len(l.lists.dirty) == 0 && l.mail.next == len(l.mail.taken)
	most := l.srv.cfg.MaxOutput
	for at.Next() {
		s := l.slab.at(at.Slot)
		gen := s.gen.Load()
		if s.state != stateOpen || at.Gen != 0 && at.Gen != gen || d.Excludes(room.Member{Loop: uint32(l.id), Slot: at.Slot, Gen: gen}) {
			continue
		}
		if d.Class() != room.ClassMessage && s.cold != 0 && !d.Class().Fits(l.slab.colds.all[s.cold].out.Counted(), most) {
			shed++
			continue
		}
		l.doing.on(at.Slot)
		switch err := l.sendPrepared(at.Slot, s, at.Frame); {
		case err == nil:
			taken++
		case err == errNoRoom && d.Class() != room.ClassMessage:
			shed++
		default:
			l.missed(at.Slot, s, err)
		}
		l.unload(at.Slot, s)
		if alone && len(l.lists.dirty) >= stretch {
			l.flushDirty()
		}
	}
	done = true
	d.Walked(taken, shed)
	return taken - w.taken
}
