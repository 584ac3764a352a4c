//go:build linux

package perch

import (
	"container/list"

	"github.com/perchws/perch/internal/ledger"
	"github.com/perchws/perch/internal/limit"
	"github.com/perchws/perch/internal/spawn"
)

// Connections of plain HTTP have Config.MaxHTTP places, which their clients' addresses share. When all are taken, the
// connection that has been idle longest makes room for a new one. If none is idle, an address with twice as many
// connections as that of the new one would have loses the one that has been at work longest: so clients that send
// requests and do not read the answers, or send a body bit by bit, hold up each other and nobody else.

// webShare is what one address has of the places.
type webShare struct {
	from   limit.Address
	places ledger.Share[*webShare]
	active list.List // of *webConn: a request is under way; the longest first
}

// enter takes a place for a connection of an address; false: there is none. Any goroutine, loops too.
func (w *web) enter(from limit.Address) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.inside.Load() >= int64(w.srv.cfg.MaxHTTP) && !w.makeRoomLocked() && !w.pushOut(from) {
		return false
	}
	w.inside.Add(1)
	s := w.shares[from]
	if s == nil {
		s = &webShare{from: from}
		s.places.Owner = s
		w.shares[from] = s
	}
	w.places.Add(&s.places, 1)
	return true
}

// leave gives a place back.
func (w *web) leave(from limit.Address) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leaveLocked(from)
}

func (w *web) leaveLocked(from limit.Address) {
	w.inside.Add(-1)
	s := w.shares[from]
	if w.places.Add(&s.places, -1); s.places.Held() == 0 {
		delete(w.shares, from)
	}
}

// makeRoom closes the connection that has been idle longest, if one is idle. Its place is free at once. Any goroutine,
// loops too.
func (w *web) makeRoom() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.makeRoomLocked()
}

func (w *web) makeRoomLocked() bool {
	first := w.idle.Front()
	if first == nil {
		return false
	}
	w.cutOff(first.Value.(*webConn))
	return true
}

// pushOut closes the connection that has been at work longest of an address with far more connections than from.
func (w *web) pushOut(from limit.Address) bool {
	most := w.places.Largest()
	if most == nil {
		return false
	}
	own := int64(0)
	if s := w.shares[from]; s != nil {
		own = s.places.Held()
	}
	first := most.Owner.active.Front()
	if most.Held() < 2*(own+1) || first == nil {
		return false
	}
	w.cutOff(first.Value.(*webConn))
	w.pushed.Add(1)
	return true
}

// cutOff closes a connection whose place another one needs. w.mu is held.
func (w *web) cutOff(c *webConn) {
	c.unlistLocked(true)
	w.srv.spawn.Go(spawn.HTTP, func() { c.Conn.Close() }) // not here: the number may mean another socket in a loop's table
}

// makeRoom ends an idle plain HTTP connection, if there is one, so that another connection can have its place.
func (srv *Server) makeRoom() bool { return srv.web != nil && srv.web.makeRoom() }
