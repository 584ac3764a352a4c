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
// requests and do not read the answers, or send a body bit by bit, hold up each other and nobody else. If no address
// has so many, a connection has to go that has stalled: it takes nothing of an answer, or sends nothing of a body.

// stallParts is which part of Config.WriteTimeout makes a connection stalled: after 1 s of 30 s.
const stallParts = 30

// webShare is the share of one address in the places.
type webShare struct {
	from   limit.Address
	places ledger.Share[*webShare]
	active list.List // of *webConn: a request is under way; the one that has been active longest is first
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

// pushOut closes the connection that has been at work longest of an address with far more connections than from, or
// else the one that has stalled longest.
func (w *web) pushOut(from limit.Address) bool {
	var first *list.Element
	own := int64(0)
	if s := w.shares[from]; s != nil {
		own = s.places.Held()
	}
	if most := w.places.Largest(); most != nil && most.Held() >= 2*(own+1) {
		first = most.Owner.active.Front()
	}
	if first == nil {
		first = w.stalled.Front()
	}
	if first == nil {
		return false
	}
	w.cutOff(first.Value.(*webConn))
	w.pushed.Add(1)
	return true
}

// stalls lists the connection among those that have stalled.
func (c *webConn) stalls() {
	if c.stalled.Load() {
		return
	}
	c.web.mu.Lock()
	defer c.web.mu.Unlock()
	if !c.gone {
		c.stall = c.web.stalled.PushBack(c)
		c.stalled.Store(true)
	}
}

// moves takes it off the list.
func (c *webConn) moves() {
	if !c.stalled.Load() {
		return
	}
	c.web.mu.Lock()
	defer c.web.mu.Unlock()
	c.unstall()
}

// unstall is moves under web.mu.
func (c *webConn) unstall() {
	if c.stall != nil {
		c.web.stalled.Remove(c.stall)
		c.stall = nil
		c.stalled.Store(false)
	}
}

// cutOff closes a connection whose place another one needs. w.mu is held.
func (w *web) cutOff(c *webConn) {
	c.unlistLocked(true)
	w.srv.spawn.Go(spawn.HTTP, func() { c.Conn.Close() }) // in a loop's table the number may be another socket
}

// makeRoom ends an idle plain HTTP connection, if there is one, so that another connection can have its place.
func (srv *Server) makeRoom() bool { return srv.web != nil && srv.web.makeRoom() }
