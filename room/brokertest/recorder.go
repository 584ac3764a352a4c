package brokertest

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perchws/perch/room"
)

// recorder is a Subscriber that keeps its calls.
type recorder struct {
	t    *testing.T
	busy atomic.Bool

	mu       sync.Mutex
	events   []event
	payloads map[string]int // how often each was delivered
	news     chan struct{}  // closed at the next event
	options  room.Options   // the latest
	members  int            // the latest number
	present  map[string]int // how often each user has come, less how often it has gone
	fresh    int            // how often the node was told of a new lease
	others   int            // what it was told then
}

type event struct {
	reset, changed, removed, relayed bool

	epoch   string // of the reset
	offset  uint64
	message string // or the reason of the end
}

func newRecorder(t *testing.T) *recorder {
	return &recorder{t: t, payloads: make(map[string]int), present: make(map[string]int), news: make(chan struct{})}
}

// Deliver implements room.Subscriber.
func (r *recorder) Deliver(p room.Publication) {
	r.record(event{offset: p.Offset, message: describe(p)}, string(p.Payload))
}

// Reset implements room.Subscriber.
func (r *recorder) Reset(at room.Position) {
	r.record(event{reset: true, epoch: at.Epoch, offset: at.Offset}, "")
}

// Changed implements room.Subscriber.
func (r *recorder) Changed(o room.Options) {
	r.note(func() {
		r.options = o
		r.events = append(r.events, event{changed: true})
	})
}

// Relayed implements room.Subscriber.
func (r *recorder) Relayed(f room.Frames, _ room.Class) {
	r.record(event{relayed: true, message: string(f[0].Payload())}, "")
}

// Members implements room.Subscriber.
func (r *recorder) Members(total int, came, went []room.Visitor) {
	r.note(func() {
		r.members = total
		for _, v := range came {
			r.present[v.ID]++
		}
		for _, v := range went {
			r.present[v.ID]--
		}
	})
}

// Forgotten implements room.Subscriber.
func (r *recorder) Forgotten(others int) {
	r.note(func() { r.fresh, r.others, r.members = r.fresh+1, others, others })
}

// Removed implements room.Subscriber.
func (r *recorder) Removed(reason string) { r.record(event{removed: true, message: reason}, "") }

func (r *recorder) record(e event, payload string) {
	r.note(func() {
		r.events = append(r.events, e)
		if e.offset > 0 && !e.reset {
			r.payloads[payload]++
		}
	})
}

// note keeps a call.
func (r *recorder) note(f func()) {
	if r.busy.Swap(true) {
		r.t.Error("a subscriber was called while it was called")
	}
	runtime.Gosched() // so that a second caller can get here
	r.mu.Lock()
	f()
	close(r.news)
	r.news = make(chan struct{})
	r.mu.Unlock()
	r.busy.Store(false)
}

// await waits until so returns true. If it waits in vain, it fails the test and returns false. so is called with r.mu
// held.
func (r *recorder) await(what string, so func() bool) bool {
	r.t.Helper()
	late := time.After(patience)
	for {
		r.mu.Lock()
		ok, news, n := so(), r.news, len(r.events)
		r.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-news:
		case <-r.t.Context().Done():
			return false
		case <-late:
			r.t.Errorf("waited in vain for %s, there were %d events", what, n)
			return false
		}
	}
}

// count is the number of events.
func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.events)
}
