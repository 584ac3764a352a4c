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
	// maxNap bounds the time between two looks at the time of day: somebody may set it, and machines sleep.
	maxNap = time.Minute
	// alarmBatch bounds how long loops that set an alarm wait while many others ring.
	alarmBatch = 256
	// overloadPause is the time after which a loop that accepted nothing more is asked again.
	overloadPause = 20 * time.Millisecond
)

// alarm is a time at which a function is called for a connection. From set to cancel it belongs to its alarms.
type alarm struct {
	ref   perch.Ref
	at    int64 // in milliseconds, as the alarms count them
	place int32 // in alarms.heap, from 1; 0: it is not there
}

// alarms are the alarms of all clients of a Realm by one kind of time: the time of day, by which tokens end, or the
// monotonic clock, for everything else. There is one timer, for the next alarm, and no goroutine except while alarms
// ring. A connection without an alarm costs nothing. Any goroutine may call the methods.
type alarms struct {
	// Immutable after it is made.
	clock clock.Clock
	now   func() int64 // in milliseconds
	ring  func(perch.Conn)

	ringing sync.WaitGroup // calls of run

	mu     sync.Mutex // short
	heap   alarmHeap
	next   int64       // when the timer ends; 0: it is not set
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

// set makes an alarm ring for its connection, on the loop, at a time: once, and no longer at a time set before.
func (a *alarms) set(w *alarm, at int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.put(w, at)
	a.wind()
}

// setWall is set with a time of day.
func (a *alarms) setWall(w *alarm, at time.Time) {
	ms := at.UnixMilli()
	if at.Nanosecond()%int(time.Millisecond) != 0 {
		ms++ // never early
	}
	a.set(w, ms)
}

// put is set, but leaves the timer alone. a.mu is held.
func (a *alarms) put(w *alarm, at int64) {
	w.at = at
	if w.place == 0 {
		heap.Push(&a.heap, w)
	} else {
		heap.Fix(&a.heap, int(w.place)-1)
	}
}

// cancel removes an alarm. If it is due it may still ring.
func (a *alarms) cancel(w *alarm) {
	a.mu.Lock()
	if w.place > 0 {
		heap.Remove(&a.heap, int(w.place)-1) // the timer may end for nothing
	}
	a.mu.Unlock()
}

// close stops the timer, and waits until no alarm rings any more.
func (a *alarms) close() {
	a.mu.Lock()
	a.closed = true
	if a.stop != nil {
		a.stop()
	}
	a.mu.Unlock()
	a.ringing.Wait()
}

// wind sets the timer for the next alarm, unless it ends by then. a.mu is held.
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

// run rings the alarms that are due, and sets the timer again.
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
			// A closed connection needs no alarm.
			if err := w.ref.Do(a.ring); errors.Is(err, perch.ErrOverloaded) {
				a.again(w)
			}
		}
	}
}

// due removes alarms that are due, at most a batch, and returns them; more says that there are others. When there are
// none it sets the timer.
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

// deadline is a moment by which something must have happened to a connection. The loop owns it.
type deadline struct {
	alarm alarm
	of    *alarms
	at    int64
}

// in sets a deadline for a connection after d. It returns nil if d is negative, which means never.
func (a *alarms) in(ref perch.Ref, d time.Duration) *deadline {
	if d < 0 {
		return nil
	}
	at := a.now() + (d + time.Millisecond - 1).Milliseconds()
	w := &deadline{alarm: alarm{ref: ref}, of: a, at: at}
	a.set(&w.alarm, at)
	return w
}

// over reports whether there is a deadline and it has passed.
func (d *deadline) over() bool { return d != nil && d.of.now() >= d.at }

// cancel removes the deadline, if there is one.
func (d *deadline) cancel() {
	if d != nil {
		d.of.cancel(&d.alarm)
	}
}

// alarmHeap is a heap.Interface whose elements know their places.
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
