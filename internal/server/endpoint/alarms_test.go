package endpoint

import (
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

// idle are alarms without their goroutine.
func idle(now *time.Time) *alarms {
	return &alarms{clock: func() time.Time { return *now }, again: make(chan struct{}, 1)}
}

func TestAlarmsOrder(t *testing.T) {
	start := time.Unix(1e9, 0)
	now := start
	a := idle(&now)
	var all [100]*alarm
	for i := range all {
		all[i] = newAlarm(perch.Ref{})
		a.set(all[i], start.Add(time.Duration(1+i*37%len(all))*time.Second)) // in no order
	}
	for i, w := range all {
		switch i % 3 {
		case 0:
			a.cancel(w)
			a.cancel(w) // the second time it does nothing
		case 1:
			a.set(w, start.Add(time.Hour))
		}
	}
	for s := 1; s <= len(all); s++ {
		now = start.Add(time.Duration(s)*time.Second - time.Millisecond)
		if due, _ := a.due(nil); len(due) != 0 {
			t.Fatalf("%d alarms before second %d", len(due), s)
		}
		now = now.Add(time.Millisecond)
		due, _ := a.due(nil)
		want := 0
		for i, w := range all {
			if i%3 == 2 && 1+i*37%len(all) == s {
				want++
				if w.index >= 0 {
					t.Errorf("alarm %d went off and is still there", i)
				}
			}
		}
		if len(due) != want {
			t.Fatalf("%d alarms at second %d, want %d", len(due), s, want)
		}
	}
	now = start.Add(time.Hour)
	if due, nap := a.due(nil); len(due) != 33 || nap != maxNap || len(a.heap) != 0 {
		t.Errorf("%d of 33 alarms that were put off, then %v, %d left", len(due), nap, len(a.heap))
	}
}

func TestAlarmsNap(t *testing.T) {
	now := time.Unix(1e9, 0)
	a := idle(&now)
	w := newAlarm(perch.Ref{})
	for _, tt := range []struct{ in, nap time.Duration }{
		{20 * time.Second, 20 * time.Second},
		{time.Microsecond, time.Millisecond}, // never early
		{24 * time.Hour, maxNap},
		{290 * 365 * 24 * time.Hour, maxNap},
	} {
		a.set(w, now.Add(tt.in))
		if due, nap := a.due(nil); len(due) != 0 || nap != tt.nap {
			t.Errorf("in %v: %d due, nap of %v, want %v", tt.in, len(due), nap, tt.nap)
		}
	}
	a.set(w, time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC))
	if due, _ := a.due(nil); len(due) != 0 {
		t.Error("the year 9999 is due")
	}
	a.set(w, now.Add(-time.Hour))
	if due, _ := a.due(nil); len(due) != 1 {
		t.Error("what is past is not due")
	}
}

// TestAlarmsBatch: many at once are taken in turns, without a pause.
func TestAlarmsBatch(t *testing.T) {
	now := time.Unix(1e9, 0)
	a := idle(&now)
	for range alarmBatch + 1 {
		a.set(newAlarm(perch.Ref{}), now)
	}
	if due, nap := a.due(nil); len(due) != alarmBatch || nap != 0 {
		t.Errorf("%d due at first, then a nap of %v", len(due), nap)
	}
	if due, _ := a.due(nil); len(due) != 1 {
		t.Errorf("%d due then", len(due))
	}
}

// TestAlarmsWake: one that is before all others interrupts the nap.
func TestAlarmsWake(t *testing.T) {
	w := newWorld(t, nil, nil)
	id, err := perch.ParseID(w.dial("/ws/reliable?client_id=a").hear()["connection_id"].(string))
	if err != nil {
		t.Fatal(err)
	}
	rang := make(chan struct{}, 1)
	a := newAlarms(time.Now, func(perch.Conn) { rang <- struct{}{} })
	defer a.close()
	for range 3 { // from the second on it naps
		a.set(newAlarm(perch.Ref{}), time.Now().Add(time.Hour))
		a.set(newAlarm(w.srv.Find(id)), time.Now().Add(5*time.Millisecond))
		wstest.Receive(t, "an alarm", rang)
	}
}

// TestAlarmsForgotten: who has closed has nothing to wait for.
func TestAlarmsForgotten(t *testing.T) {
	w := newWorld(t, nil, first)
	waiting := func() int {
		w.realm.alarms.mu.Lock()
		defer w.realm.alarms.mu.Unlock()
		return len(w.realm.alarms.heap)
	}
	greeting, expiring := w.dial("/ws/first"), w.client("/ws/7?token="+w.token("7", time.Hour))
	wstest.Eventually(t, "there are two alarms", func() bool { return waiting() == 2 })
	greeting.Reset()
	expiring.CloseHandshake(frame.CloseNormal)
	wstest.Eventually(t, "there is none", func() bool { return waiting() == 0 })
}
