package endpoint

import (
	"container/heap"
	"sync"
	"time"

	"github.com/perchws/perch"
)

const (
	// maxNap bounds how long the clock is not looked at: it may be set, and machines sleep.
	maxNap = time.Minute
	// alarmBatch bounds how long loops that set an alarm wait for one that rings many.
	alarmBatch = 256
)

// alarm is a time at which a connection is to be looked at. Between set and stop it belongs to its alarms.
type alarm struct {
	ref   perch.Ref
	at    int64 // ms since 1970
	index int32 // in alarms.heap; −1: not there
}

func newAlarm(ref perch.Ref) *alarm { return &alarm{ref: ref, index: -1} }

// alarms are all alarms of a Realm, and the one goroutine that waits for them. A connection that has
// nothing to wait for costs nothing here. Any goroutine.
type alarms struct {
	// Immutable after newAlarms.
	clock func() time.Time
	ring  func(perch.Conn)
	again chan struct{} // holds one: look at the clock and the heap again
	stop  chan struct{}
	ended chan struct{}

	mu   sync.Mutex
	heap alarmHeap
}

func newAlarms(clock func() time.Time, ring func(perch.Conn)) *alarms {
	a := &alarms{
		clock: clock, ring: ring,
		again: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{}),
	}
	go a.run()
	return a
}

// set has the connection looked at, on its loop, at a time: once, and not at the one set before.
func (a *alarms) set(w *alarm, at time.Time) {
	ms := at.UnixMilli()
	if at.Nanosecond()%int(time.Millisecond) != 0 {
		ms++ // never early
	}
	a.mu.Lock()
	w.at = ms
	if w.index < 0 {
		heap.Push(&a.heap, w)
	} else {
		heap.Fix(&a.heap, int(w.index))
	}
	first := w.index == 0
	a.mu.Unlock()
	if first {
		a.look()
	}
}

// cancel forgets an alarm. It may ring all the same if it is due.
func (a *alarms) cancel(w *alarm) {
	a.mu.Lock()
	if w.index >= 0 {
		heap.Remove(&a.heap, int(w.index))
	}
	a.mu.Unlock()
}

// look makes the goroutine look at clock and heap.
func (a *alarms) look() {
	select {
	case a.again <- struct{}{}:
	default: // it will, anyway
	}
}

func (a *alarms) close() {
	close(a.stop)
	<-a.ended
}

func (a *alarms) run() {
	defer close(a.ended)
	var due []perch.Ref
	timer := time.NewTimer(maxNap)
	defer timer.Stop()
	for {
		var nap time.Duration
		due, nap = a.due(due[:0])
		for _, ref := range due {
			_ = ref.Do(a.ring) // one that is closed needs no looking at
		}
		timer.Reset(nap)
		select {
		case <-timer.C:
		case <-a.again:
		case <-a.stop:
			return
		}
	}
}

// due takes what is due, a batch at most, and says how long to wait then.
func (a *alarms) due(dst []perch.Ref) ([]perch.Ref, time.Duration) {
	now := a.clock().UnixMilli()
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.heap) > 0 && a.heap[0].at <= now {
		if len(dst) == alarmBatch {
			return dst, 0
		}
		dst = append(dst, heap.Pop(&a.heap).(*alarm).ref)
	}
	if len(a.heap) == 0 {
		return dst, maxNap
	}
	return dst, min(maxNap, time.Duration(min(a.heap[0].at-now, maxNap.Milliseconds()))*time.Millisecond)
}

// alarmHeap is a heap.Interface whose elements know where they are.
type alarmHeap []*alarm

func (h alarmHeap) Len() int           { return len(h) }
func (h alarmHeap) Less(i, j int) bool { return h[i].at < h[j].at }

func (h alarmHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = int32(i), int32(j)
}

func (h *alarmHeap) Push(x any) {
	w := x.(*alarm)
	w.index = int32(len(*h))
	*h = append(*h, w)
}

func (h *alarmHeap) Pop() any {
	last := len(*h) - 1
	w := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	w.index = -1
	return w
}
