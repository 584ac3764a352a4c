package room

import "github.com/perchws/perch/frame"

// Position is a place in a room's order. An offset means something only within its epoch: the epoch is another one
// after a room was deleted and made again, or its data was lost.
type Position struct {
	Epoch  string
	Offset uint64
}

// history is a room's latest messages, encoded: ring[i] has the offset first+i, and is paid for by payers[i].
type history struct {
	ring   []*frame.Prepared
	payers []*charge
	head   int    // ring before it is free
	first  uint64 // offset of ring[head]
	bytes  int
}

// entryCost is the size of an entry without the bytes of its frame.
const entryCost = 64

func (h *history) len() int { return len(h.ring) - h.head }

// cost is the size of a message in the history.
func cost(p *frame.Prepared) int { return len(p.Bytes()) + entryCost }

// push appends the message of an offset, which follows the latest one if there is one.
func (h *history) push(offset uint64, p *frame.Prepared, c *charge) {
	if h.len() == 0 {
		h.first = offset
	}
	h.ring, h.payers = append(h.ring, p), append(h.payers, c)
	h.bytes += cost(p)
}

// pop drops the oldest message, and returns the charge that paid for it, and how much.
func (h *history) pop() (c *charge, n int) {
	c, n = h.payers[h.head], cost(h.ring[h.head])
	h.bytes -= n
	h.ring[h.head], h.payers[h.head] = nil, nil
	h.head++
	h.first++
	switch {
	case h.len() == 0:
		*h = history{}
	case h.head > len(h.ring)/2:
		n := copy(h.ring, h.ring[h.head:])
		copy(h.payers, h.payers[h.head:])
		clear(h.ring[n:])
		clear(h.payers[n:])
		h.ring, h.payers, h.head = h.ring[:n], h.payers[:n], 0
	}
	return c, n
}

// after returns the messages after an offset; false: some are gone, or there are too many.
func (h *history) after(offset, last uint64, most, mostBytes int) ([]*frame.Prepared, bool) {
	if offset > last || last-offset > uint64(most) {
		return nil, false
	}
	n := int(last - offset)
	all := h.recent(n, mostBytes)
	return all, len(all) == n
}

// recent returns the latest n messages, or fewer if those are too many bytes.
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
