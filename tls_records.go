//go:build linux

package perch

import (
	"io"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/closing"
	"github.com/perchws/perch/internal/outbox"
	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/internal/wire"
)

// sealSize is how much of a queue is sealed at a time, in bytes: with the records' own bytes it is one send. No more is
// sealed before the socket has taken it, so that a control frame, or a close, waits for no more than that.
const sealSize = sock.MaxRaw - 4<<10

// sealLimit is how many sealed bytes may wait for a socket before the connection is closed: answers to KeyUpdate, which
// no other limit counts.
const sealLimit = 256 << 10

// readTLS is readable for a connection with TLS.
func (l *loop) readTLS(i uint32, s *slot) {
	l.own.Check()
	if s.state == stateSecuring {
		l.readTLSHandshake(i, s)
		return
	}
	if l.tls.records == nil {
		l.tls.records = make([]byte, readBudget)
	}
	n, e := l.kernel.Recv(int(s.fd), l.tls.records)
	switch {
	case e == unix.EAGAIN:
	case e != 0:
		l.fail(i, s, e)
	case n == 0:
		if c := l.slab.coldOf(s); c != nil && c.in != nil && s.state.Parses() && l.feedKeptBeforeEnd(i, s, len(c.in.B)) {
			return // level-triggering brings the end back
		}
		l.endOfInput(i, s)
	default:
		l.stats.BytesReceived += uint64(n)
		l.openRecords(i, s, l.slab.tls.Get(i), l.tls.records[:n])
	}
}

// openRecords has crypto/tls open the records in b, at most a read of the loop, and acts on what was in them. A record
// that is not whole stays with crypto/tls.
func (l *loop) openRecords(i uint32, s *slot, t *tlsConn, b []byte) {
	l.own.Check()
	c := l.slab.coldOf(s)
	had := 0
	if c != nil && c.in != nil {
		had = len(c.in.B)
	}
	t.SetInput(b)
	t.stripped = false
	n := had
	var err error
	for err == nil && n < len(l.input.buf) { // until it is drained: b is the loop's
		var k int
		k, err = l.readRecords(i, s, t, l.input.buf[n:])
		n += k
	}
	t.SetInput(nil)
	if len(l.tls.sealed.B) > 0 { // the answer to a KeyUpdate, or an alert
		if l.sendRecords(i, s); s.state == stateClosed {
			return
		}
	}
	if n > had {
		l.received(i, s, had, n-had, len(b))
	} else {
		l.noPlaintext(i, s, len(b))
	}
	switch {
	case err == wire.ErrDrained || !s.state.Reads() || s.state == stateLingering:
	case err == io.EOF: // close_notify
		if c := l.slab.coldOf(s); n == had && c != nil && c.in != nil && s.state.Parses() {
			l.feedKept(i, s)
		}
		t.peerEnded = true
		l.endOfRecords(i, s)
	case !s.held(): // else crypto/tls will say it again
		l.failRecords(i, s, t, err)
	}
}

// endOfRecords acts on close_notify when all input before it is acted on. No event would tell of it again.
func (l *loop) endOfRecords(i uint32, s *slot) {
	l.own.Check()
	if s.state.Reads() && s.state != stateLingering && !s.held() && l.slab.tls.Get(i).peerEnded {
		l.endOfInput(i, s)
	}
}

// noPlaintext acts on records that no byte of data has come out of: a part of a record, a KeyUpdate. It is a sign of
// life of the peer, and counts towards the rate of bytes, like any input.
func (l *loop) noPlaintext(i uint32, s *slot, fresh int) {
	l.own.Check()
	if s.state == stateOpen {
		l.heard(s)
		l.feed(i, s, nil, fresh)
	}
}

// failRecords ends a connection whose records cannot be opened, or whose peer says so of ours. The alert is sealed, and
// crypto/tls will seal nothing else.
func (l *loop) failRecords(i uint32, s *slot, t *tlsConn, err error) {
	l.own.Check()
	l.stats.ProtocolErrors++
	t.ended = true
	l.step(i, s, closing.TLSBroken, why{err: lost(err), cause: closing.BadRecord})
}

// sealCork is flushCork for a connection with TLS. It seals the whole cork;
// bytes that the socket does not take wait sealed.
func (l *loop) sealCork(i uint32, s *slot, b []byte) {
	l.own.Check()
	t := l.slab.tls.Get(i)
	if err := l.writeRecords(i, s, t, b); err != nil {
		l.fail(i, s, err)
		return
	}
	l.sendRecords(i, s)
}

// sendRecords sends the records that are in l.tls.sealed; bytes that the socket
// does not take wait with the connection.
func (l *loop) sendRecords(i uint32, s *slot) {
	l.own.Check()
	b := l.tls.sealed.Drain()
	if !l.slab.sealedWaits(s) {
		n, e := outbox.SendAll(l.writer(i, s), int(s.fd), b)
		if e != 0 && e != unix.EAGAIN {
			l.fail(i, s, e)
			return
		}
		if b = b[n:]; len(b) == 0 {
			return
		}
	}
	out := &l.slab.thaw(s).out
	out.Started(l.coarse)
	out.KeepRecords(b, &l.bufs)
	l.queued(i, s, out, len(b))
	if len(out.Sealed()) > sealLimit {
		l.abort(i, s, ErrSlowConsumer)
		return
	}
	l.interest(i, s)
}

// sealOutbox is outbox.Box.Send for a connection with TLS: it seals what is queued, as the socket takes it.
func (l *loop) sealOutbox(i uint32, s *slot, out *outbox.Box, budget int) (sent int, errno unix.Errno) {
	l.own.Check()
	if l.tls.gathered == nil {
		l.tls.gathered = make([]byte, 0, sealSize)
	}
	for !out.Empty() && sent < budget {
		before := out.Counted()
		n, e := l.sealSome(i, s, out)
		l.outgoing.add(out.Counted() - before) // at once: a callback of crypto/tls may end the goroutine
		if sent += n; e != 0 {
			return sent, e
		}
	}
	return sent, 0
}

// sealSome sends what is sealed, or seals and sends the front of the queue.
func (l *loop) sealSome(i uint32, s *slot, out *outbox.Box) (sent int, errno unix.Errno) {
	l.own.Check()
	to, fd := l.writer(i, s), int(s.fd)
	if len(out.Sealed()) > 0 {
		return out.SendSealed(to, fd, &l.bufs)
	}
	b := out.Front(l.tls.gathered[:0], sealSize)
	if err := l.writeRecords(i, s, l.slab.tls.Get(i), b); err != nil {
		return 0, unix.EPROTO // it does not happen: failRecords has dropped what was queued
	}
	out.Sent(len(b), &l.bufs)
	records := l.tls.sealed.Drain()
	if sent, errno = outbox.SendAll(to, fd, records); sent < len(records) {
		out.KeepRecords(records[sent:], &l.bufs)
	}
	return sent, errno
}

// notifyClose sends close_notify (RFC 8446 §6.1), without which the peer cannot know that our last byte was our last.
// It reports whether the socket has taken it.
func (l *loop) notifyClose(i uint32, s *slot) bool {
	l.own.Check()
	t := l.slab.tls.Get(i)
	if t == nil || t.ended {
		return true
	}
	t.ended = true
	if err := l.closeRecords(i, s, t); err != nil {
		return true
	}
	l.sendRecords(i, s)
	return s.state != stateClosed && !l.slab.sealedWaits(s)
}
