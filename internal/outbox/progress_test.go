//go:build linux

package outbox

import (
	"testing"
	"time"

	"github.com/perchws/perch/internal/sock"
)

// TestLook: what counts as a sign of life between two looks, and what is progress of a write.
func TestLook(t *testing.T) {
	idle := sock.Progress{Taken: 100, Window: 1000}
	some := sock.Progress{Taken: 100, Window: 1000, Waiting: true}
	much := sock.Progress{Taken: 100, Window: 1000, Waiting: true, Backlog: true}
	more := sock.Progress{Taken: 200, Window: 1000}
	read := sock.Progress{Taken: 100, Window: 1001}
	for _, tt := range []struct {
		name             string
		first, second    sock.Progress
		sending, refused bool // refused: the socket was full, and has taken more between the looks
		life, progress   bool
	}{
		{"nothing has happened", much, much, false, false, false, false},
		{"a backlog is taken", much, more, true, false, true, true},
		{"a little is taken, and more may be sent", some, more, true, false, false, true},
		{"a little is taken, and nothing more is sent", some, more, false, false, true, true},
		{"what was sent since is taken", idle, more, false, false, false, true},
		{"the peer has read", idle, read, true, false, true, false},
		{"the socket has room again", idle, idle, true, true, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var o Box
			o.Started(1)
			o.Progressed(1, true) // before the first look: of no meaning
			if o.Look(tt.first, 2, tt.sending) || !o.Watched() || o.Waiting() != tt.first.Waiting || o.Backlog() != tt.first.Backlog {
				t.Error("the first look cannot know of life")
			}
			o.SetLife(2)
			if tt.refused {
				o.Progressed(3, true)
			}
			if got := o.Look(tt.second, 3, tt.sending); got != tt.life {
				t.Errorf("life is %t, want %t", got, tt.life)
			}
			if got := o.Since() == 3; got != tt.progress {
				t.Errorf("progress is %t, want %t", got, tt.progress)
			}
			if o.Life() != 2 {
				t.Errorf("life was at %d, want 2", o.Life())
			}
			if o.Look(tt.second, 4, tt.sending) {
				t.Error("the same look again is life")
			}
			o.Forget()
			if o.Watched() || o.Look(more, 5, true) {
				t.Error("looks are not forgotten")
			}
		})
	}
}

// TestStarted: the time of the first byte counts, not that of those behind it.
func TestStarted(t *testing.T) {
	m := new(model)
	m.out.Started(5)
	m.shared(10)
	m.out.Started(6)
	if m.out.Since() != 5 {
		t.Errorf("since %d, want 5", m.out.Since())
	}
	m.out.Progressed(7, false)
	if m.out.Since() != 7 {
		t.Errorf("since %d, want 7", m.out.Since())
	}
}

// TestSlow: the pace is measured over a second or more, and anew when the queue was empty.
func TestSlow(t *testing.T) {
	m := new(model)
	take := func(n int) {
		if err := m.cut(n); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Minute
	look := func(after time.Duration, want bool) {
		t.Helper()
		if now += after; m.out.Slow(now) != want {
			t.Errorf("after %v more it is slow: %t, want %t", after, !want, want)
		}
	}
	m.shared(1 << 20)
	look(0, false) // the first time
	look(paceTime-1, false)
	look(1, true) // nothing in a second
	take(SteadyPace - 1)
	look(paceTime/2, true) // not measured yet
	look(paceTime/2, true)
	take(2 * SteadyPace)
	look(2*paceTime, false)
	take(SteadyPace)
	look(2*paceTime, true)
	take(1 << 21)
	m.shared(1 << 20)
	look(10*paceTime, false) // another queue: the first time
}
