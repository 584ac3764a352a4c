//go:build linux

package perch

import (
	"net/netip"
	"slices"
	"time"

	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/internal/closing"
	"github.com/perchws/perch/internal/limit"
)

// overflow is the connections of one loop that are over a limit. They take no place of connections within the limit.
// There are few of them: a new one pushes out the one that is needed least. Each is answered 503 or 429, unless its
// request is for a path of Config.Reserved; that is the reason why it is read. A process that is out of descriptors
// answers connections in this way too: see accept_spares.go.
type overflow struct {
	most   int                         // connections held
	held   []over                      // the oldest first
	shares limit.Shares[limit.Address] // of held
	pushed int                         // how many were pushed out in this tick
}

// over is one connection over a limit.
type over struct {
	slot  uint32
	share limit.Address // see limit.ShareOf
	at    int64         // when it came, as loop.now
}

const (
	// One in overflowPart of all descriptors is for connections over a limit that all loops hold together: at least
	// overflowFew, at most overflowMany. The more there are, the longer each has to send its request in a flood. A loop
	// holds at least overflowLeast, and with a table of its own at most overflowFew.
	overflowPart  = 20
	overflowFew   = 32
	overflowMany  = 1024
	overflowLeast = 8
	// overflowGrace is how long a new connection may be silent.
	overflowGrace = 20 * time.Millisecond
	// overflowShake is how long its TLS handshake keeps it from being pushed out.
	overflowShake = time.Second
	// pushBudget is how many are pushed out in a tick: their descriptors are open until its end.
	pushBudget = 32
	// overRateLeast is how many of them may have a TLS handshake in a second, for one address, only to be refused; a
	// tenth of NewConnectionsPerSecond if that is more. All addresses together may have at least twice as many, or half
	// of NewConnectionsPerSecond.
	overRateLeast = 50
)

// overflowOf is how many connections over a limit each of the loops holds, with this many descriptors in a table.
func overflowOf(loops, limit int) int {
	return max(min(max(limit/overflowPart, overflowFew), overflowMany)/loops, overflowLeast)
}

// The ranks of connections over a limit, by need, the least needed first.
const (
	rankAnswered  = iota
	rankSilent    // it has sent nothing for overflowGrace
	rankBegun     // it is younger than overflowGrace, its request is not whole, or its TLS handshake takes long
	rankShaking   // its TLS handshake is under way; there are few of these: see mayTell
	rankAnswering // it is being refused, or its request is for a reserved path
	rankAll
)

// overLimit takes in a connection that is over a limit. It is refused at once if that is possible and no path is
// reserved.
func (l *loop) overLimit(i uint32, s *slot, peer netip.Addr, status int, reason string) {
	l.own.Check()
	if s.flags&flagRefused == 0 {
		l.srv.vacate()
		l.srv.refusing.Add(1)
		s.flags |= flagRefused
	}
	if len(l.accepting.overflow.held) >= l.accepting.overflow.most {
		l.pushOut(rankAll)
	}
	l.accepting.overflow.add(over{i, limit.ShareOf(peer), l.now})
	l.slab.thaw(s).refusal = &refusal{status: status, reason: reason, peer: peer}
	if len(l.srv.reserved) == 0 && (s.state == stateHandshake || s.state == stateProxy && l.srv.tls == nil) {
		l.refuseOver(i, s, nil)
	}
}

// refusal is the answer to a connection over a limit.
type refusal struct {
	status int
	reason string
	peer   netip.Addr
	waits  bool // until it may have a TLS handshake for the answer
}

// answer appends the response.
func (r *refusal) answer(dst []byte) []byte {
	return handshake.AppendError(dst, r.status, r.reason, retryAfter)
}

// mayTell reports whether a connection over a limit may have a TLS handshake now. Handshakes are limited because they
// cost the CPU time that the limit should save.
func (l *loop) mayTell(i uint32, s *slot) bool {
	l.own.Check()
	at := l.accepting.overflow.find(i)
	r := l.srv.overRate
	may := at >= 0 && r.AllowFrom(l.accepting.overflow.held[at].share, l.now) && r.Allow(l.now)
	l.slab.coldOf(s).refusal.waits = !may
	return may
}

// refuseOver answers a connection over a limit. r is its request, if it was read.
func (l *loop) refuseOver(i uint32, s *slot, r *Request) {
	l.own.Check()
	c := l.slab.coldOf(s)
	why := c.refusal
	c.refusal = nil
	l.refuseBusy(i, s, r, why.status, why.reason)
}

// pushOut ends the connection over a limit that is needed least, if its rank is below the given one. Among equals it is
// the oldest connection of the address with the most.
func (l *loop) pushOut(below int) {
	l.own.Check()
	worst, worstRank, worstCount := -1, below, int64(0)
	for at, o := range l.accepting.overflow.held {
		rank, count := l.rankOver(o, l.slab.at(o.slot)), l.accepting.overflow.shares.Of(o.share)
		if rank < worstRank || worst >= 0 && rank == worstRank && count > worstCount {
			worst, worstRank, worstCount = at, rank, count
		}
	}
	if worst < 0 {
		return
	}
	l.accepting.overflow.pushed++
	i := l.accepting.overflow.held[worst].slot
	l.accepting.overflow.remove(worst)
	l.step(i, l.slab.at(i), closing.PushedOut, why{err: cut(ErrOverloaded), cause: closing.RefusedLimit})
}

// rankOver is the rank of a connection over a limit.
func (l *loop) rankOver(o over, s *slot) int {
	l.own.Check()
	switch c := l.slab.coldOf(s); {
	case s.state == stateClosed, s.state == stateLingering:
		return rankAnswered
	case s.state == stateFailing, s.state == stateDeciding:
		return rankAnswering
	case s.flags&flagTLS != 0 && l.slab.tls.Get(o.slot) != nil && l.now-o.at < int64(overflowShake):
		return rankShaking
	case l.now-o.at < int64(overflowGrace), c != nil && c.in != nil, s.flags&flagTLS != 0 && l.slab.tls.Get(o.slot) != nil:
		return rankBegun
	}
	return rankSilent
}

// endRefusal logs a connection over a limit that has ended before it was answered.
func (l *loop) endRefusal(c *cold) {
	l.own.Check()
	if why := c.refusal; why != nil {
		l.stats.Refused++
		l.srv.note(&refused{kind: RefusedLimit, status: why.status, reason: why.reason, peer: why.peer})
		c.refusal = nil
	}
}

// leaveOverflow forgets a connection that was over a limit.
func (l *loop) leaveOverflow(i uint32) {
	l.own.Check()
	l.srv.refusing.Add(-1)
	if at := l.accepting.overflow.find(i); at >= 0 {
		l.accepting.overflow.remove(at)
	}
}

// add lists one more.
func (o *overflow) add(c over) {
	o.held = append(o.held, c)
	o.shares.Add(c.share, 1, limit.None)
}

// find is the place of a slot in held; −1: it was pushed out.
func (o *overflow) find(slot uint32) int {
	return slices.IndexFunc(o.held, func(c over) bool { return c.slot == slot })
}

// remove removes the connection at this place of held.
func (o *overflow) remove(at int) {
	o.shares.Remove(o.held[at].share, 1)
	o.held = slices.Delete(o.held, at, at+1)
}
