package room

import (
	"container/heap"
	"math"
	"sync"
	"time"
)

// expiry has the rooms with Options.TTL that are, or lately were, without members, each at most once.
type expiry struct {
	mu  sync.Mutex // short; taken after a room's, or the hub's
	due byDue
}

// byDue is a heap, the room that is due first on top.
type byDue []*Room

func (b byDue) Len() int           { return len(b) }
func (b byDue) Less(i, j int) bool { return b[i].due < b[j].due }
func (b byDue) Swap(i, j int) {
	b[i], b[j] = b[j], b[i]
	b[i].place, b[j].place = i+1, j+1
}

func (b *byDue) Push(r any) {
	*b = append(*b, r.(*Room))
	r.(*Room).place = len(*b)
}

func (b *byDue) Pop() any {
	n := len(*b) - 1
	r := (*b)[n]
	(*b)[n] = nil
	*b = (*b)[:n]
	r.place = 0
	return r
}

// isEmpty notes that a room has lost its last member, or never had one. A room that is listed already stays listed
// with its old due time, and is looked at then. So joining and leaving add no entries.
func (h *Hub) isEmpty(r *Room) {
	if r.Options().TTL <= 0 {
		return
	}
	since := h.cfg.Clock.Now()
	r.emptySince.Store(since)
	h.expiry.mu.Lock()
	defer h.expiry.mu.Unlock()
	if r.place == 0 {
		r.due = after(since, r.Options().TTL)
		heap.Push(&h.expiry.due, r)
	}
}

// isGone removes a deleted room.
func (h *Hub) isGone(r *Room) {
	h.expiry.mu.Lock()
	defer h.expiry.mu.Unlock()
	if r.place != 0 {
		heap.Remove(&h.expiry.due, r.place-1)
	}
}

// expire deletes the rooms that have been empty for their TTL.
func (h *Hub) expire(now int64) {
	for {
		r, since := h.expiry.next(now)
		if r == nil {
			return
		}
		if r.expire(since) {
			h.end(r, Expired, "") // if the broker ends the goroutine, the other rooms are looked at a second later
		}
	}
}

// next takes out a room whose time is over, unless it has members again. It returns since when the room has been
// empty.
func (e *expiry) next(now int64) (r *Room, since int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.due) > 0 && e.due[0].due <= now {
		r = e.due[0]
		since = r.emptySince.Load()
		if r.due = after(since, r.Options().TTL); r.due <= now {
			heap.Pop(&e.due)
			return r, since
		}
		heap.Fix(&e.due, 0) // it was joined and left since
	}
	return nil, 0
}

// after returns t + d, or the end of time.
func after(t int64, d time.Duration) int64 {
	if t > math.MaxInt64-int64(d) {
		return math.MaxInt64
	}
	return t + int64(d)
}
