//go:build linux

package perch

import (
	"crypto/tls"
	"errors"
	"net"
	"os"

	"github.com/perchws/perch/internal/closing"
	"github.com/perchws/perch/internal/limit"
	"github.com/perchws/perch/internal/spawn"
)

// errACME is the cause of a connection whose handshake was all that it was for.
var errACME = errors.New("perch: a challenge of ACME (RFC 8737)")

// tlsHandshake is a TLS handshake under way, which crypto/tls runs on a goroutine of its own. It is the wire.Sink of
// the connection: requests of the handshake to the loop go there as posts.
type tlsHandshake struct {
	// Immutable after startTLSHandshake.
	ref   Ref
	turns *tlsTurns
	share limit.Address // whose turn it is
	hurry bool          // a peer that stalls loses its turn: see tlsTurns.dropStalled

	err error // of the handshake; written before postTLSDone, read after it
}

// Send implements wire.Sink.
func (h *tlsHandshake) Send(p []byte) error { return h.put(postTLSOutput, p) }

// ReadOn implements wire.Sink.
func (h *tlsHandshake) ReadOn() error { return h.put(postTLSReadOn, nil) }

// AwaitsPeer implements wire.Sink.
func (h *tlsHandshake) AwaitsPeer() {
	if h.hurry {
		h.turns.awaitsPeer(h)
	}
}

// Continues implements wire.Sink.
func (h *tlsHandshake) Continues() {
	if h.hurry {
		h.turns.continues(h)
	}
}

// put posts to the loop of the connection. Error: the loop has ended.
func (h *tlsHandshake) put(kind postKind, data []byte) error {
	return h.ref.l.put(post{kind: kind, slot: h.ref.slot, gen: h.ref.gen}, data)
}

// requestTLSHandshake begins the connection's TLS handshake as soon as it has a turn. Until then the connection waits
// and is not read.
func (l *loop) requestTLSHandshake(i uint32, s *slot) {
	l.own.Check()
	t, share := l.srv.dialTurns, limit.Address{} // as a client we take turns apart: we may be both ends
	if s.flags&flagClient == 0 {
		t, share = l.srv.turns, limit.ShareOf(l.peerAddr(i, s).Addr())
	}
	if t.acquire(l.conn(i, s).Ref(), share) {
		l.startTLSHandshake(i, s, t, share)
		return
	}
	s.flags |= flagWaits
	l.interest(i, s)
}

// tlsTurnCame begins the handshake of a connection that has waited for its turn, if it still does; p.do does it.
func (l *loop) tlsTurnCame(p *post) {
	l.own.Check()
	s := l.slab.at(p.slot)
	if s.gen.Load() == p.gen && s.state == stateSecuring {
		p.do(l.conn(p.slot, s))
	} else {
		p.do(Conn{})
	}
}

// startTLSHandshake starts the goroutine of the handshake. It lives only as long, and does not know the descriptor,
// which means something else on its thread.
func (l *loop) startTLSHandshake(i uint32, s *slot, turns *tlsTurns, share limit.Address) {
	l.own.Check()
	var in []byte
	c := l.slab.coldOf(s)
	if c != nil && c.in != nil {
		in = append(in, c.in.B...)
		l.dropInput(c)
	}
	h := &tlsHandshake{ref: l.conn(i, s).Ref(), turns: turns, share: share}
	h.hurry = turns == l.srv.turns // as a client we wait: a server may take its time
	t := &tlsConn{handshake: h}
	local, remote := l.kernel.LocalAddr(int(s.fd)), l.peerAddr(i, s)
	t.BeginHandshake(&l.tls.sealed, h, in, net.TCPAddrFromAddrPort(local), net.TCPAddrFromAddrPort(remote))
	if s.flags&flagClient != 0 {
		t.conn = tls.Client(t, c.dial.tls)
	} else {
		t.conn = tls.Server(t, l.srv.tls)
	}
	l.slab.tls.Set(i, t)
	l.slab.freeze(s)
	s.flags &^= flagWaits
	if t.Room() == 0 {
		s.flags |= flagWaits
	}
	l.interest(i, s)
	l.srv.spawn.Go(spawn.Handshake, func() { h.run(t.conn) })
}

// run is the goroutine of a handshake. Callbacks of the tls.Config run on it.
func (h *tlsHandshake) run(conn *tls.Conn) {
	defer h.put(postTLSDone, nil)
	defer h.turns.release(h.share) // first: a peer that sees the connection open does not see it counted as under way
	h.err = ErrPanic
	h.ref.l.srv.guard(tlsCallbackPanicked, h.ref.ID().String(), func() { h.err = conn.Handshake() })
}

// tlsHandshakePosted acts on what the goroutine of a handshake has posted.
func (l *loop) tlsHandshakePosted(i uint32, s *slot, kind postKind, data []byte) {
	l.own.Check()
	if s.state != stateSecuring { // it has ended meanwhile
		return
	}
	switch kind {
	case postTLSOutput:
		l.tls.sealed.B = append(l.tls.sealed.B, data...)
		l.sendRecords(i, s)
	case postTLSReadOn:
		s.flags &^= flagWaits
		l.interest(i, s)
	case postTLSDone:
		l.tlsHandshakeDone(i, s)
	case postTLSStalled:
		l.stats.HandshakeTimeouts++
		l.stats.TLSFailed++
		if s.flags&flagClient == 0 {
			l.noteOf(i, s, &refused{kind: RefusedTimeout, reason: "TLS handshake stalled while others waited"})
		}
		l.fail(i, s, os.ErrDeadlineExceeded)
	}
}

// tlsHandshakeDone goes on with a connection whose handshake is over: from now on the loop has its records opened and
// sealed.
func (l *loop) tlsHandshakeDone(i uint32, s *slot) {
	l.own.Check()
	t := l.slab.tls.Get(i)
	rest := t.EndHandshake()
	err := t.handshake.err
	t.handshake = nil
	if err != nil {
		l.tlsHandshakeFailed(i, s, t, err)
		return
	}
	l.stats.TLSHandshakes++
	if s.flags&flagClient == 0 && t.conn.ConnectionState().NegotiatedProtocol == protocolACME {
		l.step(i, s, closing.TLSFailed, why{err: cut(errACME)}) // RFC 8737 §3: nothing is said on it
		return
	}
	defer l.recovered()
	l.step(i, s, closing.Secured, why{})
	if s.flags&flagRefused != 0 && len(l.srv.reserved) == 0 {
		l.refuseOver(i, s, nil)
		return
	}
	if s.state != stateClosed {
		l.interest(i, s)
	}
	if s.state != stateClosed {
		l.openRecords(i, s, t, rest) // what came behind the handshake: no event would tell
	}
}

// tlsHandshakeFailed ends a connection whose handshake has failed. The alert that says so is sent already, or waits.
func (l *loop) tlsHandshakeFailed(i uint32, s *slot, t *tlsConn, err error) {
	l.own.Check()
	l.stats.TLSFailed++
	l.noteTLSFailure(i, s, err)
	t.ended = true
	l.step(i, s, closing.TLSFailed, why{err: lost(err), cause: closing.TLSHandshake})
}

// noteTLSFailure notes that a client's TLS handshake has failed. A server that we dial is told of in OnClose.
func (l *loop) noteTLSFailure(i uint32, s *slot, err error) {
	l.own.Check()
	if s.flags&flagClient == 0 {
		l.noteOf(i, s, &refused{kind: RefusedTLS, reason: err.Error()})
	}
}
