//go:build linux

package perch

import (
	"errors"
	"sync/atomic"
	"testing"
)

// TestLedger: two loops share one account, each tells of its own output late, and neither may queue more than is left.
func TestLedger(t *testing.T) {
	a := &account{total: 8 << 20, each: 1 << 20}
	one, two := &outgoing{account: a}, &outgoing{account: a}
	for _, step := range []struct {
		name     string
		do       func()
		n        int
		one, two bool // fits(n)
	}{
		{"empty", func() {}, 1 << 20, true, true},
		{"a long message leaves a quarter free", func() {}, 6<<20 + 1, false, false},
		{"and fits if it does", func() {}, 6 << 20, true, true},
		{"what one has queued counts for itself at once", func() { one.add(unreported) }, 7<<20 + 1, false, false},
		{"and for the other when it is reported", func() { two.add(0) }, 6 << 20, false, true},
		{"which it is", func() { one.report() }, 6 << 20, false, false},
		{"more than that is reported by itself", func() { one.add(unreported + 1); one.fits(0) }, 6<<20 - 1, false, false},
		{"what is on its way to loops counts", func() { one.add(-one.n()); one.report(); a.posted.Add(8 << 20) }, 1, false, false},
		{"until it is carried out", func() { a.posted.Add(-8 << 20) }, 1, true, true},
	} {
		step.do()
		if one.fits(step.n) != step.one || two.fits(step.n) != step.two {
			t.Errorf("%s: %d bytes fit: %t, %t, want %t, %t", step.name, step.n, !step.one, !step.two, step.one, step.two)
		}
	}
	if n := a.bytes(); n != 0 {
		t.Errorf("%d bytes are left", n)
	}
}

func (b *outgoing) n() int { return int(b.queued) }

// TestCharge: a post is counted for the process and for its connection, or for neither.
func TestCharge(t *testing.T) {
	const total = 1 << 20
	for _, tt := range []struct {
		name           string
		kind           postKind
		cost, share    int64
		queued, ofIt   int64 // before
		posted, called int64
		refused        bool
		wantPosted     bool // it counts as a message, else as a call
	}{
		{"a message", postSend, 1000, 1000, 0, 0, 0, 0, false, true},
		{"a message beside much output", postSend, 1000, 1000, total - 999, 0, 0, 0, true, true},
		{"a call beside much output", postDo, 1000, 1000, total, 0, 0, 0, false, false},
		{"a call beside many", postDo, 1000, 1000, 0, 0, 0, total/2 - 999, true, false},
		{"a message beside many for its connection", postSend, 1000, 1000, 0, total/postShare - 999, 0, 0, true, true},
		{"a close beside many for its connection", postClose, 1000, 1000, 0, total / postShare, 0, 0, false, false},
		{"a long message, and nothing for its connection", postSend, total / 2, total / 2, 0, 0, 0, 0, false, true},
		{"a long message that leaves less than a quarter", postSend, total / 2, total / 2, total/4 + 1, 0, 0, 0, true, true},
		{"the second of a message to many", postPrepared, 100, 1 << 15, 0, 0, 0, 0, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := &account{total: total, each: 1 << 10}
			var ofIt atomic.Int64
			a.queued.Store(tt.queued)
			a.posted.Store(tt.posted)
			a.called.Store(tt.called)
			ofIt.Store(tt.ofIt)
			before := a.bytes()
			p := &post{kind: tt.kind, cost: tt.cost, share: tt.share}
			err := a.charge(p, &ofIt)
			if tt.refused {
				if !errors.Is(err, ErrOverloaded) || a.bytes() != before || ofIt.Load() != tt.ofIt || a.refused.Load() != 1 {
					t.Errorf("error %v, %d bytes, %d of the connection, %d refused", err, a.bytes()-before, ofIt.Load(), a.refused.Load())
				}
				return
			}
			if err != nil || a.bytes() != before+tt.cost || ofIt.Load() != tt.ofIt+tt.share || (a.posted.Load() > tt.posted) != tt.wantPosted {
				t.Errorf("error %v, %d bytes, %d of the connection", err, a.bytes()-before, ofIt.Load()-tt.ofIt)
			}
			a.discharge(p, &ofIt)
			if a.bytes() != before || ofIt.Load() != tt.ofIt {
				t.Errorf("after discharge: %d bytes, %d of the connection", a.bytes()-before, ofIt.Load()-tt.ofIt)
			}
		})
	}
}
