//go:build linux

package perch

import (
	"net/http"
	"os"
	"time"

	"github.com/perchws/perch/internal/closing"
)

// sweepPass is in how many sweeps the clock hand goes round a large slab; of a
// small one it sees all in each.
const sweepPass = 4

// trimPeriod is how often what a burst has left is given back.
const trimPeriod = 250 * time.Millisecond

// sweep moves the clock hand: it looks at a stretch of slots, pings the silent,
// reaps the dead and enforces every timeout. No connection has a timer.
func (l *loop) sweep() {
	l.own.Check()
	l.doing.enter(phaseSweep)
	l.publishStats()
	if l.now >= l.hand.nextTrim {
		l.hand.nextTrim = l.now + int64(trimPeriod)
		l.slab.trim(l.now)
		l.rooms.Trim()
	}
	l.trimCodec()
	l.srv.turns.dropStalled(l.now)
	if l.accepting.pausedUntil != 0 && l.now >= l.accepting.pausedUntil {
		l.endAcceptPause()
	}
	if l.slab.live == 0 {
		l.goneRound()
		l.hand.next = l.now + l.hand.period
		return
	}
	l.coarse = uint64(l.srv.clock.Now()) >> coarseShift // the tick may have taken its time until here
	stretch := uint32(max(chunkSize, l.slab.made/sweepPass))
	pings := 0
	for n := uint32(0); n < min(stretch, uint32(l.slab.made)) && pings < pingBudget; n++ {
		i := l.hand.at
		s := l.slab.at(i)
		l.doing.on(i)
		switch {
		case s.state == stateFree:
		case s.state == stateOpen && s.cold == 0: // nearly always; no system call for those
			if s.flags&flagTLS != 0 {
				l.stripIdle(i, s)
			}
			if l.alive(i, s) {
				pings++
			}
		default:
			l.expire(i, s)
		}
		if l.hand.at++; l.hand.at >= uint32(l.slab.made) {
			l.hand.at = 0
			l.goneRound()
		}
	}
	l.relieve()
	l.relieveInput()
	l.hand.next = l.now + l.hand.period
}

// expire enforces the timeout of the state that a connection is in.
func (l *loop) expire(i uint32, s *slot) {
	l.own.Check()
	c := l.slab.coldOf(s)
	switch {
	case s.state.Opening():
		l.expireOpening(i, s, c)
	case s.state == stateOpen:
		l.expireOpen(i, s, c)
	case s.state == stateLingering:
		l.expireLingering(i, s)
	case s.state.Ending():
		l.expireEnding(i, s)
	}
}

// expireOpening enforces HandshakeTimeout: one for all that comes before a connection is open.
func (l *loop) expireOpening(i uint32, s *slot, c *cold) {
	l.own.Check()
	overLimit := c != nil && c.refusal != nil
	if !l.past(l.coarse-s.entered(), l.srv.cfg.HandshakeTimeout) {
		if s.state == stateSecuring && overLimit && c.refusal.waits && l.mayTell(i, s) {
			l.requestTLSHandshake(i, s)
		}
		return
	}
	w := why{err: lost(os.ErrDeadlineExceeded)}
	switch s.state {
	case stateHandshake, stateDeciding:
		if overLimit {
			l.refuseOver(i, s, nil)
			return
		}
		l.stats.HandshakeTimeouts++
		w.refusal = &refused{kind: RefusedTimeout, status: http.StatusRequestTimeout, reason: "request timeout"}
		if c != nil && c.upgrade != nil {
			w.refusal.request = c.upgrade.request
		} else {
			w.refusal.quiet = s.state == stateHandshake && (c == nil || c.in == nil)
		}
	case stateProxy:
		l.stats.HandshakeTimeouts++
		l.noteOf(i, s, &refused{kind: RefusedTimeout, reason: "no PROXY header in time"})
	case stateSecuring:
		l.stats.HandshakeTimeouts++
		l.stats.TLSFailed++
		if s.flags&flagClient == 0 {
			l.noteOf(i, s, &refused{kind: RefusedTimeout, reason: "no TLS handshake in time"})
		}
	case stateConnecting, stateAnswer:
		w.err = cut(errDialTimeout)
	}
	l.step(i, s, closing.Timeout, w)
}

// expireEnding enforces CloseTimeout.
func (l *loop) expireEnding(i uint32, s *slot) {
	l.own.Check()
	timeout := l.srv.cfg.CloseTimeout
	if inState := l.coarse - s.entered(); l.stillTaking(s, timeout) || !l.past(inState, timeout) {
		return
	}
	l.stats.CloseTimeouts++
	if l.life.stopping {
		l.srv.late.note(l.unsent(s))
	}
	l.step(i, s, closing.Timeout, why{err: cut(ErrCloseTimeout)})
}

// stillTaking reports that the peer of a closing connection has taken output since
// the last look: then the time of its state begins anew. CloseTimeout is for a peer
// that takes nothing, or has everything, not for a slow one. One that takes a
// byte now and then is ended by relieve when the process's output nears its bound.
func (l *loop) stillTaking(s *slot, timeout time.Duration) bool {
	l.own.Check()
	out := &l.slab.thaw(s).out
	if out.Watched() && !out.Waiting() && out.Empty() && !l.past(l.coarse-s.entered(), timeout) {
		return false // it has everything, and its time to answer
	}
	if !out.Look(l.peerProgress(s), l.coarse, false) {
		return false
	}
	s.enter(l.coarse)
	return true
}

// expireLingering closes a connection that has said its last word. The kernel
// goes on by itself with bytes that it has not delivered yet, unless there is
// input that nobody has read: hence the wait.
func (l *loop) expireLingering(i uint32, s *slot) {
	l.own.Check()
	inState := l.coarse - s.entered()
	timeout := max(lingerTimeout, l.srv.cfg.CloseTimeout)
	if !l.stillTaking(s, lingerTimeout) && (l.past(inState, timeout) || l.past(inState, lingerTimeout) && !l.slab.coldOf(s).out.Waiting()) {
		l.step(i, s, closing.Timeout, why{})
	}
}

// unsent is how many bytes the peer has not taken of what was queued for it.
func (l *loop) unsent(s *slot) int {
	l.own.Check()
	n := 0
	if s.fd >= 0 {
		n = l.kernel.Unacked(int(s.fd))
	}
	if s.state == stateLingering && n > 0 {
		n-- // FIN counts as one
	}
	if c := l.slab.coldOf(s); c != nil {
		n += c.out.Len()
	}
	return n
}
