package room

import "github.com/perchws/perch/frame"

// MaxPageBytes bounds the messages of a [Page], except the first: a page has at least one if the history has one. So
// a reader who turns pages comes to the end.
const MaxPageBytes = 128 << 10

// Page is a part of a room's history.
type Page struct {
	Position                   // of the latest message of the room
	Messages []*frame.Prepared // oldest first, in dialect 0, without a gap
	First    uint64            // offset of the first of them
	More     bool              // the history has more messages in this direction
}

// Before returns the latest messages before an offset that the history has: at most n, and MaxPageBytes. A deleted
// room has none.
func (r *Room) Before(offset uint64, n int) Page {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.page(r.history.before(offset, n))
}

// After returns the earliest messages after an offset that the history has: at most n, and MaxPageBytes. If the
// history has lost the next ones, they begin later.
func (r *Room) After(offset uint64, n int) Page {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.page(r.history.later(offset, n))
}

// page copies a part of the ring.
func (r *Room) page(from, to int, more bool) Page {
	h := &r.history
	return Page{r.at, append([]*frame.Prepared(nil), h.ring[from:to]...), h.first + uint64(from-h.head), more}
}

// before returns the part of the ring that ends before an offset.
func (h *history) before(offset uint64, n int) (from, to int, more bool) {
	to = h.index(offset)
	from = to
	for bytes := 0; from > h.head && to-from < n; from-- {
		if bytes += len(h.ring[from-1].Bytes()); bytes > MaxPageBytes && from < to {
			break
		}
	}
	return from, to, from > h.head
}

// later returns the part of the ring that begins after an offset.
func (h *history) later(offset uint64, n int) (from, to int, more bool) {
	from = len(h.ring)
	if offset+1 > offset { // else nothing can come after it
		from = h.index(offset + 1)
	}
	to = from
	for bytes := 0; to < len(h.ring) && to-from < n; to++ {
		if bytes += len(h.ring[to].Bytes()); bytes > MaxPageBytes && from < to {
			break
		}
	}
	return from, to, to < len(h.ring)
}

// index returns the place in the ring of the first message with this offset or a later one.
func (h *history) index(offset uint64) int {
	if offset <= h.first {
		return h.head
	}
	return h.head + int(min(offset-h.first, uint64(h.len())))
}
