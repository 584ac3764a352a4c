//go:build linux

package perch

import (
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/internal/outbox"
	"github.com/perchws/perch/pool"
)

// cold is what a connection needs only while something is unfinished. It is
// recycled; a connection without one has nothing unfinished.
type cold struct {
	in      *pool.Buffer      // a cut head, frame header or control frame; or all input while paused
	parser  *handshake.Parser // of a cut head
	asm     frame.Assembler   // of a cut message
	asmBuf  *pool.Buffer      // whose memory asm uses
	inSince uint64            // coarse time at which the cut message, or header, began or last made progress
	came    int               // bytes of the message that had come then
	kept    int               // bytes of input that are counted: see weigh
	out     outbox.Box
	cause   *CloseError
	dial    *dialing
	upgrade *upgrading
	refusal *refusal // of a connection over a limit, unless its request is for a reserved path
	work    *work
	dropped int  // messages not queued, see Handler.OnGap
	discard int  // bytes of input thrown away while lingering
	unread  bool // the peer has sent more behind its close frame
	reset   bool // close with a RST
}

// empty reports that nothing is unfinished.
func (c *cold) empty() bool {
	return c.in == nil && c.parser == nil && c.asmBuf == nil && c.out.Empty() && !c.out.Watched() && c.cause == nil &&
		c.dial == nil && c.upgrade == nil && c.refusal == nil && c.work == nil && c.dropped == 0
}

// colds are the cold parts of a loop's connections. A connection has one from thaw until freeze finds
// that nothing is unfinished; then the part serves the next one. Parts that a burst has made go to the
// collector bit by bit (trim), and their places stay.
type colds struct {
	all    []*cold  // 0 is never used
	spare  []uint32 // places of parts that are free
	bare   []uint32 // the same, without a part: the collector has it
	unused int      // of spare, since the last trim
}

// coldOf is the slot's cold part, nil if it has none.
func (t *colds) coldOf(s *slot) *cold {
	if s.cold == 0 {
		return nil
	}
	return t.all[s.cold]
}

// thaw gives the slot a cold part if it has none.
func (t *colds) thaw(s *slot) *cold {
	if s.cold != 0 {
		return t.all[s.cold]
	}
	if n := len(t.spare); n > 0 {
		s.cold = t.spare[n-1]
		t.spare = t.spare[:n-1]
		t.unused = min(t.unused, n-1)
	} else if n := len(t.bare); n > 0 {
		s.cold = t.bare[n-1]
		t.bare = t.bare[:n-1]
		t.all[s.cold] = new(cold)
	} else {
		s.cold = uint32(len(t.all))
		t.all = append(t.all, new(cold))
	}
	return t.all[s.cold]
}

// freeze takes the cold part away if nothing is unfinished any more.
func (t *colds) freeze(s *slot) {
	if s.cold == 0 || !t.all[s.cold].empty() {
		return
	}
	c := t.all[s.cold]
	*c = cold{out: c.out} // an empty outbox keeps its small list
	t.spare = append(t.spare, s.cold)
	s.cold = 0
}

// trim lets the collector have half of the cold parts that nobody has needed
// since the last time: a burst makes as many as it needs.
func (t *colds) trim() {
	n := len(t.spare) - (t.unused+1)/2
	for _, i := range t.spare[n:] {
		t.all[i] = nil
	}
	t.bare = append(t.bare, t.spare[n:]...)
	t.spare = t.spare[:n]
	t.unused = n
}

// waits reports that output of the connection waits for its socket, or for the end of the tick.
func (t *slab) waits(s *slot) bool {
	return s.cold != 0 && !t.colds.all[s.cold].out.Empty()
}

// sealedWaits reports that TLS records of the connection wait for its socket.
func (t *slab) sealedWaits(s *slot) bool {
	return s.cold != 0 && len(t.colds.all[s.cold].out.Sealed()) > 0
}
