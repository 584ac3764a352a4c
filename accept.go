//go:build linux

package perch

import (
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/poller"
)

// acceptPause is how long a loop does not accept after it ran out of
// descriptors; a connection that closes ends the pause too.
const acceptPause = 500 * time.Millisecond

// listen opens the loop's own listener. The kernel spreads connections over the
// listeners of all loops.
func (l *loop) listen(addr netip.AddrPort) error {
	fd, err := sock.Listen(addr, true)
	if err != nil {
		return err
	}
	if err := l.poller.Add(fd, poller.Token{Slot: listenerSlot}, poller.In); err != nil {
		sock.Close(fd)
		return err
	}
	l.listener = fd
	return nil
}

func (l *loop) closeListener() {
	if l.listener >= 0 {
		sock.Close(l.listener)
		l.listener = -1
		l.acceptAt = 0
	}
}

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
	l.poller.Mod(l.listener, poller.Token{Slot: listenerSlot}, 0)
}

// resumeAccept ends the pause.
func (l *loop) resumeAccept() {
	if l.acceptAt != 0 && l.listener >= 0 {
		l.acceptAt = 0
		l.poller.Mod(l.listener, poller.Token{Slot: listenerSlot}, poller.In)
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
	over := counter.Add(1) > int64(srv.maxConnections)
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
	i, s, err := l.adopt(fd, state, flags|more)
	if err != nil {
		counter.Add(-1)
		l.stats.Refused++
		sock.Reset(fd)
		return
	}
	key := keyOf(peer)
	if slices.ContainsFunc(srv.cfg.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(peer) }) {
		key = addrKey{} // whom it forwards for is in the head: see admitForwarded
	}
	switch {
	case over:
		l.refuseBusy(i, s, http.StatusServiceUnavailable, "too many connections")
	case key != (addrKey{}) && !srv.addrs.add(key, srv.cfg.MaxConnectionsPerIP):
		l.refuseBusy(i, s, http.StatusTooManyRequests, tooManyFrom)
	default:
		l.slab.setPeer(i, key)
		switch {
		case srv.newRate.take(l.now):
			l.readable(i, s)
		case state == stateSecuring: // a handshake to say so would cost what the rate is to save
			l.stats.Refused++
			l.abort(i, s, ErrOverloaded)
		default:
			l.refuseBusy(i, s, http.StatusServiceUnavailable, "too many new connections")
		}
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
	if s.state == stateSecuring {
		l.refuseSecuring(i, s, status, reason)
		return
	}
	l.refuse(i, s, status, reason, retryAfter)
}
