//go:build linux

package perch

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/perchws/perch/handshake"
)

// All bytes that net/http reads of a connection pass through handshake.Requests, which judges each request as a loop
// has judged the first one. net/http alone is laxer: it would see two requests where a proxy in front has seen one, or
// one where the proxy has seen two. If a head is at fault, it is answered here, as a loop answers it, and the
// connection ends; net/http never gets the whole of such a head. If a body is at fault, its handler gets an error.

// Read returns good bytes of one request, first those that the loop has read.
//
// While a handler works, net/http reads one byte, to notice that the client is gone. Behind an upgrade that byte is not
// part of a request. So it passes in any case, and the next Read reports its fault.
func (c *webConn) Read(p []byte) (n int, err error) {
	waits := len(p) == 1
	for n == 0 && len(p) > 0 {
		if err = c.faulted(); err != nil {
			return 0, err
		}
		b := c.ahead
		if len(b) == 0 {
			if !waits && c.requests.Begun() {
				c.expectHead()
			}
			if n, err = c.receive(p); n == 0 {
				if !waits && c.headIsLate(err) {
					err = c.refuse(errHeadLate)
				}
				return 0, err
			}
			b = p[:n]
		}
		if c.idle.Load() && !c.web.busy(c) {
			return 0, net.ErrClosed
		}
		skip, good := c.judge(b[:min(len(b), len(p))], waits)
		n = copy(p, b[skip:good])
		switch {
		case len(c.ahead) > 0:
			c.ahead = c.ahead[good:]
		case good < len(b):
			c.ahead = bytes.Clone(b[good:])
		}
	}
	return n, nil
}

// judge selects the bytes of b that net/http gets: b[skip:good]. The rest of b is kept. If there are none because the
// first byte is at fault, faulted returns the error.
func (c *webConn) judge(b []byte, waits bool) (skip, good int) {
	if c.hijacked {
		return 0, len(b)
	}
	skip, good, err := c.requests.Scan(b)
	if err != nil && waits && c.requests.InHead() {
		return 0, 1
	}
	if !c.requests.Begun() {
		c.endHead()
	}
	return skip, good
}

// faulted ends the connection's requests if one is at fault.
func (c *webConn) faulted() error {
	if c.ended == nil && !c.hijacked {
		if _, _, err := c.requests.Scan(nil); err != nil {
			return c.refuse(err)
		}
	}
	return c.ended
}

// receive reads from the connection. With TLS, a deadline of ours may pass within a record. Then it is set again, as
// long as bytes of the record arrive.
func (c *webConn) receive(p []byte) (n int, err error) {
	last := c.web.srv.clock.Wall()
	for {
		before := c.progress.Load()
		ours, final := c.awaitInput(len(p), last)
		n, err = c.Conn.Read(p)
		moved := c.progress.Load() != before
		switch {
		case n > 0 || !ours || !errors.Is(err, os.ErrDeadlineExceeded) || !moved && final:
			c.moves()
			return n, err
		case moved:
			last = c.web.srv.clock.Wall()
			c.moves()
		default:
			c.stalls()
		}
	}
}

// awaitInput sets our deadline for a read of n bytes, if it is ours to set: see until.
func (c *webConn) awaitInput(n int, last time.Time) (ours, final bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.patience <= 0 || !c.readBy.IsZero() {
		return false, false
	}
	var by time.Time
	// While a handler works, net/http reads one byte to learn that the client is gone: that may take as long as the
	// handler does.
	switch {
	case n > 1 && !c.headBy.IsZero():
		by, final = c.notBeyondHead(last.Add(c.patience)), true
	case n > 1:
		by, final = c.until(last)
	}
	c.socket.SetReadDeadline(by)
	return true, final
}

// SetReadDeadline sets a deadline that is used instead of ours.
func (c *webConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readBy = t
	return c.socket.SetReadDeadline(c.notBeyondHead(t))
}

// notBeyondHead is the earlier of t and the deadline of a head that has begun. c.mu is held.
func (c *webConn) notBeyondHead(t time.Time) time.Time {
	if !c.headBy.IsZero() && (t.IsZero() || t.After(c.headBy)) {
		return c.headBy
	}
	return t
}

// expectHead begins the time for a head. net/http would begin it only with the fourth byte.
func (c *webConn) expectHead() {
	most := c.web.srv.cfg.HandshakeTimeout
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.headBy.IsZero() && most > 0 {
		c.headBy = c.web.srv.clock.Wall().Add(most)
		c.socket.SetReadDeadline(c.notBeyondHead(c.readBy))
	}
}

// endHead ends the time for a head: the head is whole, or none has begun.
func (c *webConn) endHead() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headBy = time.Time{}
}

// errHeadLate refuses a head that is not whole in time.
var errHeadLate = &handshake.Error{Status: http.StatusRequestTimeout, Reason: "request timeout"}

// headIsLate reports whether a Read has failed with err because the time for a head is over.
func (c *webConn) headIsLate(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Is(err, os.ErrDeadlineExceeded) && !c.headBy.IsZero() && !c.web.srv.clock.Wall().Before(c.headBy)
}

// refuse ends the connection's requests. A request at fault that no handler has seen is answered; all requests before
// it have been answered, because net/http asks for more. net/http writes nothing after the returned error.
func (c *webConn) refuse(fault error) error {
	c.ended = &net.OpError{Op: "read", Net: "tcp", Err: fault}
	no := &refused{kind: RefusedRequest, reason: "malformed request"}
	if e, ok := errors.AsType[*handshake.Error](fault); ok {
		no.status, no.reason = e.Status, e.Reason
	}
	if fault == errHeadLate {
		no.kind = RefusedTimeout
	}
	if peer, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
		no.peer = peer.Addr()
	}
	c.web.srv.outside.bad.Add(1)
	c.web.srv.note(no)
	if !c.requests.InHead() {
		return c.ended
	}
	c.endHead()
	c.SetDeadline(c.web.srv.clock.Wall().Add(lingerTimeout))
	c.Write(no.append(nil))
	c.CloseWrite()
	io.CopyN(io.Discard, c.socket, lingerBytes) // a close with unread input sends RST: the answer could be lost
	return c.ended
}
