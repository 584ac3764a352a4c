package main

import (
	"sync"
	"time"
)

// room is the members of /fan. Publishing writes to them one after the other,
// under the room's lock: that costs the least for a message (no queue, no second
// goroutine for each member), and it makes one order for all of them. It also
// makes a member that does not read hold up the room, so a goroutine looks for
// writes that have taken stallTime and ends them. Deadlines for each write would
// do that too; they cost more, and would remain set when others write to the
// connection.
type room[C comparable] struct {
	end func(C) // makes a write to the member fail; any goroutine

	mu    sync.Mutex
	all   []C
	index map[C]int // place in all

	writing struct {
		sync.Mutex
		begun uint64 // writes so far
		busy  bool   // the last of them has not ended
		to    C
	}
}

// newRoom makes the room and the goroutine that ends stalled writes, for the time of the process.
func newRoom[C comparable](end func(C)) *room[C] { return newRoomWith(stallTime, end) }

func newRoomWith[C comparable](stall time.Duration, end func(C)) *room[C] {
	r := &room[C]{end: end, index: make(map[C]int)}
	go r.watch(stall)
	return r
}

func (r *room[C]) join(c C) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.index[c] = len(r.all)
	r.all = append(r.all, c)
}

func (r *room[C]) leave(c C) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, ok := r.index[c]
	if !ok {
		return
	}
	last := len(r.all) - 1
	moved := r.all[last]
	r.all[i], r.index[moved] = moved, i
	clear(r.all[last:])
	r.all = r.all[:last]
	delete(r.index, c)
}

// publish calls send for every member. send must neither join nor leave. A member
// that cannot be written to is ended: its reader sees that, and leaves.
func (r *room[C]) publish(send func(C) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &r.writing
	for _, c := range r.all {
		w.Lock()
		w.begun++
		w.busy, w.to = true, c
		w.Unlock()
		if send(c) != nil {
			r.end(c)
		}
	}
	w.Lock()
	w.busy = false
	w.Unlock()
}

func (r *room[C]) watch(stall time.Duration) {
	const steps = 10
	w := &r.writing
	var seen uint64
	for still := 0; ; still++ {
		time.Sleep(stall / steps)
		w.Lock()
		if !w.busy || w.begun != seen {
			seen, still = w.begun, 0
		}
		to := w.to
		w.Unlock()
		if still >= steps {
			r.end(to)
			still = 0
		}
	}
}
