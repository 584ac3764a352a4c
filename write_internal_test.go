//go:build linux

package perch

import (
	"testing"

	"github.com/perchws/perch/internal/owner"
)

// TestMayWrite: the half of invariant (b) that race builds assert. TestWritesInOnePlace is the other.
func TestMayWrite(t *testing.T) {
	for _, tt := range []struct {
		name    string
		doing   doing
		current uint32 // whose callback runs
		ok      bool   // may connection 1 be written to?
	}{
		{"its own event", doing{phaseEvents, 1}, noSlot, true},
		{"in its own callback, with a full cork", doing{phaseEvents, 1}, 1, true},
		{"another one's event", doing{phaseEvents, 2}, noSlot, false},
		{"in a callback of another one", doing{phaseEvents, 1}, 2, false},
		{"its own post", doing{phaseMailbox, 1}, noSlot, true},
		{"another one's post", doing{phaseMailbox, 2}, noSlot, false},
		{"its turn of the sweep", doing{phaseSweep, 1}, noSlot, true},
		{"the sweep, in general", doing{phaseSweep, noSlot}, noSlot, false},
		{"the flush", doing{phaseFlush, noSlot}, noSlot, true},
		{"a callback in the flush", doing{phaseFlush, noSlot}, 2, false},
		{"reap", doing{phaseReap, noSlot}, noSlot, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			panicked := func() (p bool) {
				defer func() { p = recover() != nil }()
				tt.doing.mayWrite(1, tt.current)
				return false
			}()
			if want := owner.Enabled && !tt.ok; panicked != want {
				t.Errorf("panics: %t, want %t", panicked, want)
			}
		})
	}
}

// TestDoingNested: a flush within the mailbox goes back to the connection that was being acted on.
func TestDoingNested(t *testing.T) {
	d := doing{slot: noSlot}
	d.enter(phaseMailbox)
	d.on(1)
	before := d.enter(phaseFlush)
	d.leave(before)
	within := d.instead(2)
	if want := (doing{phaseMailbox, 2}); owner.Enabled && d != want {
		t.Errorf("doing %v, want %v", d, want)
	}
	d.leave(within)
	if want := (doing{phaseMailbox, 1}); owner.Enabled && d != want {
		t.Errorf("doing %v, want %v", d, want)
	}
}
