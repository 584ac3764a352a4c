//go:build linux

package perch

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 {
		t.Error("a quantile of nothing")
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for n := 1; n <= 300; n++ {
		var all []time.Duration
		h = Histogram{}
		for range n {
			d := time.Duration(rng.Int64N(1 << (1 + rng.IntN(38))))
			all = append(all, d)
			h.add(int64(d))
		}
		slices.Sort(all)
		for _, q := range []float64{0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1} {
			// The smallest value that at least q of all are not above.
			k := 0
			for float64(k+1) < q*float64(n) {
				k++
			}
			if got := h.Quantile(q); got <= all[k] && all[k] > 0 || got > 2*max(all[k], 1) {
				t.Fatalf("of %d: the %v quantile is %v, its upper bound %v", n, q, all[k], got)
			}
		}
	}
	h = Histogram{}
	h.add(-5)
	h.add(1 << 62)
	if h.Count != 2 || h.Buckets[0] != 1 || h.Buckets[39] != 1 {
		t.Errorf("%+v", h)
	}
	var sum Histogram
	sum.merge(&h)
	sum.merge(&h)
	if sum.Count != 4 || sum.Sum != 2*h.Sum || sum.Buckets[39] != 2 {
		t.Errorf("merged: %+v", sum)
	}
}

// TestStatsMerge: every counter is added up, none twice. A new field that
// counters does not list fails here.
func TestStatsMerge(t *testing.T) {
	var one, sum Stats
	v := reflect.ValueOf(&one).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Uint64 {
			f.SetUint(uint64(i + 1))
		}
	}
	one.CloseCodes[3], one.CloseCodes[17] = 5, 6
	one.RoundTrips.add(1)
	one.Ticks.add(2)
	sum.merge(&one)
	sum.merge(&one)
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Uint64 {
			if got := reflect.ValueOf(sum).Field(i).Uint(); got != 2*uint64(i+1) {
				t.Errorf("%s is %d after %d twice", v.Type().Field(i).Name, got, i+1)
			}
		}
	}
	if sum.CloseCodes[3] != 10 || sum.CloseCodes[17] != 12 || sum.RoundTrips.Count != 2 || sum.Ticks.Count != 2 {
		t.Errorf("%+v", sum)
	}
}

func TestCloseCodes(t *testing.T) {
	for code, want := range map[CloseCode]int{
		1000: 0, 1006: 6, 1015: 15, 3000: 16, 3999: 16, 4000: 17, 4999: 17, 0: 6, 999: 6, 1016: 6, 2999: 6, 5000: 6,
	} {
		var s Stats
		if s.closeCode(code); s.CloseCodes[want] != 1 {
			t.Errorf("%d is counted in %v, want %d", code, s.CloseCodes, want)
		}
	}
}

// TestStatsOnLoop: a callback that asks gets an answer, which it cannot wait
// for, but one that is no older than a sweep.
func TestStatsOnLoop(t *testing.T) {
	var got Stats
	d := drive(t, Config{}, func(srv *Server) {
		srv.Handle("/ws", Handler{OnMessage: func(Conn, Opcode, []byte) { got = srv.Stats() }})
	})
	p := d.open(0)
	d.pass(5 * time.Second)
	d.turns(2)
	p.frame(Text, nil)
	d.turn()
	if got.Opened != 1 || got.Connections != 1 {
		t.Errorf("%d opened, %d connections, want 1", got.Opened, got.Connections)
	}
}
