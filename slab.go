//go:build linux

package perch

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/internal/outbox"
	"github.com/perchws/perch/pool"
)

// slot is all that an idle connection is: 24 bytes without a pointer. Its
// address is stable, its meaning changes when it is freed: the generation
// tells.
type slot struct {
	gen    atomic.Uint32 // written by the loop alone
	fd     int32
	cold   uint32 // index in slab.colds, 0: none; free slots: the next one
	state  connState
	agreed agreed // of permessage-deflate
	flags  slotFlags
	word   uint64 // coarse time of 40 bits, see seen, and route
}

const (
	routeBits = 24
	maxRoutes = 1 << routeBits
)

// seen is the coarse time of the last sign of life; outside stateOpen, of the
// state's begin.
func (s *slot) seen() uint64 { return s.word >> routeBits }

// see sets it.
func (s *slot) see(t uint64) { s.word = t<<routeBits | s.word&(maxRoutes-1) }

// route is an index in Server.table.
func (s *slot) route() uint32 { return uint32(s.word & (maxRoutes - 1)) }

// setRoute sets it.
func (s *slot) setRoute(i uint32) { s.word = s.word&^(maxRoutes-1) | uint64(i) }

// slotFlags are independent facts about a connection, none of them a state.
type slotFlags uint16

const (
	flagIn      slotFlags = 1 << iota // registered for input
	flagOut                           // registered for output
	flagPaused                        // too much queued, reading stopped
	flagLags                          // its worker job lags, reading stopped
	flagDirty                         // listed in loop.dirty
	flagPinged                        // a ping is unanswered
	flagClient                        // we are the client: frames are masked
	flagOpened                        // OnOpen was called, OnClose is owed
	flagDeflate                       // permessage-deflate is agreed: see slot.agreed
	flagRefused                       // over a limit: counted in Server.refusing, see limits_overflow.go
	flagEnded                         // the input is at its end, reading stopped; a worker's answers are due
	flagPassed                        // net/http has the socket, and its place in the counts
	flagTLS                           // its bytes are records: see tls_records.go
)

// cold is what a connection needs only while something is unfinished. It is
// recycled; a connection without one has nothing unfinished.
type cold struct {
	in      *pool.Buffer      // a cut head, frame header or control frame; or all input while paused
	parser  *handshake.Parser // of a cut head
	asm     frame.Assembler   // of a cut message
	asmBuf  *pool.Buffer      // whose memory asm uses
	begun   uint64            // coarse time at which the cut message, or header, began, or has last come on
	came    int               // bytes of the message that had come then
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

const (
	chunkBits = 10
	chunkSize = 1 << chunkBits
)

// chunk is a stretch of slots, with the rarer facts beside them.
type chunk struct {
	slots   [chunkSize]slot
	values  *[chunkSize]any                         // user values; made when the first is set. Written under slab.mu
	rates   *[chunkSize]rateState                   // made when the first limited message comes
	peers   *[chunkSize]addrKey                     // made when the first address that counts connects
	proxied *[chunkSize]netip.AddrPort              // of a PROXY header; made when the first comes
	windows *[chunkSize]windows                     // made when the first context is kept
	tls     *[chunkSize]*tlsConn                    // made when the first TLS handshake begins
	posted  atomic.Pointer[[chunkSize]atomic.Int64] // bytes on their way to it; made when the first is posted. Any goroutine
}

// slab is the table of a loop's connections. All is the loop's, but chunk
// pointers and generations may be read, and values under mu, by anyone.
type slab struct {
	chunks    []atomic.Pointer[chunk] // its length is the most there can be
	made      int                     // slots that exist
	freeFirst uint32                  // free slots, a queue: reused first-in first-out, so that
	freeLast  uint32                  // a stale handle cannot soon come to mean somebody else
	free      int
	live      int

	colds     []*cold  // 0 is never used
	spareCold []uint32 // places of colds that are free
	bareCold  []uint32 // the same, without a cold: the collector has it; see trim
	unused    int      // of spareCold, since the last trim

	mu sync.Mutex
}

const noSlot = ^uint32(0)

func newSlab(most int) slab {
	return slab{
		chunks:    make([]atomic.Pointer[chunk], (most+chunkSize-1)/chunkSize),
		freeFirst: noSlot, freeLast: noSlot,
		colds: make([]*cold, 1),
	}
}

// at is slot i, which must exist.
func (t *slab) at(i uint32) *slot {
	return &t.chunks[i>>chunkBits].Load().slots[i%chunkSize]
}

// find is slot i if it exists. Any goroutine may call it, and then only load
// the generation.
func (t *slab) find(i uint32) *slot {
	if int(i>>chunkBits) >= len(t.chunks) {
		return nil
	}
	c := t.chunks[i>>chunkBits].Load()
	if c == nil {
		return nil
	}
	return &c.slots[i%chunkSize]
}

// alloc takes a free slot; false if all are taken. A small stock stays free so
// that no slot is reused at once.
func (t *slab) alloc() (i uint32, s *slot, ok bool) {
	if t.free < chunkSize/4 && t.made>>chunkBits < len(t.chunks) {
		c := new(chunk)
		t.chunks[t.made>>chunkBits].Store(c)
		for j := range c.slots {
			c.slots[j].gen.Store(1)
			t.release(uint32(t.made+j), &c.slots[j])
		}
		t.made += chunkSize
	}
	if t.free == 0 {
		return 0, nil, false
	}
	i = t.freeFirst
	s = t.at(i)
	t.freeFirst = s.cold
	if t.freeFirst == noSlot {
		t.freeLast = noSlot
	}
	t.free--
	t.live++
	s.cold = 0
	return i, s, true
}

// dealloc ends the use of a slot: from now on its handles are stale.
func (t *slab) dealloc(i uint32, s *slot) {
	t.setValue(i, nil)
	if r := t.chunks[i>>chunkBits].Load().rates; r != nil {
		r[i%chunkSize] = rateState{}
	}
	if s.agreed&(agreedOurs|agreedTheirs) != 0 {
		t.setWindows(i, windows{})
	}
	s.gen.Store(s.gen.Load() + 1)
	s.flags, s.agreed, s.word = 0, 0, 0
	t.live--
	t.release(i, s)
}

func (t *slab) release(i uint32, s *slot) {
	s.cold = noSlot
	if t.freeLast == noSlot {
		t.freeFirst = i
	} else {
		t.at(t.freeLast).cold = i
	}
	t.freeLast = i
	t.free++
}

// value is the user value of slot i.
func (t *slab) value(i uint32) any {
	v := t.chunks[i>>chunkBits].Load().values
	if v == nil {
		return nil
	}
	return v[i%chunkSize]
}

// setValue is called by the loop alone.
func (t *slab) setValue(i uint32, v any) {
	c := t.chunks[i>>chunkBits].Load()
	if c.values == nil && v == nil {
		return
	}
	t.mu.Lock()
	if c.values == nil {
		c.values = new([chunkSize]any)
	}
	c.values[i%chunkSize] = v
	t.mu.Unlock()
}

// foreignValue is value for other goroutines: nil if gen is over.
func (t *slab) foreignValue(i, gen uint32) any {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.find(i)
	if s == nil || s.gen.Load() != gen {
		return nil
	}
	return t.value(i)
}

// coldOf is the slot's cold part, nil if it has none.
func (t *slab) coldOf(s *slot) *cold {
	if s.cold == 0 {
		return nil
	}
	return t.colds[s.cold]
}

// thaw gives the slot a cold part if it has none.
func (t *slab) thaw(s *slot) *cold {
	if s.cold != 0 {
		return t.colds[s.cold]
	}
	if n := len(t.spareCold); n > 0 {
		s.cold = t.spareCold[n-1]
		t.spareCold = t.spareCold[:n-1]
		t.unused = min(t.unused, n-1)
	} else if n := len(t.bareCold); n > 0 {
		s.cold = t.bareCold[n-1]
		t.bareCold = t.bareCold[:n-1]
		t.colds[s.cold] = new(cold)
	} else {
		s.cold = uint32(len(t.colds))
		t.colds = append(t.colds, new(cold))
	}
	return t.colds[s.cold]
}

// freeze takes the cold part away if nothing is unfinished any more.
func (t *slab) freeze(s *slot) {
	if s.cold == 0 || !t.colds[s.cold].empty() {
		return
	}
	c := t.colds[s.cold]
	*c = cold{out: c.out} // an empty outbox keeps its small list
	t.spareCold = append(t.spareCold, s.cold)
	s.cold = 0
}

// trim lets the collector have half of the cold parts that nobody has needed
// since the last time: a burst makes as many as it needs.
func (t *slab) trim() {
	n := len(t.spareCold) - (t.unused+1)/2
	for _, i := range t.spareCold[n:] {
		t.colds[i] = nil
	}
	t.bareCold = append(t.bareCold, t.spareCold[n:]...)
	t.spareCold = t.spareCold[:n]
	t.unused = n
}
