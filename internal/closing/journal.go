package closing

import "sync/atomic"

// Entry is one line of the journal: what has happened to a connection, and why. 24 bytes there.
type Entry struct {
	At        int64 // ns of CLOCK_MONOTONIC
	Slot, Gen uint32
	From, To  State
	Event     Event
	Cause     Cause
	N         uint32 // see Unit
}

// journalSize is how many entries a loop keeps, a power of 2: 192 KiB.
const journalSize = 8192

// Journal keeps the last entries of one loop. The loop writes, at the price of a few stores; any
// goroutine reads, without stopping it. Its memory is there from the start, and never more.
type Journal struct {
	next atomic.Uint64 // entries written so far
	ring [journalSize]line
}

// line is an entry as it is kept: in words that are written one by one.
type line struct{ at, who, what atomic.Uint64 }

// NewJournal makes an empty one. Its pages are touched, so that the memory that connections
// cost later is theirs alone.
func NewJournal() *Journal {
	j := new(Journal)
	for i := range j.ring {
		j.ring[i].at.Store(0)
	}
	return j
}

// Add writes an entry. Of the loop alone.
func (j *Journal) Add(e Entry) {
	n := j.next.Load()
	l := &j.ring[n%journalSize]
	l.at.Store(uint64(e.At))
	l.who.Store(uint64(e.Slot)<<32 | uint64(e.Gen))
	l.what.Store(uint64(e.From) | uint64(e.To)<<8 | uint64(e.Event)<<16 | uint64(e.Cause)<<24 | uint64(e.N)<<32)
	j.next.Store(n + 1)
}

// Of returns the entries of one use of a slot, the oldest first, as far as they are still there. Any
// goroutine.
func (j *Journal) Of(slot, gen uint32) (story []Entry) {
	who := uint64(slot)<<32 | uint64(gen)
	end := j.next.Load()
	begin := uint64(0)
	if end > journalSize {
		begin = end - journalSize
	}
	var at []uint64 // place of each
	for n := begin; n < end; n++ {
		l := &j.ring[n%journalSize]
		if l.who.Load() != who {
			continue
		}
		what := l.what.Load()
		story = append(story, Entry{
			At: int64(l.at.Load()), Slot: slot, Gen: gen,
			From: State(what), To: State(what >> 8), Event: Event(what >> 16), Cause: Cause(what >> 24), N: uint32(what >> 32),
		})
		at = append(at, n)
	}
	// What has been overwritten meanwhile, or is being, is not true.
	lost := 0
	for end = j.next.Load(); lost < len(at) && at[lost]+journalSize <= end; lost++ {
	}
	return story[lost:]
}
