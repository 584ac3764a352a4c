//go:build linux

package perch

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"

	"github.com/perchws/perch/internal/limit"
)

// takeover is an upgrade that net/http has parsed, on its way to a loop.
type takeover struct {
	upgrading
	counted limit.Address  // the address that the connection is counted for
	peer    netip.AddrPort // from a PROXY header
	tls     *tlsConn       // nil: no TLS
}

// takeOver moves the connection of a request to a loop. own is the connection if the engine's own net/http has it; nil:
// it belongs to a foreign server.
func (r *Route) takeOver(w http.ResponseWriter, t *takeover, own *webConn) error {
	srv := r.srv
	if err := srv.countTakeover(t, own); err != nil {
		return err
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		srv.uncountTakeover(t, own)
		return fmt.Errorf("%w: %w", ErrHijack, err)
	}
	socket, raw, err := socketOf(conn)
	if err == nil {
		t.tls = tlsUnder(conn)
		t.rest, err = t.unread(buffered.Reader, conn)
	}
	if err == nil {
		l := srv.loops[srv.nextDial.Add(1)%uint32(len(srv.loops))]
		if err = l.enter(raw, post{kind: postTakeover, takeover: t}); err == nil {
			if own != nil {
				own.unlist(false)
			}
			socket.Close() // our descriptor; the loop has its own
			return nil
		}
		if errors.Is(err, ErrClosed) {
			err = &UpgradeError{http.StatusServiceUnavailable, goingAway, ErrServerClosed}
		}
	}
	srv.uncountTakeover(t, own)
	return &hijacked{conn, err}
}

// countTakeover counts the connection, unless it is counted already.
func (srv *Server) countTakeover(t *takeover, own *webConn) error {
	tooMany := func(status int, reason string) error { return &UpgradeError{status, reason, ErrTooMany} }
	if own != nil {
		t.counted, t.peer = own.key, own.peer
	} else if !srv.occupy() {
		return tooMany(http.StatusServiceUnavailable, "too many connections")
	}
	key := t.counted
	if key == (limit.Address{}) {
		key = limit.AddressOf(t.request.RemoteAddr())
	}
	if own != nil && key == t.counted { // it is counted already
		return nil
	}
	if status, reason := srv.admit(key, own == nil, srv.clock.Now()); status != 0 {
		srv.uncountTakeover(t, own)
		return tooMany(status, reason)
	}
	t.counted = key
	return nil
}

// uncountTakeover undoes countTakeover.
func (srv *Server) uncountTakeover(t *takeover, own *webConn) {
	if own == nil {
		srv.uncount(t.counted)
	} else if own.key != t.counted {
		srv.uncountAddress(t.counted)
	}
}
