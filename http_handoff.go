//go:build linux

package perch

import (
	"net/http"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/closing"
	"github.com/perchws/perch/internal/limit"
	"github.com/perchws/perch/internal/owner"
	"github.com/perchws/perch/poller"
)

// handoff is the information for net/http about a connection that a loop hands over to it.
type handoff struct {
	input  []byte         // read by the loop, from the request's first line on
	key    limit.Address  // the address that the connection is counted for, by net/http from now on
	from   limit.Address  // the address whose place of MaxHTTP it has
	peer   netip.AddrPort // from a PROXY header; not valid: ask the socket
	tls    *tlsConn       // nil: no TLS
	unsent []byte         // records that the socket has not taken; they go before all others
}

// httpUnsent and httpUnread bound SendBuffer and ReceiveBuffer for plain HTTP. Pages and bodies are small, but a client
// may send any number of requests and read no answer. (With half of httpUnread TCP over the loopback device stalls: its
// segments have up to 64 KiB.)
const (
	httpUnsent = 32 << 10
	httpUnread = 64 << 10
)

// handOff hands a connection over to net/http, or keeps it until the pair has room. b is the input that the loop has
// read: the connection's first request, from the first line on.
func (l *loop) handOff(i uint32, s *slot, r *Request, b []byte) {
	l.own.Check()
	w := l.srv.web
	if l.life.stopping {
		l.refuseStopping(i, s, r)
		return
	}
	from := limit.ShareOf(r.RemoteAddr())
	if !w.enter(from) {
		l.refuseBusy(i, s, r, http.StatusServiceUnavailable, "too many requests under way")
		return
	}
	if len(l.http.kept) == 0 {
		switch e := l.passSocket(i, s, from, b); e {
		case 0:
			return
		case unix.EAGAIN, unix.ETOOMANYREFS:
		default:
			w.leave(from)
			l.fail(i, s, e)
			return
		}
	}
	l.keep(s, b)
	l.step(i, s, closing.Deferred, why{})
	if l.http.kept = append(l.http.kept, keptHTTP{l.conn(i, s), from}); len(l.http.kept) == 1 {
		if err := l.poller.Add(l.http.pair, poller.Token{Slot: pairSlot}, poller.Out); err != nil {
			l.http.kept = l.http.kept[:0]
			w.leave(from)
			l.fail(i, s, err)
		}
	}
}

// handOffKept hands over the connections for which the pair had no room.
func (l *loop) handOffKept() {
	l.own.Check()
	done := 0
	for _, c := range l.http.kept {
		s := l.slab.at(c.slot)
		if s.gen.Load() != c.gen || s.state != stateDeciding { // it has ended meanwhile
			l.srv.web.leave(c.from)
		} else if e := l.passSocket(c.slot, s, c.from, l.slab.coldOf(s).in.B); e == unix.EAGAIN || e == unix.ETOOMANYREFS {
			break
		} else if e != 0 {
			l.srv.web.leave(c.from)
			l.fail(c.slot, s, e)
		}
		done++
	}
	if l.http.kept = slices.Delete(l.http.kept, 0, done); len(l.http.kept) == 0 {
		l.poller.Del(l.http.pair)
	}
}

// passSocket sends a connection's socket to net/http, if the pair has room. The slot is free afterwards; the other
// descriptor keeps the socket open.
func (l *loop) passSocket(i uint32, s *slot, from limit.Address, b []byte) unix.Errno {
	l.own.Check()
	if c := l.slab.coldOf(s); owner.Enabled && c != nil && c.out.Len() != len(c.out.Sealed()) {
		panic("perch: output is queued for a connection that goes to net/http")
	}
	out := handoff{input: append([]byte(nil), b...), key: l.slab.counted.Get(i), from: from, peer: l.slab.proxied.Get(i)}
	if s.flags&flagTLS != 0 {
		out.tls = l.slab.tls.Get(i)
		if c := l.slab.coldOf(s); c != nil {
			out.unsent = slices.Clone(c.out.Sealed())
		}
	}
	l.kernel.SetBuffers(int(s.fd), min(l.srv.cfg.SendBuffer, httpUnsent), min(l.srv.cfg.ReceiveBuffer, httpUnread))
	if e := l.http.way.send(l.http.pair, int(s.fd), out); e != 0 {
		return e
	}
	if out.tls != nil { // it belongs to net/http from now on
		l.slab.tls.Set(i, nil)
	}
	// Remove it from our epoll: the registration belongs to the file, not to the descriptor that is closed soon.
	l.poller.Del(int(s.fd))
	l.stats.HandedOff++
	s.flags |= flagPassed
	l.step(i, s, closing.Passed, why{})
	return 0
}
