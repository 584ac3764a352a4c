//go:build linux

package perch

import (
	"container/list"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// webConn is a connection that a loop has passed to net/http.
type webConn struct {
	net.Conn
	web  *web
	key  addrKey        // whom it is counted for
	peer netip.AddrPort // as a PROXY header told it
	head []byte         // read by the loop, and not yet by net/http

	// mu guards the deadlines. Where neither net/http nor a handler has set one,
	// ours is in force: the peer has patience to let a byte through, as often as
	// it likes. So a long transfer needs no limit, and a stalled one has one.
	mu                sync.Mutex
	patience          time.Duration // 0: for ever
	readSet, writeSet bool

	idle atomic.Bool // listed in web.idle, or taken off it to be closed

	// Under web.mu.
	place *list.Element // in web.idle
	gone  bool
}

// Read gives the bytes first that the loop has read.
func (c *webConn) Read(p []byte) (n int, err error) {
	if len(c.head) > 0 {
		n = copy(p, c.head)
		c.head = c.head[n:]
	} else {
		c.mu.Lock()
		if c.patience > 0 && !c.readSet {
			var by time.Time
			// One byte is what net/http waits for while a handler works, to learn that
			// the client is gone: that may take as long as the handler.
			if len(p) > 1 {
				by = time.Now().Add(c.patience)
			}
			c.Conn.SetReadDeadline(by)
		}
		c.mu.Unlock()
		n, err = c.Conn.Read(p)
	}
	if n > 0 && c.idle.Load() && !c.web.wake(c) {
		return 0, net.ErrClosed
	}
	return n, err
}

// Write gives up when the peer takes nothing.
func (c *webConn) Write(p []byte) (n int, err error) {
	for {
		c.mu.Lock()
		ours := c.patience > 0 && !c.writeSet
		if ours {
			c.Conn.SetWriteDeadline(time.Now().Add(c.patience))
		}
		c.mu.Unlock()
		k, err := c.Conn.Write(p[n:])
		n += k
		if err == nil || k == 0 || !ours || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
	}
}

// CloseWrite lets net/http end a connection so that its last words can be read.
func (c *webConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// SetReadDeadline takes precedence over ours.
func (c *webConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readSet = !t.IsZero()
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline takes precedence over ours.
func (c *webConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeSet = !t.IsZero()
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline is both.
func (c *webConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// RemoteAddr is the client's address, behind a proxy that tells it.
func (c *webConn) RemoteAddr() net.Addr {
	if c.peer.IsValid() {
		return net.TCPAddrFromAddrPort(c.peer)
	}
	return c.Conn.RemoteAddr()
}

// Close makes room for another.
func (c *webConn) Close() error {
	c.leave(true)
	return c.Conn.Close()
}

// leave takes the connection out of the books, once. over: it is no connection
// any more; otherwise a loop has it.
func (c *webConn) leave(over bool) {
	c.web.mu.Lock()
	defer c.web.mu.Unlock()
	c.leaveLocked(over)
}

func (c *webConn) leaveLocked(over bool) {
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
