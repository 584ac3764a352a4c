package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestOf(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   Spread
	}{
		{nil, Spread{}},
		{[]float64{math.NaN(), math.Inf(1)}, Spread{}},
		{[]float64{3}, Spread{1, 3, 3, 3}},
		{[]float64{4, 1}, Spread{2, 1, 2.5, 4}},
		{[]float64{9, math.NaN(), 1, 5}, Spread{3, 1, 5, 9}},
	} {
		if got := Of(tt.values); got != tt.want {
			t.Errorf("of %v: %+v, want %+v", tt.values, got, tt.want)
		}
	}
}

// TestInterval has the intervals of the sign test's table (n, and how many
// values may be left out on each side).
func TestInterval(t *testing.T) {
	for n, left := range map[int]int{1: 0, 5: 0, 6: 1, 8: 1, 9: 2, 11: 2, 12: 3, 15: 4, 20: 6, 60: 22} {
		values := make([]float64, n)
		for i := range values {
			values[i] = float64(n - i) // 1 to n, backwards
		}
		low, high, ok := Interval(values)
		if ok != (left > 0) || ok && (low != float64(left) || high != float64(n+1-left)) {
			t.Errorf("of 1 to %d: %v to %v, %v; want %d and %d", n, low, high, ok, left, n+1-left)
		}
	}
	if _, _, ok := Interval(nil); ok {
		t.Error("nothing has an interval")
	}
}

func TestCompare(t *testing.T) {
	repeat := func(f float64, n int) (v []float64) {
		for i := range n {
			v = append(v, f+0.001*float64(i%3))
		}
		return v
	}
	for _, tt := range []struct {
		name   string
		ratios []float64
		want   Verdict
	}{
		{"nothing", nil, TooFew},
		{"five", repeat(0.5, 5), TooFew},
		{"half", repeat(0.5, 6), Worse},
		{"twice", repeat(2, 6), Better},
		{"clear but small", repeat(0.98, 30), Unclear},
		{"the same", repeat(1, 30), Unclear},
		{"wide", []float64{0.5, 0.6, 0.7, 0.8, 1.2, 1.3, 0.6}, Unclear},
		{"one outlier", []float64{0.8, 0.82, 0.81, 0.8, 0.83, 0.8, 0.81, 0.8, 3}, Worse},
	} {
		if got := Compare(tt.ratios, 0.03); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestCompareNoise judges noise around no difference: a false alarm is rare.
func TestCompareNoise(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	alarms := 0
	for range 2000 {
		ratios := make([]float64, 9)
		for i := range ratios {
			ratios[i] = 1 + 0.2*(r.Float64()-0.5)
		}
		if Compare(ratios, 0.03) == Worse {
			alarms++
		}
	}
	if alarms > 60 { // 2.5 % would be 50, without the tolerance
		t.Errorf("%d of 2000 comparisons of the same thing called worse", alarms)
	}
}

func TestRatios(t *testing.T) {
	got := Ratios([]float64{2, 0, math.NaN(), 4, 1}, []float64{1, 1, 1, math.NaN()})
	if len(got) != 1 || got[0] != 0.5 {
		t.Errorf("ratios %v, want one of 0.5", got)
	}
}
