//go:build linux

package perch

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/frame"
)

// The record header of TLS (RFC 8446 §5.1): type, version, length.
const (
	recordHeader    = 5
	recordAlert     = 21
	recordHandshake = 22
	maxPlainRecord  = 1 << 14
)

// notTLS is the fatal alert unexpected_message (RFC 8446 §6.2).
var notTLS = []byte{recordAlert, 3, 1, 0, 2, 2, 10}

// errACME is the cause of a connection whose handshake was all that it was for.
var errACME = errors.New("perch: a challenge of ACME (RFC 8737)")

var errNotTLS = errors.New("perch: the first bytes are no TLS handshake")

// firstState is what a fresh connection begins with, behind a PROXY header if
// there is one.
func (l *loop) firstState() (connState, slotFlags) {
	l.own.Check()
	if l.srv.tls != nil {
		return stateSecuring, flagTLS
	}
	return stateHandshake, 0
}

// readSecuring reads for a handshake that runs, or until there is a whole record
// for one to begin with: who only connects, or sends byte by byte, takes nobody's
// turn.
func (l *loop) readSecuring(i uint32, s *slot) {
	l.own.Check()
	w := l.slab.wire(i)
	c := l.slab.coldOf(s)
	into := l.input.buf[:readBudget]
	switch {
	case w != nil:
		into = l.input.buf[:w.feed.room()]
	case c != nil && c.in != nil:
		into = l.input.buf[:readBudget-len(c.in.B)]
	}
	n, e := l.kernel.Recv(int(s.fd), into)
	switch {
	case e == unix.EAGAIN:
		return
	case e != 0:
		if w != nil {
			l.stats.TLSFailed++
			l.noteTLS(i, s, e)
		}
		l.fail(i, s, e)
		return
	case n == 0 && w != nil: // an alert before it says more
		w.feed.end()
		s.flags |= flagLags
		l.interest(i, s)
		return
	case n == 0:
		l.fail(i, s, io.EOF)
		return
	}
	l.stats.BytesReceived += uint64(n)
	if w != nil {
		if !w.feed.put(l.input.buf[:n]) {
			s.flags |= flagLags
			l.interest(i, s)
		}
		return
	}
	l.hello(i, s, l.input.buf[:n])
}

// hello acts on the first input of a handshake.
func (l *loop) hello(i uint32, s *slot, b []byte) {
	l.own.Check()
	l.keep(s, b)
	b = l.slab.coldOf(s).in.B
	switch {
	case b[0] != recordHandshake, len(b) >= recordHeader && (b[1] != 3 || recordLength(b) > maxPlainRecord):
		l.refuseRecord(i, s, b)
	case len(b) < recordHeader || len(b) < recordHeader+recordLength(b):
	case s.flags&flagRefused != 0 && !l.mayTell(i, s):
		s.flags |= flagLags // until the sweep asks again
		l.interest(i, s)
	default:
		l.secure(i, s)
	}
}

// recordLength is what the header at the start of b says.
func recordLength(b []byte) int { return int(b[3])<<8 | int(b[4]) }

// refuseRecord answers what is no TLS: to plain HTTP as net/http does.
func (l *loop) refuseRecord(i uint32, s *slot, b []byte) {
	l.own.Check()
	s.flags &^= flagTLS
	if b[0] >= 'A' && b[0] <= 'Z' { // a method
		l.stats.BadHandshakes++
		l.refuse(i, s, refused{kind: RefusedTLS, status: http.StatusBadRequest, reason: "client sent an HTTP request to an HTTPS server"})
		return
	}
	l.stats.TLSFailed++
	l.noteTLS(i, s, errNotTLS)
	l.setCause(s, &CloseError{Code: frame.CloseAbnormal, Remote: true, Err: errNotTLS})
	l.setState(s, stateFailing)
	l.cork.buf = append(l.cork.buf[:0], notTLS...)
	l.cork.head = len(l.cork.buf)
	l.flushCork(i, s)
	l.settle(i, s)
}

// secure begins the connection's TLS handshake, or has it wait for its turn,
// without being read.
func (l *loop) secure(i uint32, s *slot) {
	l.own.Check()
	t, share := l.srv.dialTurns, addrKey{} // as a client we take turns apart: we may be both ends
	if s.flags&flagClient == 0 {
		t, share = l.srv.turns, shareOf(l.peerAddr(i, s).Addr())
	}
	if t.take(l.conn(i, s).Ref(), share) {
		l.shake(i, s, t, share)
		return
	}
	s.flags |= flagLags
	l.interest(i, s)
}

// turn is a turn for a connection that has waited, if it still does.
func (l *loop) turn(p *post) {
	l.own.Check()
	s := l.slab.at(p.slot)
	if s.gen.Load() == p.gen && s.state == stateSecuring {
		p.do(l.conn(p.slot, s))
	} else {
		p.do(Conn{})
	}
}

// shake starts the goroutine of the handshake. It lives only as long, and does
// not know the descriptor, which means something else on its thread.
func (l *loop) shake(i uint32, s *slot, t *turns, share addrKey) {
	l.own.Check()
	var in []byte
	c := l.slab.coldOf(s)
	if c != nil && c.in != nil {
		in = append(in, c.in.B...)
		l.dropInput(c)
	}
	local, remote := l.kernel.LocalAddr(int(s.fd)), l.peerAddr(i, s)
	w := newWire(l.conn(i, s).Ref(), in, net.TCPAddrFromAddrPort(local), net.TCPAddrFromAddrPort(remote))
	if s.flags&flagClient != 0 {
		w.conn = tls.Client(w, c.dial.tls)
	} else {
		w.conn = tls.Server(w, l.srv.tls)
	}
	l.slab.setWire(i, w)
	l.slab.freeze(s)
	s.flags &^= flagLags
	if w.feed.room() <= 0 {
		s.flags |= flagLags
		w.feed.full = true
	}
	l.interest(i, s)
	if w.feed.share = share; t == l.srv.turns { // a server may take its time
		w.feed.turns = t
	}
	go w.shake(t, share)
}

// shake is the goroutine of a handshake. Callbacks of the tls.Config run on it.
func (w *wire) shake(t *turns, share addrKey) {
	f := w.feed
	defer f.ref.l.post(post{kind: postSecured, slot: f.ref.slot, gen: f.ref.gen}, nil)
	defer t.pass(share) // first, so that who sees the connection open does not see it counted as under way
	f.err = ErrPanic
	f.ref.l.srv.guard(tlsCallbackPanicked, f.ref.ID().String(), func() { f.err = w.conn.Handshake() })
}

// shaking acts on what the goroutine of a handshake has posted.
func (l *loop) shaking(i uint32, s *slot, kind postKind, data []byte) {
	l.own.Check()
	if s.state != stateSecuring { // it has ended meanwhile
		return
	}
	switch kind {
	case postSealed:
		l.tls.sealed = append(l.tls.sealed, data...)
		l.push(i, s, l.slab.wire(i))
	case postHungry:
		s.flags &^= flagLags
		l.interest(i, s)
	case postSecured:
		l.secured(i, s)
	case postStalled:
		l.stats.HandshakeTimeouts++
		l.stats.TLSFailed++
		if s.flags&flagClient == 0 {
			l.noteOf(i, s, &refused{kind: RefusedTimeout, reason: "TLS handshake stalled while others waited"})
		}
		l.fail(i, s, os.ErrDeadlineExceeded)
	}
}

// secured goes on with a connection whose handshake is over: from now on the loop
// has its records opened and sealed.
func (l *loop) secured(i uint32, s *slot) {
	l.own.Check()
	w := l.slab.wire(i)
	f := w.feed
	w.feed = nil
	if f.err != nil {
		l.unsecured(i, s, w, f)
		return
	}
	l.stats.TLSHandshakes++
	if s.flags&flagClient == 0 && w.conn.ConnectionState().NegotiatedProtocol == protocolACME {
		l.setCause(s, &CloseError{Code: frame.CloseAbnormal, Err: errACME})
		l.setState(s, stateFailing) // RFC 8737 §3: nothing is said on it
		l.settle(i, s)
		return
	}
	defer l.recovered()
	if s.flags&flagClient != 0 {
		l.ask(i, s)
	} else {
		l.setState(s, stateHandshake)
		if s.flags&flagRefused != 0 && len(l.srv.reserved) == 0 {
			l.refuseOver(i, s, nil)
			return
		}
	}
	if s.state != stateClosed {
		l.interest(i, s)
	}
	if s.state != stateClosed {
		l.unseal(i, s, w, f.rest()) // what came behind the handshake: no event would tell
	}
}

// secureConn is the connection's TLS, for a Request; nil: it has none.
func (l *loop) secureConn(i uint32, s *slot) *tls.Conn {
	l.own.Check()
	if s.flags&flagTLS == 0 {
		return nil
	}
	return l.slab.wire(i).conn
}

// noteTLS notes that a client's TLS handshake has failed. Servers that we dial are told
// of in OnClose.
func (l *loop) noteTLS(i uint32, s *slot, err error) {
	l.own.Check()
	if s.flags&flagClient == 0 {
		l.noteOf(i, s, &refused{kind: RefusedTLS, reason: err.Error()})
	}
}

// unsecured ends a connection whose handshake has failed. The alert that says so
// is sent already, or waits.
func (l *loop) unsecured(i uint32, s *slot, w *wire, f *feed) {
	l.own.Check()
	l.stats.TLSFailed++
	l.noteTLS(i, s, f.err)
	w.last = true
	if s.flags&flagClient != 0 {
		l.fail(i, s, because(ErrDial, f.err))
		return
	}
	l.setCause(s, &CloseError{Code: frame.CloseAbnormal, Remote: true, Err: f.err})
	l.setState(s, stateFailing)
	l.settle(i, s)
}
