//go:build linux

package perch

import (
	"crypto/tls"

	"github.com/perchws/perch/internal/wire"
)

// tlsConn is the TLS of one connection. It is the net.Conn below its tls.Conn, and stays so wherever the connection
// goes: on a goroutine of the handshake, on a loop, with net/http. See package wire.
type tlsConn struct {
	conn *tls.Conn // immutable
	wire.Wire

	// Owned by the loop, which the connection changes by way of net/http.
	handshake *tlsHandshake // nil: it is over
	ended     bool          // no record of ours may follow: close_notify or a fatal alert is among those written
	peerEnded bool          // close_notify has come, behind input that is kept
	stripped  bool          // the record buffers are given back: see stripIdle
}

// dropTLS lets go of the TLS of a connection that has ended.
func (l *loop) dropTLS(i uint32) {
	l.own.Check()
	t := l.slab.tls.Get(i)
	if t == nil {
		return
	}
	t.Abort()
	l.slab.tls.Set(i, nil)
}

// requestTLS is the connection's TLS, for a Request; nil: it has none.
func (l *loop) requestTLS(i uint32, s *slot) *tls.Conn {
	l.own.Check()
	if s.flags&flagTLS == 0 {
		return nil
	}
	return l.slab.tls.Get(i).conn
}
