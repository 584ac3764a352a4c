package beside

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
)

// TestTableModel does the same to a Table and to a map, and compares.
func TestTableModel(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var table Table[int64]
		model := make(map[uint32]int64)
		most := uint32(1) << (4 + rng.IntN(14))
		for n := range 5000 {
			i := rng.Uint32N(most)
			switch rng.IntN(6) {
			case 0:
				table.Set(i, int64(n))
				model[i] = int64(n)
			case 1:
				*table.At(i) += 3
				model[i] += 3
			case 2:
				table.Clear(i)
				delete(model, i)
			case 3: // a stretch, so that pages become empty
				for j := i; j < min(i+PageSize, most); j++ {
					table.Clear(j)
					delete(model, j)
				}
			case 4:
				table.Trim(nil)
			}
			if v := table.Find(i); v != nil && *v != model[i] || v == nil && model[i] != 0 {
				t.Fatalf("seed %d, step %d: Find of %d, want %d", seed, n, i, model[i])
			}
			if got := table.Get(i); got != model[i] {
				t.Fatalf("seed %d, step %d: %d has %d, want %d", seed, n, i, got, model[i])
			}
		}
		for i := range most {
			if got := table.Get(i); got != model[i] {
				t.Fatalf("seed %d: %d has %d, want %d", seed, i, got, model[i])
			}
			if model[i] != 0 && i >= table.Len() {
				t.Fatalf("seed %d: %d has a value, and Len is %d", seed, i, table.Len())
			}
		}
		used := make(map[uint32]bool)
		for i, v := range model {
			if v != 0 {
				used[i/PageSize] = true
			}
		}
		for range trimCalls {
			table.Trim(nil)
		}
		if table.Pages() != len(used) {
			t.Errorf("seed %d: %d pages, and %d have a value", seed, table.Pages(), len(used))
		}
	}
}

// TestTableNothing: what has no value costs nothing.
func TestTableNothing(t *testing.T) {
	var table Table[any]
	if n := testing.AllocsPerRun(100, func() {
		table.Set(1<<31, nil)
		table.Clear(7)
		table.Trim(nil)
		if table.Get(^uint32(0)) != nil || table.Find(7) != nil {
			t.Error("a value of nobody")
		}
	}); n != 0 || table.Pages() != 0 || table.Len() != 0 {
		t.Errorf("%v allocations, %d pages, length %d", n, table.Pages(), table.Len())
	}
}

// TestTableUncomparable: a value that cannot be compared is no reason to panic.
func TestTableUncomparable(t *testing.T) {
	var table Table[any]
	table.Set(3, []int{1})
	table.Trim(nil)
	table.Set(3, []int{2})
	if got := table.Get(3).([]int); got[0] != 2 {
		t.Errorf("%v", got)
	}
	table.Clear(3)
	table.Trim(nil)
	if table.Pages() != 0 {
		t.Error("the page stays")
	}
}

// TestTableTrimBlank: the caller says which values are as good as none.
func TestTableTrimBlank(t *testing.T) {
	var table Table[int]
	table.Set(1, 5)
	table.Set(PageSize+1, 50)
	for range trimCalls {
		table.Trim(func(v *int) bool { return *v < 10 })
	}
	if table.Pages() != 1 || table.Get(1) != 0 || table.Get(PageSize+1) != 50 {
		t.Errorf("%d pages, values %d and %d", table.Pages(), table.Get(1), table.Get(PageSize+1))
	}
}

// TestTableMemory: a table takes what its values do, and gives it back.
func TestTableMemory(t *testing.T) {
	const n = 1 << 20
	var table Table[[2]uint64]
	before := liveHeap()
	for i := range uint32(n) {
		table.Set(i, [2]uint64{1, uint64(i)})
	}
	if got := float64(liveHeap()-before) / n; got > 16*1.02 {
		t.Errorf("%.2f bytes for a value of 16", got)
	}
	for i := range uint32(n) {
		table.Clear(i)
	}
	for range trimCalls {
		table.Trim(nil)
	}
	if got := liveHeap() - before; got > 64<<10 {
		t.Errorf("%d bytes when all is cleared", got)
	}
	table.Set(n, [2]uint64{1})
	if got := liveHeap() - before; got > 64<<10 {
		t.Errorf("%d bytes for one value behind a million of none", got)
	}
	runtime.KeepAlive(&table)
}

func liveHeap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestCounters: many goroutines count, and nothing is lost, not in the moment when a page is made.
func TestCounters(t *testing.T) {
	const goroutines, indices, each = 8, 5000, 3
	c := NewCounters(indices)
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for i := range uint32(indices) {
				for range each {
					c.At(i).Add(1)
				}
			}
		})
	}
	all.Wait()
	for i := range uint32(indices) {
		if n := c.At(i).Load(); n != goroutines*each {
			t.Fatalf("%d: %d, want %d", i, n, goroutines*each)
		}
	}
}

func BenchmarkTableAt(b *testing.B) {
	var table Table[[2]int64]
	const n = 1 << 14
	for i := range uint32(n) {
		table.At(i)[0] = 1
	}
	for i := range uint32(b.N) {
		table.At(i * 7919 % n)[1]++
	}
}
