//go:build linux

package perch

import (
	"fmt"
	"math"

	"github.com/perchws/perch/frame"
)

// With more connections than auditEvery the audit runs only in one tick of that many.
const auditEvery = 64

// audit panics if the loop breaks an invariant of docs/architecture.md at the end of a tick. Only race builds call it,
// because it visits every connection.
func (l *loop) audit() {
	l.own.Check()
	if l.calling.current != noSlot || l.cork.of != noSlot || len(l.cork.buf) > 0 {
		panic("perch: a tick has ended inside a callback, or with answers in the cork")
	}
	if l.slab.live > auditEvery && l.stats.Ticks.Count%auditEvery != 0 {
		return
	}
	var queued int64
	live, kept := 0, 0
	l.each(func(i uint32, s *slot) {
		live++
		if c := l.slab.coldOf(s); c != nil {
			l.auditCold(i, s, c)
			queued += int64(c.out.Counted())
			before := c.kept
			if l.weigh(c); c.kept != before {
				panic(fmt.Sprintf("perch: connection %d keeps %d bytes of input, %d are counted", i, c.kept, before))
			}
			kept += c.kept
		}
		if s.fd < 0 && s.state != stateConnecting && s.state != stateClosed || s.fd >= 0 && s.state == stateClosed && len(l.lists.dead) == 0 {
			panic(fmt.Sprintf("perch: connection %d in state %v has descriptor %d", i, s.state, s.fd))
		}
	})
	if live != l.slab.live {
		panic(fmt.Sprintf("perch: %d slots are in use, %d are counted", live, l.slab.live))
	}
	if kept != l.intake.kept {
		panic(fmt.Sprintf("perch: %d bytes of input are kept, %d are counted", kept, l.intake.kept))
	}
	if queued != l.outgoing.queued {
		panic(fmt.Sprintf("perch: %d bytes are in outboxes, %d are counted", queued, l.outgoing.queued))
	}
}

// auditCold checks the bounds on the memory of one connection: invariant (e).
func (l *loop) auditCold(i uint32, s *slot, c *cold) {
	l.own.Check()
	switch {
	case c.in != nil && len(c.in.B) > 2*readBudget,
		c.in != nil && s.state == stateOpen && len(c.in.B) > readBudget+frame.MaxHeaderSize+frame.MaxControlPayload:
		panic(fmt.Sprintf("perch: connection %d keeps %d bytes of input", i, len(c.in.B)))
	case s.state == stateOpen && c.asmBuf != nil && most(l.routeOf(s).limitsOf(s.flags)) < int64(c.asm.Buffered()):
		panic(fmt.Sprintf("perch: connection %d has gathered %d bytes of a message", i, c.asm.Buffered()))
	case s.state == stateOpen && c.empty() && s.flags&flagDirty == 0:
		panic(fmt.Sprintf("perch: connection %d in state %v (%b) keeps a cold part, and nothing is unfinished", i, s.state, s.flags))
	}
}

// most is the largest message that is gathered, in bytes.
func most(lim *frame.Limits) int64 {
	if lim.MaxMessage == 0 {
		return math.MaxInt64
	}
	return max(lim.MaxMessage, lim.MaxRSV)
}
