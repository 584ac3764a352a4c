//go:build linux

package perch

import (
	"net"
	"net/http"
	"time"

	"github.com/perchws/perch/internal/spawn"
)

// noteState keeps the list of idle connections: it is the ConnState of the http.Server.
func (w *web) noteState(nc net.Conn, state http.ConnState) {
	c, ok := nc.(*webConn)
	if !ok {
		return
	}
	switch state {
	case http.StateIdle:
		c.SetWriteDeadline(time.Time{}) // a handler's was for its own answer
		w.mu.Lock()
		if !c.gone {
			c.place = w.idle.PushBack(c)
			c.idle.Store(true)
		}
		w.mu.Unlock()
	case http.StateActive:
		w.busy(c)
	case http.StateHijacked:
		w.busy(c)
		c.mu.Lock()
		c.patience = 0 // its deadlines are its new owner's
		c.mu.Unlock()
	}
}

// busy takes a connection off the list: something has arrived on it. false: it is being closed.
func (w *web) busy(c *webConn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.place != nil {
		w.idle.Remove(c.place)
		c.place = nil
		c.idle.Store(false)
	}
	return !c.gone
}

// makeRoom closes the connection that has been idle longest, if one is idle. Its place is free at once. Any goroutine,
// loops too.
func (w *web) makeRoom() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := w.idle.Front()
	if first == nil {
		return false
	}
	c := first.Value.(*webConn)
	c.unlistLocked(true)
	w.srv.spawn.Go(spawn.HTTP, func() { c.Conn.Close() }) // not here: the number may mean another socket in a loop's table
	return true
}

// makeRoom ends an idle plain HTTP connection, if there is one, so that another connection can have its place.
func (srv *Server) makeRoom() bool { return srv.web != nil && srv.web.makeRoom() }

// unlist takes the connection out of the counts and the list of web, once. over: it is no connection any more;
// otherwise a loop has it, and it counts on.
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
	if c.place != nil {
		c.web.idle.Remove(c.place)
		c.place = nil
	}
	c.web.inside.Add(-1)
	if over {
		c.web.srv.uncount(c.key)
	}
}
