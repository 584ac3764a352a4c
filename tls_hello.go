//go:build linux

package perch

import (
	"errors"
	"net/http"

	"github.com/perchws/perch/internal/closing"
	"golang.org/x/sys/unix"
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

var errNotTLS = errors.New("perch: the first bytes are no TLS handshake")

// readTLSHandshake reads for a handshake that runs, or until there is a whole record for one to begin with: a client
// that only connects, or sends byte by byte, takes nobody's turn.
func (l *loop) readTLSHandshake(i uint32, s *slot) {
	l.own.Check()
	t := l.slab.tls.Get(i)
	c := l.slab.coldOf(s)
	into := l.input.buf[:readBudget]
	switch {
	case t != nil:
		into = l.input.buf[:t.Room()]
	case c != nil && c.in != nil:
		into = l.input.buf[:readBudget-len(c.in.B)]
	}
	n, e := l.kernel.Recv(int(s.fd), into)
	switch {
	case e == unix.EAGAIN:
		return
	case e != 0:
		if t != nil {
			l.stats.TLSFailed++
			l.noteTLSFailure(i, s, e)
		}
		l.fail(i, s, e)
		return
	case n == 0:
		if t != nil { // an alert before it says more
			t.EndInput()
		}
		l.endOfInput(i, s)
		return
	}
	l.stats.BytesReceived += uint64(n)
	if t != nil {
		if !t.Feed(l.input.buf[:n]) {
			s.flags |= flagWaits
			l.interest(i, s)
		}
		return
	}
	l.firstRecord(i, s, l.input.buf[:n])
}

// firstRecord acts on the first input of a TLS connection: a handshake begins when its first record, the ClientHello,
// is whole.
func (l *loop) firstRecord(i uint32, s *slot, b []byte) {
	l.own.Check()
	l.keep(s, b)
	b = l.slab.coldOf(s).in.B
	switch {
	case b[0] != recordHandshake, len(b) >= recordHeader && (b[1] != 3 || recordLength(b) > maxPlainRecord):
		l.refuseNotTLS(i, s, b)
	case len(b) < recordHeader || len(b) < recordHeader+recordLength(b):
	case s.flags&flagRefused != 0 && !l.mayTell(i, s):
		s.flags |= flagWaits // until the sweep asks again
		l.interest(i, s)
	default:
		l.requestTLSHandshake(i, s)
	}
}

// recordLength is what the header at the start of b says.
func recordLength(b []byte) int { return int(b[3])<<8 | int(b[4]) }

// refuseNotTLS answers a client that does not speak TLS: with an alert, and plain HTTP as net/http does.
func (l *loop) refuseNotTLS(i uint32, s *slot, b []byte) {
	l.own.Check()
	s.flags &^= flagTLS
	if b[0] >= 'A' && b[0] <= 'Z' { // a method
		l.stats.BadHandshakes++
		const reason = "client sent an HTTP request to an HTTPS server"
		l.refuse(i, s, refused{kind: RefusedTLS, status: http.StatusBadRequest, reason: reason})
		return
	}
	l.stats.TLSFailed++
	l.noteTLSFailure(i, s, errNotTLS)
	l.cork.buf = append(l.cork.buf[:0], notTLS...)
	l.step(i, s, closing.TLSFailed, why{err: lost(errNotTLS)})
}
