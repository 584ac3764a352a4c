package endpoint

import (
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/wstest"
)

// manual makes alarms with a clock that the test moves.
func manual() (*clock.Manual, *alarms) {
	c := clock.NewManual(time.Unix(1e9, 0))
	return c, wallAlarms(c, func(perch.Conn) {})
}

func TestAlarmsOrder(t *testing.T) {
	start := time.Unix(1e9, 0)
	c, a := manual()
	defer a.close()
	var all [100]*alarm
	for i := range all {
		all[i] = new(alarm)
		a.setWall(all[i], start.Add(time.Duration(1+i*37%len(all))*time.Second)) // not in order
	}
	for i, w := range all {
		switch i % 3 {
		case 0:
			a.cancel(w)
			a.cancel(w) // the second time it does nothing
		case 1:
			a.setWall(w, start.Add(time.Hour))
		}
	}
	for s := 1; s <= len(all); s++ {
		c.Set(start.Add(time.Duration(s)*time.Second - time.Millisecond))
		if due, _ := a.due(); len(due) != 0 {
			t.Fatalf("%d alarms before second %d", len(due), s)
		}
		c.Set(start.Add(time.Duration(s) * time.Second))
		due, _ := a.due()
		want := 0
		for i, w := range all {
			if i%3 == 2 && 1+i*37%len(all) == s {
				want++
				if w.place > 0 {
					t.Errorf("alarm %d went off and is still there", i)
				}
			}
		}
		if len(due) != want {
			t.Fatalf("%d alarms at second %d, want %d", len(due), s, want)
		}
	}
	c.Set(start.Add(time.Hour))
	if due, more := a.due(); len(due) != 33 || more || len(a.heap) != 0 {
		t.Errorf("%d of 33 alarms that were put off, then %v, %d left", len(due), more, len(a.heap))
	}
}

// TestAlarmsNap: the timer ends at the first alarm, or earlier if the time of day must be looked at.
func TestAlarmsNap(t *testing.T) {
	for _, tt := range []struct{ in, nap time.Duration }{
		{20 * time.Second, 20 * time.Second},
		{time.Microsecond, time.Millisecond}, // never early
		{24 * time.Hour, maxNap},
		{290 * 365 * 24 * time.Hour, maxNap},
		{-time.Hour, 0},
	} {
		c, a := manual()
		a.setWall(new(alarm), c.Wall().Add(time.Hour))
		a.setWall(new(alarm), c.Wall().Add(tt.in))
		if nap, ok := c.Next(); nap != tt.nap || !ok {
			t.Errorf("in %v: a nap of %v (%v), want %v", tt.in, nap, ok, tt.nap)
		}
		a.close()
		if _, ok := c.Next(); ok {
			t.Error("a timer is left behind")
		}
	}
	c, a := manual()
	defer a.close()
	a.setWall(new(alarm), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC))
	if due, _ := a.due(); len(due) != 0 {
		t.Error("the year 9999 is due")
	}
	c.Advance(3 * maxNap)
	if nap, ok := c.Next(); nap != maxNap || !ok {
		t.Errorf("afterwards a nap of %v, %v", nap, ok)
	}
}

// TestAlarmsBatch: many alarms at once ring in batches, without a pause.
func TestAlarmsBatch(t *testing.T) {
	c, a := manual()
	defer a.close()
	for range alarmBatch + 1 {
		a.setWall(new(alarm), c.Wall())
	}
	if due, more := a.due(); len(due) != alarmBatch || !more {
		t.Errorf("%d due at first, more: %v", len(due), more)
	}
	if due, more := a.due(); len(due) != 1 || more {
		t.Errorf("%d due then, more: %v", len(due), more)
	}
}

// TestAlarmsWake: an alarm before all others interrupts the nap.
func TestAlarmsWake(t *testing.T) {
	w := newWorld(t, nil, nil)
	id, err := perch.ParseID(w.dial("/ws/reliable?client_id=a").hear()["connection_id"].(string))
	if err != nil {
		t.Fatal(err)
	}
	rang := make(chan struct{}, 1)
	for _, kind := range []func(clock.Clock, func(perch.Conn)) *alarms{wallAlarms, monotonicAlarms} {
		a := kind(clock.Real(), func(perch.Conn) { rang <- struct{}{} })
		for range 3 { // from the second time on the timer is set
			a.set(new(alarm), a.now()+time.Hour.Milliseconds())
			a.set(&alarm{ref: w.srv.Find(id)}, a.now()+5)
			wstest.Receive(t, "an alarm", rang)
		}
		a.close()
	}
}

// TestAlarmsForgotten: connections that are closed leave no alarms.
func TestAlarmsForgotten(t *testing.T) {
	w := newWorld(t, nil, first)
	waiting := func() (n int) {
		for _, a := range []*alarms{w.realm.expiries, w.realm.deadlines} {
			a.mu.Lock()
			n += len(a.heap)
			a.mu.Unlock()
		}
		return n
	}
	greeting, expiring := w.dial("/ws/first"), w.client("/ws/7?token="+w.token("7", time.Hour))
	wstest.Eventually(t, "there are two alarms", func() bool { return waiting() == 2 })
	greeting.Reset()
	expiring.CloseHandshake(frame.CloseNormal)
	wstest.Eventually(t, "there is none", func() bool { return waiting() == 0 })
}

// TestDeadlineNever: without a limit there is no deadline.
func TestDeadlineNever(t *testing.T) {
	c, a := manual()
	defer a.close()
	d := a.in(perch.Ref{}, -1)
	if _, waits := c.Next(); waits || d.over() {
		t.Errorf("an alarm: %v, over: %v", waits, d.over())
	}
	d.cancel()
}
