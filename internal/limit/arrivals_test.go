package limit

import (
	"testing"
	"time"
)

// TestArrivalsTable: an address is not forgotten while it is over its rate, and the table does not grow.
func TestArrivalsTable(t *testing.T) {
	r := NewArrivals(1<<40, 3, [2]uint64{1, 2})
	from := func(n int) Address { return Address{1, byte(n >> 16), byte(n >> 8), byte(n)} }
	const now = int64(time.Hour)
	for n := range 4 {
		if got := r.AllowFrom(from(0), now); got != (n < 3) {
			t.Errorf("connection %d: %v", n, got)
		}
	}
	for n := range 1000 { // of others, one each
		if !r.AllowFrom(from(1+n), now) {
			t.Errorf("address %d is refused", n)
		}
	}
	if r.AllowFrom(from(0), now) {
		t.Error("it has a rate again while others came")
	}
	if !r.AllowFrom(from(0), now+int64(time.Second)) {
		t.Error("after a second it is refused")
	}
	for n := range 1 << 20 { // more than there are places
		r.AllowFrom(from(n), now)
	}
	for range 10 {
		if !r.AllowFrom(Address{}, now) {
			t.Error("the zero address is limited")
		}
	}
}

// TestArrivals: there are limits of each address and of all, and either may be none.
func TestArrivals(t *testing.T) {
	const now = int64(time.Hour)
	count := func(r *Arrivals) (each, whole int) {
		for range 100 {
			if r.AllowFrom(Address{7}, now) {
				each++
			}
			if r.Allow(now) {
				whole++
			}
		}
		return each, whole
	}
	for _, tt := range []struct{ whole, each, wantWhole, wantEach int }{
		{50, 10, 50, 10}, {None, 10, 100, 10}, {50, None, 50, 100},
	} {
		if each, whole := count(NewArrivals(tt.whole, tt.each, [2]uint64{})); each != tt.wantEach || whole != tt.wantWhole {
			t.Errorf("%+v: %d of an address, %d in all", tt, each, whole)
		}
	}
}

// TestArrivalsSpread: addresses that differ in any part go to different sets, with any seed.
func TestArrivalsSpread(t *testing.T) {
	for _, seed := range [][2]uint64{{}, {1, 2}, {0x9E3779B97F4A7C15, 1 << 63}} {
		for at := range 7 {
			r := NewArrivals(None, 1, seed)
			sets := make(map[uint64]int)
			for n := range arrivalSets {
				a := Address{}
				a[at], a[at+1] = byte(n), byte(n>>8)
				sets[r.hash(a)%arrivalSets]++
			}
			if len(sets) < arrivalSets/2 { // 63 % at random
				t.Errorf("seed %x: addresses that differ from byte %d on use %d of %d sets", seed, at, len(sets), arrivalSets)
			}
		}
	}
}
