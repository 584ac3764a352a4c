package room

import "github.com/perchws/perch/frame"

// MaxPageBytes bounds the messages of a [Page], but for the first of them: a page has
// one at least if there is one, so that who turns pages comes to the end.
const MaxPageBytes = 128 << 10

// Page is a part of a room's history.
type Page struct {
	Position                   // of the latest message of the room
	Messages []*frame.Prepared // oldest first, in dialect 0, without a gap
	First    uint64            // offset of the first of them
	More     bool              // the history has more, beyond them, in the direction of the page
}

// Before is the latest messages before an offset that the history has: at most n, and
// MaxPageBytes. Nothing of a room that is deleted.
func (r *Room) Before(offset uint64, n int) Page {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.page(r.history.before(offset, n))
}

// After is the earliest messages after an offset that the history has: at most n, and
// MaxPageBytes. They begin later than at the next offset if that is kept no more.
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

// before is the part of the ring that ends before an offset.
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

// later is the part of the ring that begins after an offset.
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

// index is the place in the ring of the first message that has this offset, or a later one.
func (h *history) index(offset uint64) int {
	if offset <= h.first {
		return h.head
	}
	return h.head + int(min(offset-h.first, uint64(h.len())))
}
