package room

import "github.com/perchws/perch/frame"

// Position is a place in a room's order. An offset means something only within
// its epoch: after a room was deleted and made again, or its data was lost, the
// epoch is another.
type Position struct {
	Epoch  string
	Offset uint64
}

// history is a room's latest messages, encoded: ring[i] has the offset first+i.
type history struct {
	ring  []*frame.Prepared
	head  int    // ring before it is free
	first uint64 // offset of ring[head]
	bytes int
}

// entryCost is what an entry takes beside its frame's bytes.
const entryCost = 64

func (h *history) len() int { return len(h.ring) - h.head }

// push appends the message of an offset and drops the oldest while the limits
// are crossed. It returns by how many bytes the history has grown.
func (h *history) push(offset uint64, p *frame.Prepared, most, mostBytes int) int {
	before := h.bytes
	if h.len() == 0 || offset != h.first+uint64(h.len()) {
		h.clear()
		h.first = offset
	}
	h.ring = append(h.ring, p)
	h.bytes += len(p.Bytes()) + entryCost
	for h.len() > most || h.bytes > mostBytes {
		h.pop()
	}
	return h.bytes - before
}

// pop drops the oldest.
func (h *history) pop() {
	h.bytes -= len(h.ring[h.head].Bytes()) + entryCost
	h.ring[h.head] = nil
	h.head++
	h.first++
	if h.head > len(h.ring)/2 {
		n := copy(h.ring, h.ring[h.head:])
		clear(h.ring[n:])
		h.ring, h.head = h.ring[:n], 0
	}
}

// clear drops all. It returns how many bytes that were.
func (h *history) clear() int {
	n := h.bytes
	*h = history{}
	return n
}

// after is what follows an offset; false: it is not all here, or more than may be.
func (h *history) after(offset, last uint64, most, mostBytes int) ([]*frame.Prepared, bool) {
	if offset > last || last-offset > uint64(most) {
		return nil, false
	}
	n := int(last - offset)
	all := h.recent(n, mostBytes)
	return all, len(all) == n
}

// recent is the latest n, or fewer if that were too many bytes.
func (h *history) recent(n, mostBytes int) []*frame.Prepared {
	first, bytes := len(h.ring), 0
	for first > h.head && len(h.ring)-first < n {
		if bytes += len(h.ring[first-1].Bytes()); bytes > mostBytes {
			break
		}
		first--
	}
	return append([]*frame.Prepared(nil), h.ring[first:]...)
}
