//go:build linux

package perch

import (
	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/internal/closing"
)

// readProxy parses what has arrived of the header of the PROXY protocol, which peers in Config.ProxyProtocol begin
// with. The bytes behind it, TLS or a request, are as if the client that it names had connected; with a header
// that names no client, the other end of the socket is the client.
func (l *loop) readProxy(i uint32, s *slot, b []byte) {
	l.own.Check()
	p, n, err := handshake.ParseProxy(b)
	switch {
	case err != nil: // not to be answered: its protocol is not known
		l.stats.BadProxyHeaders++
		l.noteOf(i, s, &refused{kind: RefusedProxy, reason: err.Error()})
		l.step(i, s, closing.Broken, why{err: lost(err), cause: closing.RefusedProxy})
		return
	case n == 0:
		l.keep(s, b)
		return
	}
	l.slab.freeze(s)
	peer := p.Source.Addr()
	if p.Source.IsValid() && !peer.IsUnspecified() {
		l.slab.proxied.Set(i, p.Source)
	} else if peer = l.kernel.PeerAddr(int(s.fd)).Addr(); !peer.IsValid() {
		peer = unixPeer
	}
	s.flags |= tlsFlag(l.srv)
	l.step(i, s, closing.ProxyRead, why{})
	if l.countPeer(i, s, peer); n == len(b) {
		return
	}
	switch s.state {
	case stateSecuring:
		l.firstRecord(i, s, b[n:])
	case stateHandshake:
		l.readHead(i, s, b[n:])
	}
}

// tlsFlag is what a fresh connection of a listener has, behind a PROXY header if there is one.
func tlsFlag(srv *Server) slotFlags {
	if srv.tls != nil {
		return flagTLS
	}
	return 0
}
