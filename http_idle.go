//go:build linux

package perch

import (
	"container/list"
	"net"
	"net/http"
	"time"
)

// noteState keeps the list of idle connections: it is the ConnState of the http.Server.
func (w *web) noteState(nc net.Conn, state http.ConnState) {
	c, ok := nc.(*webConn)
	if !ok {
		return
	}
	switch state {
	case http.StateIdle:
		c.SetWriteDeadline(time.Time{}) // a handler's deadline was only for its own answer
		w.mu.Lock()
		if !c.gone {
			c.placeIn(&w.idle)
			c.idle.Store(true)
		}
		w.mu.Unlock()
	case http.StateActive:
		w.busy(c)
	case http.StateHijacked:
		w.busy(c)
		c.hijacked = true
		c.mu.Lock()
		c.patience = 0 // the new owner sets its own deadlines
		c.mu.Unlock()
	}
}

// busy lists an idle connection as active, because input has arrived on it. false: it is being closed.
func (w *web) busy(c *webConn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.gone {
		return false
	}
	if c.idle.Load() {
		c.placeIn(&w.shares[c.from].active)
		c.idle.Store(false)
	}
	return true
}

// placeIn moves the connection to the end of a list. web.mu is held.
func (c *webConn) placeIn(l *list.List) {
	c.unplace()
	c.place, c.in = l.PushBack(c), l
}

// unplace takes the connection off the list that it is in. web.mu is held.
func (c *webConn) unplace() {
	if c.place != nil {
		c.in.Remove(c.place)
		c.place, c.in = nil, nil
	}
}

// unlist takes the connection out of the counts and the list of web, once. over: the connection has ended; otherwise a
// loop has it, and it stays counted.
func (c *webConn) unlist(over bool) {
	c.web.mu.Lock()
	defer c.web.mu.Unlock()
	c.unlistLocked(over)
}

// unlistLocked is unlist under web.mu.
func (c *webConn) unlistLocked(over bool) {
	if c.gone {
		return
	}
	c.gone = true
	c.unplace()
	c.unstall()
	c.web.leaveLocked(c.from)
	if over {
		c.web.srv.uncount(c.key)
	}
}
