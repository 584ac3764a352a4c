//go:build linux

package perch

import (
	"net/http"
	"net/netip"

	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/internal/limit"
)

// These functions find the address of the client. A proxy that speaks HTTP tells it in X-Forwarded-For, which counts if
// the proxy is one of Config.TrustedProxies. (A proxy that speaks the PROXY protocol tells it before the first byte of
// the request: see proxy_header.go.)

// RemoteAddr is the client's address: X-Forwarded-For is walked from the right over Config.TrustedProxies. Without that
// it is PeerAddr.
func (r *Request) RemoteAddr() netip.Addr {
	peer := r.PeerAddr().Addr()
	if r.unix {
		peer = unixPeer
	}
	a := handshake.ForwardedFor(r.head, peer, r.trusted)
	if a == unixPeer {
		return netip.Addr{}
	}
	return a
}

// PeerAddr is the address of the socket's other end, or what a PROXY header
// says it is; the zero value if it is gone, or the socket is a unix one.
func (r *Request) PeerAddr() netip.AddrPort {
	if !r.addr.IsValid() && r.fd >= 0 {
		r.addr = r.kernel.PeerAddr(r.fd)
	}
	return r.addr
}

// ClientAddr is the address of a plain HTTP request's client, as [Request.RemoteAddr] is of an upgrade: X-Forwarded-For
// is walked over Config.TrustedProxies. (The RemoteAddr of req is the connection's other end, as users of net/http
// expect.) The zero value: the address is not known, behind a unix socket.
func (srv *Server) ClientAddr(req *http.Request) netip.Addr {
	peer := peerOf(req).Addr()
	if !peer.IsValid() {
		peer = unixPeer
	}
	a := handshake.ForwardedForLines(req.Header.Values("X-Forwarded-For"), peer, srv.cfg.TrustedProxies)
	if a == unixPeer {
		return netip.Addr{}
	}
	return a
}

// peerOf is the other end of the request's connection, as far as net/http tells it, or a middleware that knows better.
func peerOf(req *http.Request) netip.AddrPort {
	if ap, err := netip.ParseAddrPort(req.RemoteAddr); err == nil {
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	a, _ := netip.ParseAddr(req.RemoteAddr) // "@": a unix socket
	return netip.AddrPortFrom(a.Unmap(), 0)
}

// countForwarded counts a connection that came through a trusted proxy for its client's address. false: it is refused.
func (l *loop) countForwarded(i uint32, s *slot, r *Request) bool {
	l.own.Check()
	if len(r.trusted) == 0 || l.slab.counted.Get(i) != (limit.Address{}) {
		return true
	}
	key := limit.AddressOf(r.RemoteAddr())
	if status, reason := l.srv.admit(key, false, l.now); status != 0 {
		l.refuseBusy(i, s, r, status, reason)
		return false
	}
	l.slab.counted.Set(i, key)
	return true
}
