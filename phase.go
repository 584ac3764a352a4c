//go:build linux

package perch

import (
	"fmt"

	"github.com/perchws/perch/internal/owner"
)

// phase is the part of its tick that a loop is in. See docs/architecture.md.
type phase uint8

const (
	phaseNone phase = iota // between the parts, or outside of a tick
	phaseEvents
	phaseResume
	phaseMailbox
	phaseSweep
	phaseFlush
	phaseReap
)

var phaseNames = [...]string{"no phase", "events", "resume", "mailbox", "sweep", "flush", "reap"}

// String names the phase.
func (p phase) String() string { return phaseNames[p] }

// doing is what a loop is doing, so that race builds can assert what may happen when. Other builds do not keep it.
type doing struct {
	phase phase
	slot  uint32 // the connection whose event, input, post or turn of the sweep is being acted on; noSlot: none
}

// enter begins a phase. It returns what was being done, for leave.
func (d *doing) enter(p phase) (before doing) {
	if owner.Enabled {
		before = *d
		*d = doing{p, noSlot}
	}
	return before
}

// leave goes back to what was being done before enter or instead. It is of use where the loop goes on with that:
// another phase needs none.
func (d *doing) leave(before doing) {
	if owner.Enabled {
		*d = before
	}
}

// on says that the loop acts on connection i from now on, until it says so of another one.
func (d *doing) on(i uint32) {
	if owner.Enabled {
		d.slot = i
	}
}

// instead says that the loop acts on connection i until leave.
func (d *doing) instead(i uint32) (before doing) {
	if owner.Enabled {
		before = *d
		d.slot = i
	}
	return before
}

// mayWrite panics unless the socket of connection i may be written to now: in the flush, or while the loop acts on
// that connection; and within a callback only if it is that connection's own. current is the connection whose callback
// runs. This is invariant (b).
func (d *doing) mayWrite(i, current uint32) {
	if owner.Enabled && (d.phase != phaseFlush && d.slot != i || current != noSlot && current != i) {
		panic(fmt.Sprintf("perch: a write to connection %d in phase %v, while the loop acts on %d, in a callback of %d",
			i, d.phase, int32(d.slot), int32(current)))
	}
}
