//go:build linux

package perch

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/closing"
)

// alive pings a connection without a sign of life, or gives a dead one up. It
// reports a ping.
func (l *loop) alive(i uint32, s *slot) (pinged bool) {
	l.own.Check()
	r := l.routeOf(s)
	l.hasten(r.period)
	silent := l.coarse - s.seen()
	if r.pingInterval == 0 || s.flags&flagPinged != 0 {
		// Input that nobody has read yet is a sign of life that we are late to see.
		if r.pingTimeout != 0 && silent > r.pingTimeout && !l.kernel.Unread(int(s.fd)) && !l.taking(s, silent) {
			l.stats.HeartbeatTimeouts++
			if s.flags&flagPinged != 0 {
				l.remark(i, s, closing.PingUnanswered, closing.None, int(coarseTime(silent-r.pingInterval).Milliseconds()))
			}
			l.failWith(i, s, CloseHeartbeatTimeout, "heartbeat timeout", ErrHeartbeat)
		}
		return false
	}
	if silent <= r.pingInterval || l.taking(s, silent) {
		return false
	}
	s.see(l.coarse - r.pingInterval) // we may be late: the peer has its time to answer all the same
	s.flags |= flagPinged
	l.stats.PingsSent++
	p := l.pingPayload(i, s)
	if l.slab.waits(s) {
		l.overtake(i, s, p[:])
		if r.onPing != nil {
			l.callPing(i, s, r)
		}
		return true
	}
	l.cork.of, l.cork.slot = i, s // sent at once: an idle connection needs no outbox for it
	l.queueControl(i, s, frame.OpPing, p[:])
	if r.onPing != nil {
		l.callPing(i, s, r)
	}
	l.cork.of = noSlot
	if len(l.cork.buf) > 0 {
		l.flushCork(i, s)
	}
	return true
}

func (l *loop) callPing(i uint32, s *slot, r *Route) {
	l.own.Check()
	defer l.recovered()
	l.calling.begin(i, s)
	r.onPing(l.conn(i, s))
	l.calling.end()
}

// heard takes note of a sign of life of an open connection. It ends the wait for a
// pong: a peer that says something has read what it was sent.
func (l *loop) heard(s *slot) {
	l.own.Check()
	s.see(l.coarse)
	if s.flags&flagPinged == 0 {
		return
	}
	s.flags &^= flagPinged
	if c := l.slab.coldOf(s); c != nil && c.out.Empty() {
		c.out.Forget() // settle takes the rest away
	}
}

// pingPayload is 8 bytes: 40 bits of time in units of 16 µs, and 24 bits that only
// we can make, so that a pong tells the round-trip time and cannot lie about it.
func (l *loop) pingPayload(i uint32, s *slot) [8]byte {
	l.own.Check()
	t := uint64(l.now>>14) & (1<<40 - 1)
	return l.signPing(t, i, s)
}

func (l *loop) signPing(t uint64, i uint32, s *slot) (p [8]byte) {
	l.own.Check()
	var m [len(l.srv.pings) + 20]byte
	b := m[copy(m[:], l.srv.pings[:]):]
	binary.LittleEndian.PutUint64(b, t)
	binary.LittleEndian.PutUint32(b[8:], i)
	binary.LittleEndian.PutUint32(b[12:], s.gen.Load())
	binary.LittleEndian.PutUint32(b[16:], uint32(l.id))
	sum := sha256.Sum256(m[:])
	check := binary.LittleEndian.Uint64(sum[:])
	binary.LittleEndian.PutUint64(p[:], t|check<<40)
	return p
}

// ponged measures the round trip of our own pings; other pongs are legal and
// mean nothing (RFC 6455 §5.5.3).
func (l *loop) ponged(i uint32, s *slot, r *Route, p []byte) {
	l.own.Check()
	l.stats.PongsReceived++
	if len(p) != 8 || s.state != stateOpen {
		return
	}
	t := binary.LittleEndian.Uint64(p) & (1<<40 - 1)
	if l.signPing(t, i, s) != [8]byte(p) {
		return
	}
	rtt := max(time.Duration((uint64(l.now>>14)-t)&(1<<40-1))<<14, 0)
	l.stats.RoundTrips.add(int64(rtt))
	if r.onPong != nil {
		l.calling.begin(i, s)
		r.onPong(l.conn(i, s), rtt)
		l.calling.end()
	}
}
