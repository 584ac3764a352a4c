//go:build linux

package perch

import (
	"sync/atomic"

	"github.com/perchws/perch/internal/beside"
)

// slot is all that an idle connection is: 24 bytes without a pointer. Its
// address is stable, its meaning changes when it is freed: the generation
// tells. Other facts about an idle connection are in tables (slab_tables.go,
// room.Shards), and cost nothing where it has none.
type slot struct {
	gen    atomic.Uint32 // written by the loop alone
	fd     int32
	cold   uint32 // index in colds.all, 0: none; free slots: the next one
	state  connState
	agreed agreed // of permessage-deflate
	flags  slotFlags
	word   uint64 // coarse time of 40 bits, see seen and entered, and route
}

const (
	routeBits = 24
	maxRoutes = 1 << routeBits
)

// seen is the coarse time of the last sign of life of an open connection.
func (s *slot) seen() uint64 { return s.word >> routeBits }

// see sets it.
func (s *slot) see(t uint64) { s.word = t<<routeBits | s.word&(maxRoutes-1) }

// entered is the coarse time at which the time of the state began, if the connection is not open. It has the place of
// seen: no connection needs both.
func (s *slot) entered() uint64 { return s.seen() }

// enter sets it.
func (s *slot) enter(t uint64) { s.see(t) }

// route is an index in Server.table.
func (s *slot) route() uint32 { return uint32(s.word & (maxRoutes - 1)) }

// setRoute sets it.
func (s *slot) setRoute(i uint32) { s.word = s.word&^(maxRoutes-1) | uint64(i) }

// slotFlags are independent facts about a connection, none of them a state.
type slotFlags uint16

const (
	flagIn      slotFlags = 1 << iota // registered for input
	flagOut                           // registered for output
	flagPaused                        // reading is held: too much output is queued
	flagLags                          // reading is held: its worker lags, or the worker pool is full
	flagEnded                         // reading is held: the input is at its end, and something works for it
	flagWaits                         // reading is held: its TLS handshake waits for its turn, or has enough
	flagTold                          // the journal knows that reading is held
	flagDirty                         // listed in l.lists.dirty
	flagPinged                        // a ping is unanswered
	flagClient                        // we are the client: frames are masked
	flagOpened                        // OnOpen was called, OnClose is owed
	flagDeflate                       // permessage-deflate is agreed: see slot.agreed
	flagRefused                       // over a limit: counted in Server.refusing, see limits_overflow.go
	flagPassed                        // net/http has the socket, and its place in the counts
	flagTLS                           // its bytes are records: see tls_records.go
)

// flagsHeld are the reasons to hold reading, each with one owner, and flagTold. A connection
// leaves all of them behind with its state.
const flagsHeld = flagPaused | flagLags | flagEnded | flagWaits | flagTold

// held reports that reading from the connection is held.
func (s *slot) held() bool { return s.flags&(flagsHeld&^flagTold) != 0 }

const (
	chunkBits = 10
	chunkSize = 1 << chunkBits
)

// chunk is a stretch of slots.
type chunk [chunkSize]slot

// slab is the table of a loop's connections: their slots, their unfinished parts (slab_cold.go), and rare
// facts about them (slab_tables.go). All of it is the loop's. Any goroutine may load chunk pointers and
// generations, and use what says so.
type slab struct {
	chunks    []atomic.Pointer[chunk] // its length is the most there can be
	made      int                     // slots that exist
	freeFirst uint32                  // free slots, a queue: reused first-in first-out, so that
	freeLast  uint32                  // a stale handle cannot soon come to mean somebody else
	free      int
	live      int

	colds
	tables
}

const noSlot = ^uint32(0)

func newSlab(most int) slab {
	chunks := (most + chunkSize - 1) / chunkSize
	return slab{
		chunks:    make([]atomic.Pointer[chunk], chunks),
		freeFirst: noSlot, freeLast: noSlot,
		colds:  colds{all: make([]*cold, 1)},
		tables: tables{posted: beside.NewCounters(chunks * chunkSize)},
	}
}

// at is slot i, which must exist.
func (t *slab) at(i uint32) *slot {
	return &t.chunks[i>>chunkBits].Load()[i%chunkSize]
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
	return &c[i%chunkSize]
}

// alloc takes a free slot; false if all are taken. A small stock stays free so
// that no slot is reused at once.
func (t *slab) alloc() (i uint32, s *slot, ok bool) {
	if t.free < chunkSize/4 && t.made>>chunkBits < len(t.chunks) {
		c := new(chunk)
		t.chunks[t.made>>chunkBits].Store(c)
		for j := range c {
			c[j].gen.Store(1)
			t.release(uint32(t.made+j), &c[j])
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
	t.forget(i)
	s.gen.Store(s.gen.Load() + 1)
	s.flags, s.agreed, s.word = 0, 0, 0
	t.live--
	t.release(i, s)
}

// trim gives back memory that a burst of connections has left.
func (t *slab) trim(now int64) {
	t.colds.trim()
	t.tables.trim(now)
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
