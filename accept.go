//go:build linux

package perch

import (
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/poller"
)

// acceptPause is how long a loop does not accept after it ran out of
// descriptors; a connection that closes ends the pause too.
const acceptPause = 500 * time.Millisecond

// accept takes what waits, up to the budget, and reads at once: the request is
// usually there already.
func (l *loop) accept() {
	l.own.Check()
	for range acceptBudget {
		if l.listener < 0 || l.acceptAt != 0 {
			return
		}
		fd, peer, e := sock.Accept(l.listener)
		switch e {
		case 0:
			if !peer.IsValid() {
				peer = unixPeer
			}
			l.accepted(fd, peer)
		case unix.EAGAIN:
			return
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			l.stats.AcceptPauses++
			l.srv.log.LogAttrs(l.srv.ctx, slog.LevelWarn, "accepting paused", slog.Int("loop", l.id), slog.String("error", e.Error()))
			l.pauseAccept()
			return
		default:
			// ECONNABORTED, EPERM of a firewall and the like: that one connection is
			// lost, the next may be fine.
			l.stats.AcceptErrors++
		}
	}
}

// pauseAccept stops waiting for connections: a level-triggered listener would
// spin.
func (l *loop) pauseAccept() {
	l.acceptAt = l.now + int64(acceptPause)
	l.poller.Del(l.listener) // what is exclusive cannot be changed
}

// resumeAccept ends the pause.
func (l *loop) resumeAccept() {
	if l.acceptAt != 0 && l.listener >= 0 {
		l.acceptAt = 0
		l.poller.Add(l.listener, poller.Token{Slot: listenerSlot}, l.listens)
	}
}

// refuseReserve is how many connections over MaxConnections are held at once,
// only to tell them so; what is over that is reset.
const refuseReserve = 32

const tooManyFrom = "too many connections from this address"

// accepted makes a connection of a new socket.
func (l *loop) accepted(fd int, peer netip.Addr) {
	l.stats.Accepted++
	srv := l.srv
	flags, counter := flagIn, &srv.connections
	over := counter.Add(1) > int64(srv.maxConnections) && !srv.makeRoom()
	if over { // it is only told so: while it lingers it takes nobody's room
		counter.Add(-1)
		flags, counter = flagIn|flagRefused, &srv.refusing
		if counter.Add(1) > refuseReserve {
			counter.Add(-1)
			l.stats.Refused++
			sock.Reset(fd)
			return
		}
	}
	state, more := l.firstState()
	if contains(srv.cfg.ProxyProtocol, peer) {
		state, more = stateProxy, 0
	}
	i, s, err := l.adopt(fd, state, flags|more)
	if err != nil {
		counter.Add(-1)
		l.stats.Refused++
		sock.Reset(fd)
		return
	}
	switch {
	case over:
		l.refuseBusy(i, s, http.StatusServiceUnavailable, "too many connections")
	case state != stateProxy: // else whom it is for comes first
		l.countPeer(i, s, peer)
	}
	if s.state == state { // not refused, or not yet
		l.readable(i, s)
	}
}

// countPeer counts a connection for its client. false: it is refused.
func (l *loop) countPeer(i uint32, s *slot, peer netip.Addr) bool {
	srv := l.srv
	key := keyOf(peer)
	if contains(srv.cfg.TrustedProxies, peer) {
		key = addrKey{} // whom it forwards for is in the head: see admitForwarded
	}
	if key != (addrKey{}) && !srv.addrs.add(key, srv.cfg.MaxConnectionsPerIP) {
		l.refuseBusy(i, s, http.StatusTooManyRequests, tooManyFrom)
		return false
	}
	l.slab.setPeer(i, key)
	if srv.newRate.take(l.now) {
		return true
	}
	if s.state == stateSecuring { // a handshake to say so would cost what the rate is to save
		l.stats.Refused++
		l.abort(i, s, ErrOverloaded)
		return false
	}
	l.refuseBusy(i, s, http.StatusServiceUnavailable, "too many new connections")
	return false
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// readProxy parses what has arrived of a PROXY header. What follows it, TLS or a
// request, is as if the client it names had connected; one that names nobody
// leaves the socket's own other end.
func (l *loop) readProxy(i uint32, s *slot, b []byte) {
	p, n, err := handshake.ParseProxy(b)
	switch {
	case err != nil: // not to be answered: who knows what it speaks
		l.stats.BadProxyHeaders++
		l.fail(i, s, err)
		return
	case n == 0:
		l.keep(s, b)
		return
	}
	l.slab.freeze(s)
	peer := p.Source.Addr()
	if p.Source.IsValid() && !peer.IsUnspecified() {
		l.slab.setProxied(i, p.Source)
	} else if peer = sock.PeerAddr(int(s.fd)).Addr(); !peer.IsValid() {
		peer = unixPeer
	}
	since := s.seen()
	state, more := l.firstState()
	l.setState(s, state)
	s.see(since) // HandshakeTimeout is for both
	s.flags |= more
	if !l.countPeer(i, s, peer) && s.state != stateSecuring || n == len(b) {
		return
	}
	if s.state == stateSecuring {
		l.hello(i, s, b[n:])
	} else {
		l.readHead(i, s, b[n:])
	}
}

// admitForwarded counts a connection that came through a trusted proxy by its
// client's address. false: it is refused.
func (l *loop) admitForwarded(i uint32, s *slot, r *Request) bool {
	if len(r.trusted) == 0 || l.slab.peer(i) != (addrKey{}) {
		return true
	}
	key := keyOf(r.RemoteAddr())
	if key != (addrKey{}) && !l.srv.addrs.add(key, l.srv.cfg.MaxConnectionsPerIP) {
		l.refuseBusy(i, s, http.StatusTooManyRequests, tooManyFrom)
		return false
	}
	l.slab.setPeer(i, key)
	return true
}

// adopt gives a socket a slot and registers it.
func (l *loop) adopt(fd int, state connState, in slotFlags) (uint32, *slot, error) {
	i, s, ok := l.slab.alloc()
	if !ok {
		return 0, nil, ErrOverloaded
	}
	s.fd = int32(fd)
	s.flags = in
	l.setState(s, state)
	if err := l.poller.Add(fd, l.token(i, s), interestOf(in)); err != nil {
		s.state = stateClosed
		l.slab.dealloc(i, s)
		s.state = stateFree
		return 0, nil, err
	}
	return i, s, nil
}

// refuseBusy answers that there is no room for the connection.
func (l *loop) refuseBusy(i uint32, s *slot, status int, reason string) {
	l.stats.Refused++
	switch {
	case s.state == stateSecuring:
		l.refuseSecuring(i, s, status, reason)
		return
	case s.state == stateProxy && l.srv.tls != nil: // it could not be read
		l.abort(i, s, ErrOverloaded)
		return
	}
	l.refuse(i, s, status, reason, retryAfter)
}
