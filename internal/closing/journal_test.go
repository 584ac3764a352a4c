package closing

import (
	"sync"
	"testing"
	"unsafe"
)

func TestJournal(t *testing.T) {
	j := NewJournal()
	if got := j.Of(0, 0); len(got) != 0 {
		t.Errorf("an empty journal has %v", got)
	}
	want := []Entry{
		{At: 1, Slot: 7, Gen: 3, From: Free, To: Handshake, Event: Accepted},
		{At: 1 << 60, Slot: 7, Gen: 3, From: Handshake, To: Open, Event: Opened, N: 1<<32 - 1},
		{At: 3, Slot: 7, Gen: 3, From: Closed, To: Free, Event: Reaped, Cause: Causes - 1, N: 5},
	}
	for _, e := range want {
		j.Add(e)
		j.Add(Entry{Slot: 7, Gen: 4})
		j.Add(Entry{Slot: 8, Gen: 3})
	}
	got := j.Of(7, 3)
	if len(got) != len(want) {
		t.Fatalf("%v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("entry %d: %+v, want %+v", i, got[i], want[i])
		}
	}
	for n := range journalSize {
		if n == journalSize-9 { // the next to be overwritten is the first of ours
			if got := j.Of(7, 3); len(got) != 2 || got[0] != want[1] {
				t.Errorf("begun to be overwritten: %v", got)
			}
		}
		j.Add(Entry{Slot: 9})
	}
	if got := j.Of(7, 3); len(got) != 0 {
		t.Errorf("overwritten: %v", got)
	}
	if size := unsafe.Sizeof(line{}); size != 24 {
		t.Errorf("%d bytes an entry, want 24", size)
	}
}

// TestJournalRead: a reader gets, while the loop writes, entries that were written, in order.
func TestJournalRead(t *testing.T) {
	j := NewJournal()
	const stories, rounds = 16, 20000
	var readers sync.WaitGroup
	stop := make(chan bool)
	for r := range 4 {
		readers.Go(func() {
			for n := uint32(r); ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				slot := n % stories
				story := j.Of(slot, slot+1)
				for i, e := range story {
					if e.Slot != slot || e.Gen != slot+1 || uint32(e.At) != e.N || e.Event != Event(e.N%uint32(Events)) || e.Cause != Cause(e.N%uint32(Causes)) {
						t.Errorf("of slot %d: %+v", slot, e)
						return
					}
					if i > 0 && e.At != story[i-1].At+1 {
						t.Errorf("of slot %d: %d behind %d", slot, e.At, story[i-1].At)
						return
					}
				}
			}
		})
	}
	for n := range uint32(rounds) {
		for slot := range uint32(stories) {
			j.Add(Entry{At: int64(n), Slot: slot, Gen: slot + 1, Event: Event(n % uint32(Events)), Cause: Cause(n % uint32(Causes)), N: n})
		}
	}
	close(stop)
	readers.Wait()
}

func BenchmarkJournal(b *testing.B) {
	j := NewJournal()
	for n := range b.N {
		j.Add(Entry{At: int64(n), Slot: uint32(n)})
	}
}

func BenchmarkNext(b *testing.B) {
	var sum Action
	for range b.N {
		_, do := Next(Replying, OutputSent, TLS)
		sum |= do
	}
	if sum == 0 {
		b.Fatal("nothing to do")
	}
}

func BenchmarkJournalOf(b *testing.B) {
	j := NewJournal()
	for n := range uint32(journalSize) {
		j.Add(Entry{Slot: n})
	}
	for range b.N {
		j.Of(7, 1)
	}
}
