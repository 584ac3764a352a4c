//go:build linux

package perch

import (
	"container/list"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/internal/limit"
)

// webConn is a connection that a loop has passed to net/http.
type webConn struct {
	net.Conn          // the socket, or the TLS on it
	socket   net.Conn // below the TLS
	web      *web
	key      limit.Address  // the address that it is counted for
	from     limit.Address  // the address whose place of MaxHTTP it has
	peer     netip.AddrPort // as a PROXY header told it
	noted    bool           // Route.Upgrade has logged the refusal. Only for the handler's goroutine

	// Only for the goroutine that reads, of which there is one at a time: http_reading.go.
	ahead    []byte // read from the socket, but not by net/http
	requests handshake.Requests
	hijacked bool  // what is read now is not a request
	ended    error // why nothing more is read

	progress atomic.Uint64 // with TLS: bytes of records that were read

	// mu guards the deadlines. Where neither net/http nor a handler has set one, our own applies: within patience the
	// peer must send or take at least one byte, again and again. So a transfer may take as long as it needs, and one
	// that stalls ends.
	mu       sync.Mutex
	patience time.Duration // 0: no deadline of ours
	writeSet bool
	readBy   time.Time // net/http's deadline, or a handler's; zero: none
	headBy   time.Time // the deadline of a head that has begun; zero: none has

	idle    atomic.Bool // listed in web.idle, or taken off it to be closed
	stalled atomic.Bool // listed in web.stalled, or taken off it to be closed

	// Under web.mu.
	place *list.Element // in web.idle, or webShare.active
	in    *list.List    // that list
	stall *list.Element // in web.stalled
	gone  bool
}

// webConnKey finds the webConn in the context of a request that came over it.
type webConnKey struct{}

// ownConn is the connection that a request came over, if this engine has passed it to net/http; nil: the connection
// belongs to a foreign server, or to another engine.
func ownConn(srv *Server, req *http.Request) *webConn {
	c, _ := req.Context().Value(webConnKey{}).(*webConn)
	if c == nil || c.web.srv != srv {
		return nil
	}
	return c
}

// Write fails when the peer has taken nothing for the time of our patience.
func (c *webConn) Write(p []byte) (n int, err error) {
	if c.Conn != c.socket {
		return c.Conn.Write(p) // seals p and calls records.Write
	}
	return c.send(p)
}

// send writes to the socket, with our deadline unless net/http or a handler has set one.
func (c *webConn) send(p []byte) (n int, err error) {
	last := c.web.srv.clock.Wall()
	for {
		ours, final := c.awaitOutput(last)
		k, err := c.socket.Write(p[n:])
		n += k
		switch {
		case err == nil || !ours || !errors.Is(err, os.ErrDeadlineExceeded) || k == 0 && final:
			c.moves()
			return n, err
		case k > 0:
			last = c.web.srv.clock.Wall()
			c.moves()
		default:
			c.stalls()
		}
	}
}

// awaitOutput sets our deadline for a write, if it is ours to set: see until.
func (c *webConn) awaitOutput(last time.Time) (ours, final bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.patience <= 0 || c.writeSet {
		return false, false
	}
	by, final := c.until(last)
	c.socket.SetWriteDeadline(by)
	return true, final
}

// until is how long to wait for a peer that has last sent or taken something at a time: until it has stalled, and then
// until our patience is at its end (final).
func (c *webConn) until(last time.Time) (by time.Time, final bool) {
	end, now := last.Add(c.patience), c.web.srv.clock.Wall()
	if by = now.Add(c.patience / stallParts); by.Before(end) {
		return by, false
	}
	return end, true
}

// records is the socket of a webConn as its TLS sees it.
type records struct {
	net.Conn
	of *webConn
}

// Read counts the bytes of records: see webConn.Read.
func (r records) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.of.progress.Add(uint64(n))
	return n, err
}

// Write is webConn.send, which continues after a deadline as long as the peer takes bytes: a cut record would end the
// TLS.
func (r records) Write(p []byte) (int, error) { return r.of.send(p) }

// state is the connection's TLS state, for Request.TLS; nil without TLS.
func (c *webConn) state() *tls.ConnectionState {
	secure, ok := c.Conn.(*tls.Conn)
	if !ok {
		return nil
	}
	state := secure.ConnectionState()
	return &state
}

// CloseWrite ends our side, so that the client can read the last bytes before the connection is closed.
func (c *webConn) CloseWrite() error {
	type half interface{ CloseWrite() error }
	var err error
	if secure, ok := c.Conn.(*tls.Conn); ok {
		err = secure.CloseWrite()
	}
	if h, ok := c.socket.(half); ok {
		err = errors.Join(err, h.CloseWrite())
	}
	return err
}

// SetWriteDeadline sets a deadline that is used instead of ours.
func (c *webConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeSet = !t.IsZero()
	return c.socket.SetWriteDeadline(t)
}

// SetDeadline sets both deadlines.
func (c *webConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// RemoteAddr is the client's address, also behind a proxy that speaks the PROXY protocol.
func (c *webConn) RemoteAddr() net.Addr {
	if c.peer.IsValid() {
		return net.TCPAddrFromAddrPort(c.peer)
	}
	return c.Conn.RemoteAddr()
}

// Close implements net.Conn. The connection is not counted any more.
func (c *webConn) Close() error {
	c.unlist(true)
	return c.Conn.Close()
}
