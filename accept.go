//go:build linux

package perch

import (
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/closing"
	"github.com/perchws/perch/poller"
)

// acceptPause is the time for which a loop does not accept after it ran out of descriptors. A connection that closes
// ends the pause too.
const acceptPause = 500 * time.Millisecond

// accept accepts the connections that wait, up to the budget, and reads from each at once: its request has usually
// arrived already.
//
// If the process (EMFILE) or the system (ENFILE) is out of descriptors, or memory is short, a spare descriptor is lent
// to one connection, so that it can be told. Without a spare descriptor, accepting pauses (pauseAccept).
func (l *loop) accept() {
	l.own.Check()
	for range acceptBudget {
		if l.accepting.listener < 0 || l.accepting.pausedUntil != 0 || l.accepting.overflow.pushed >= pushBudget {
			return // the descriptors of connections that were pushed out are open until reap
		}
		fd, peer, e := l.kernel.Accept(l.accepting.listener)
		spare := e == unix.EMFILE && l.accepting.spares.lend(l.kernel)
		if spare {
			fd, peer, e = l.kernel.Accept(l.accepting.listener)
		}
		switch e {
		case 0:
			if !peer.IsValid() {
				peer = unixPeer
			}
			l.accepted(fd, peer, spare)
		case unix.EAGAIN:
			l.accepting.spares.replenish(l.kernel)
			return
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			l.stats.AcceptPauses++
			if e == unix.EMFILE {
				l.pushOut(rankAnswering) // a connection that waits can then have its descriptor
			}
			l.srv.often(frequentAccept, slog.LevelWarn, "accepting paused", slog.Int("loop", l.id), slog.String("error", e.Error()))
			l.pauseAccept()
			return
		default:
			// ECONNABORTED, EPERM of a firewall and the like: this connection is lost; the next one may be accepted.
			l.stats.AcceptErrors++
		}
	}
}

// pauseAccept stops waiting for connections. With a level-triggered listener that stayed registered the loop would
// spin.
func (l *loop) pauseAccept() {
	l.own.Check()
	l.accepting.pausedUntil = l.now + int64(acceptPause)
	l.poller.Del(l.accepting.listener) // not Mod: a registration with EPOLLEXCLUSIVE cannot be changed
}

// endAcceptPause ends the pause.
func (l *loop) endAcceptPause() {
	l.own.Check()
	if l.accepting.pausedUntil != 0 && l.accepting.listener >= 0 {
		l.accepting.pausedUntil = 0
		l.poller.Add(l.accepting.listener, poller.Token{Slot: listenerSlot}, l.accepting.interest)
	}
}

// accepted makes a connection of a new socket. over: the connection has a spare descriptor, so it is treated as over
// the limit, whatever the count is.
func (l *loop) accepted(fd int, peer netip.Addr, over bool) {
	l.own.Check()
	l.stats.Accepted++
	srv := l.srv
	if srv.shared != nil && srv.shared.multipath {
		l.kernel.SetBuffers(fd, srv.cfg.SendBuffer, 0)
	}
	over = over || !srv.occupy()
	flags := flagIn
	if over { // it takes no place
		srv.refusing.Add(1)
		flags |= flagRefused
	}
	e := closing.Accepted
	if contains(srv.cfg.ProxyProtocol, peer) {
		e = closing.ProxyAccepted
	} else {
		flags |= tlsFlag(srv)
	}
	i, s, err := l.adopt(fd, e, flags)
	if err != nil {
		if over {
			srv.refusing.Add(-1)
		} else {
			srv.vacate()
		}
		l.stats.Refused++
		srv.note(&refused{kind: RefusedLimit, reason: err.Error(), peer: peer})
		l.kernel.Reset(fd)
		return
	}
	l.doing.on(i)
	state := s.state
	switch {
	case over:
		l.overLimit(i, s, peer, http.StatusServiceUnavailable, "too many connections")
	case state != stateProxy: // otherwise a header that names the client comes first
		l.countPeer(i, s, peer)
	}
	if s.state == state { // not refused, or not yet
		l.readable(i, s)
	}
}

// adopt gives a socket a slot and registers it. e is the event by which the connection begins.
func (l *loop) adopt(fd int, e closing.Event, in slotFlags) (uint32, *slot, error) {
	l.own.Check()
	i, s, ok := l.slab.alloc()
	if !ok {
		return 0, nil, ErrOverloaded
	}
	s.fd = int32(fd)
	s.flags = in
	if err := l.poller.Add(fd, l.token(i, s), interestOf(in)); err != nil {
		l.slab.dealloc(i, s)
		return 0, nil, err
	}
	l.step(i, s, e, why{})
	return i, s, nil
}
