package endpoint

import (
	"container/heap"
	"errors"
	"sync"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/clock"
)

const (
	// maxNap bounds how long the time of day is not looked at: it may be set, and machines sleep.
	maxNap = time.Minute
	// alarmBatch bounds how long loops that set an alarm wait for one that rings many.
	alarmBatch = 256
	// overloadPause is when a loop that took no more is asked again.
	overloadPause = 20 * time.Millisecond
)

// alarm is a time at which a connection is to be looked at. Between set and cancel it belongs to its alarms.
type alarm struct {
	ref   perch.Ref
	at    int64 // in milliseconds, as the alarms count them
	place int32 // in alarms.heap, from 1; 0: it is not there
}

// alarms are the alarms of all clients of a Realm that go by one kind of time: by the time of day, as the ends
// of tokens do, or by the monotonic clock, as all else. There is one timer, for the next of them, and no
// goroutine but while it rings. A connection that has nothing to wait for costs nothing here. Any goroutine.
type alarms struct {
	// Immutable after it is made.
	clock clock.Clock
	now   func() int64 // in milliseconds
	ring  func(perch.Conn)

	ringing sync.WaitGroup // calls of run

	mu     sync.Mutex // short
	heap   alarmHeap
	next   int64       // when the timer goes off; 0: it is not set
	stop   func() bool // stops the timer
	closed bool
}

// wallAlarms go by the time of day.
func wallAlarms(c clock.Clock, ring func(perch.Conn)) *alarms {
	return &alarms{clock: c, now: func() int64 { return c.Wall().UnixMilli() }, ring: ring}
}

// monotonicAlarms go by the monotonic clock.
func monotonicAlarms(c clock.Clock, ring func(perch.Conn)) *alarms {
	return &alarms{clock: c, now: func() int64 { return c.Now() / int64(time.Millisecond) }, ring: ring}
}

// set has the connection looked at, on its loop, at a time: once, and not at the one set before.
func (a *alarms) set(w *alarm, at int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.put(w, at)
	a.wind()
}

// setWall is set for a time of day.
func (a *alarms) setWall(w *alarm, at time.Time) {
	ms := at.UnixMilli()
	if at.Nanosecond()%int(time.Millisecond) != 0 {
		ms++ // never early
	}
	a.set(w, ms)
}

// put is set without the timer. a.mu is held.
func (a *alarms) put(w *alarm, at int64) {
	w.at = at
	if w.place == 0 {
		heap.Push(&a.heap, w)
	} else {
		heap.Fix(&a.heap, int(w.place)-1)
	}
}

// cancel forgets an alarm. It may ring all the same if it is due.
func (a *alarms) cancel(w *alarm) {
	a.mu.Lock()
	if w.place > 0 {
		heap.Remove(&a.heap, int(w.place)-1) // the timer may go off in vain
	}
	a.mu.Unlock()
}

// close stops the timer, and waits until nothing rings any more.
func (a *alarms) close() {
	a.mu.Lock()
	a.closed = true
	if a.stop != nil {
		a.stop()
	}
	a.mu.Unlock()
	a.ringing.Wait()
}

// wind sets the timer for the next alarm, unless it is set for that or for an earlier one. a.mu is held.
func (a *alarms) wind() {
	if a.closed || len(a.heap) == 0 {
		return
	}
	now := a.now()
	at := min(a.heap[0].at, now+maxNap.Milliseconds())
	if a.next != 0 && a.next <= at {
		return
	}
	if a.next != 0 {
		a.stop()
	}
	a.next = at
	a.stop = a.clock.AfterFunc(time.Duration(max(at-now, 0))*time.Millisecond, a.run)
}

// run rings what is due, and winds the timer again.
func (a *alarms) run() {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return
	}
	a.ringing.Add(1)
	a.next = 0
	a.mu.Unlock()
	defer a.ringing.Done()
	for more := true; more; {
		var due []*alarm
		due, more = a.due()
		for _, w := range due {
			// A connection that is closed needs no looking at.
			if err := w.ref.Do(a.ring); errors.Is(err, perch.ErrOverloaded) {
				a.again(w)
			}
		}
	}
}

// due takes what is due, a batch at most; more says that there is another. When there is none it winds the timer.
func (a *alarms) due() (due []*alarm, more bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	for len(a.heap) > 0 && a.heap[0].at <= now {
		if len(due) == alarmBatch {
			return due, true
		}
		due = append(due, heap.Pop(&a.heap).(*alarm))
	}
	a.wind()
	return due, false
}

// again rings a little later, unless the alarm has been set anew.
func (a *alarms) again(w *alarm) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if w.place == 0 {
		a.put(w, a.now()+overloadPause.Milliseconds())
		a.wind()
	}
}

// deadline is a moment by which something must have happened to a connection. It is the loop's.
type deadline struct {
	alarm alarm
	of    *alarms
	at    int64
}

// in has a connection looked at when so much time has passed. nil: d is negative, which is never.
func (a *alarms) in(ref perch.Ref, d time.Duration) *deadline {
	if d < 0 {
		return nil
	}
	at := a.now() + (d + time.Millisecond - 1).Milliseconds()
	w := &deadline{alarm: alarm{ref: ref}, of: a, at: at}
	a.set(&w.alarm, at)
	return w
}

// over reports that there is a deadline and that it has passed.
func (d *deadline) over() bool { return d != nil && d.of.now() >= d.at }

// cancel forgets it, if there is one.
func (d *deadline) cancel() {
	if d != nil {
		d.of.cancel(&d.alarm)
	}
}

// alarmHeap is a heap.Interface whose elements know where they are.
type alarmHeap []*alarm

func (h alarmHeap) Len() int           { return len(h) }
func (h alarmHeap) Less(i, j int) bool { return h[i].at < h[j].at }

func (h alarmHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = int32(i)+1, int32(j)+1
}

func (h *alarmHeap) Push(x any) {
	w := x.(*alarm)
	*h = append(*h, w)
	w.place = int32(len(*h))
}

func (h *alarmHeap) Pop() any {
	last := len(*h) - 1
	w := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	w.place = 0
	return w
}
