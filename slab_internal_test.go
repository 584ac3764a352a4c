//go:build linux

package perch

import (
	"testing"
	"unsafe"

	"github.com/perchws/perch/internal/limit"
)

// TestSizes: what every connection costs, idle or not.
func TestSizes(t *testing.T) {
	if got := unsafe.Sizeof(slot{}); got != 24 {
		t.Errorf("a slot is %d bytes, want 24", got)
	}
	if got := unsafe.Sizeof(chunk{}); got != 24*chunkSize {
		t.Errorf("a chunk is %d bytes", got)
	}
	if got := unsafe.Sizeof(Conn{}); got != 16 {
		t.Errorf("a Conn is %d bytes, want 16", got)
	}
}

// TestSlabReuse: slots come back first in, first out, with another generation.
func TestSlabReuse(t *testing.T) {
	tab := newSlab(chunkSize)
	var order []uint32
	for range 10 {
		i, s, ok := tab.alloc()
		if !ok || s != tab.at(i) || s.cold != 0 || s.gen.Load() != 1 {
			t.Fatalf("slot %d: ok %v, cold %d, generation %d", i, ok, s.cold, s.gen.Load())
		}
		order = append(order, i)
	}
	order[2], order[7] = order[7], order[2]
	for _, i := range order {
		tab.dealloc(i, tab.at(i))
	}
	if tab.live != 0 || tab.free != chunkSize {
		t.Fatalf("%d live, %d free", tab.live, tab.free)
	}
	for range chunkSize - len(order) { // those that were never used come first
		if i, s, ok := tab.alloc(); !ok || s.gen.Load() != 1 {
			t.Fatalf("slot %d of generation %d is reused too early", i, s.gen.Load())
		}
	}
	for _, want := range order {
		if i, s, ok := tab.alloc(); !ok || i != want || s.gen.Load() != 2 {
			t.Fatalf("slot %d of generation %d, want slot %d of generation 2", i, s.gen.Load(), want)
		}
	}
	if _, _, ok := tab.alloc(); ok {
		t.Error("more slots than there can be")
	}
	if tab.live != chunkSize || tab.free != 0 {
		t.Errorf("%d live, %d free", tab.live, tab.free)
	}
	tab.dealloc(5, tab.at(5))
	if i, _, ok := tab.alloc(); !ok || i != 5 {
		t.Errorf("slot %d after all were taken, want 5", i)
	}
}

// TestSlabGrowth: chunks are made one by one, and slots keep their address.
func TestSlabGrowth(t *testing.T) {
	const most = 3*chunkSize + 1 // a chunk begun is a whole one
	tab := newSlab(most)
	if tab.find(0) != nil || tab.find(noSlot) != nil || tab.find(1<<31) != nil {
		t.Fatal("a slot exists before the first connection")
	}
	_, first, _ := tab.alloc()
	if tab.made != chunkSize {
		t.Fatalf("%d slots made for one connection", tab.made)
	}
	seen := make(map[uint32]bool)
	for range 4*chunkSize - 1 {
		i, _, ok := tab.alloc()
		if !ok || seen[i] {
			t.Fatalf("after %d slots: %d, %v", len(seen), i, ok)
		}
		seen[i] = true
	}
	if _, _, ok := tab.alloc(); ok || tab.made != 4*chunkSize {
		t.Errorf("%d slots made, full: %v", tab.made, !ok)
	}
	if tab.at(0) != first || tab.find(0) != first || tab.find(4*chunkSize) != nil {
		t.Error("a slot has moved")
	}
}

// TestSlabStale: what was kept with a slot goes with its connection.
func TestSlabStale(t *testing.T) {
	tab := newSlab(chunkSize)
	i, s, _ := tab.alloc()
	gen := s.gen.Load()
	tab.values.set(i, "mine")
	one := limit.NewTraffic(1, 1, 1)
	one.Message(tab.rates.At(i), 5)
	tab.counted.Set(i, limit.Address{1})
	s.flags = flagOpened
	s.setRoute(7)
	if tab.values.get(i) != "mine" || tab.foreignValue(i, gen) != "mine" || tab.foreignValue(i, gen+1) != nil {
		t.Errorf("values %v, %v", tab.values.get(i), tab.foreignValue(i, gen))
	}
	tab.dealloc(i, s)
	if tab.foreignValue(i, gen) != nil || tab.foreignValue(i, gen+1) != nil || tab.foreignValue(noSlot, 1) != nil {
		t.Error("a value outlives its connection")
	}
	if s.gen.Load() == gen || s.flags != 0 || s.word != 0 || tab.rates.Get(i) != (limit.Used{}) || tab.counted.Get(i) != (limit.Address{}) {
		t.Errorf("the slot's next connection begins with %b, word %x, %v", s.flags, s.word, tab.rates.Get(i))
	}
	s.gen.Store(^uint32(0))
	tab.dealloc(i, s) // as if it were the last generation: it begins again
	if s.gen.Load() != 0 {
		t.Errorf("generation %d", s.gen.Load())
	}
}

// TestSlabCold: cold parts are made when needed, taken away when empty, used
// again, and let go of after a burst.
func TestSlabCold(t *testing.T) {
	tab := newSlab(16 * chunkSize)
	_, s, _ := tab.alloc()
	if tab.coldOf(s) != nil {
		t.Fatal("an idle connection has a cold part")
	}
	c := tab.thaw(s)
	if tab.thaw(s) != c || tab.coldOf(s) != c || s.cold == 0 {
		t.Fatal("two cold parts for one connection")
	}
	c.dropped = 1
	if tab.freeze(s); s.cold == 0 {
		t.Fatal("taken away with something unfinished")
	}
	c.dropped, c.discard, c.reset, c.inSince = 0, 9, true, 9
	if tab.freeze(s); s.cold != 0 {
		t.Fatal("not taken away")
	}
	if again := tab.thaw(s); again != c || again.discard != 0 || again.reset || again.inSince != 0 {
		t.Errorf("the next one gets %+v", again)
	}
	tab.freeze(s)

	const burst, busy = 1000, 10
	var slots []*slot
	for range burst {
		_, s, _ := tab.alloc()
		tab.thaw(s)
		slots = append(slots, s)
	}
	if len(tab.colds.all) != burst+1 {
		t.Fatalf("%d cold parts for %d connections", len(tab.colds.all)-1, burst)
	}
	for _, s := range slots {
		tab.freeze(s)
	}
	parts := func() (n int) {
		for _, c := range tab.colds.all[1:] {
			if c != nil {
				n++
			}
		}
		return n
	}
	if n := parts(); n != burst {
		t.Errorf("%d cold parts after the burst, %d were used", n, burst)
	}
	for range 20 { // what is used from now on stays, the rest goes
		for _, s := range slots[:busy] {
			tab.thaw(s)
		}
		for _, s := range slots[:busy] {
			tab.freeze(s)
		}
		tab.trim(0)
	}
	if n := parts(); n != busy {
		t.Errorf("%d cold parts long after the burst, %d are in use", n, busy)
	}
	if n := len(tab.spare) + len(tab.bare); n != burst {
		t.Errorf("%d places are free, want %d", n, burst)
	}
	for _, s := range slots {
		tab.thaw(s)
	}
	if n := parts(); n != burst || len(tab.colds.all) != burst+1 {
		t.Errorf("%d cold parts in %d places for another burst", n, len(tab.colds.all)-1)
	}
}
