// Package stats says what a few measurements of the same thing allow one to
// say: a median with its range, and whether one of two is clearly better. It
// assumes no distribution: the speed of a shared machine has none.
package stats

import (
	"math"
	"slices"
)

// Spread is what a figure is reported as: never a number without how many
// measurements it comes from, and how far they lay apart.
type Spread struct {
	N                int
	Min, Median, Max float64
}

// Of takes the spread of some measurements. A value that is no finite number is
// left out: it is no measurement.
func Of(values []float64) Spread {
	v := finite(values)
	if len(v) == 0 {
		return Spread{}
	}
	slices.Sort(v)
	return Spread{N: len(v), Min: v[0], Median: median(v), Max: v[len(v)-1]}
}

// finite returns a copy without NaN and infinities.
func finite(values []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(values), func(f float64) bool { return math.IsNaN(f) || math.IsInf(f, 0) })
}

// median of sorted values, one at least.
func median(v []float64) float64 {
	n := len(v)
	if n%2 == 1 {
		return v[n/2]
	}
	return (v[n/2-1] + v[n/2]) / 2
}

// Interval is a 95 % confidence interval of the median: between two of the
// values, found by their order alone (each is above the median as a fair coin
// falls). ok is false for fewer than six values, which cannot give one.
func Interval(values []float64) (low, high float64, ok bool) {
	v := finite(values)
	slices.Sort(v)
	n := len(v)
	// k values on each side may be left out while the chance that the median is
	// among them, the sum of n over i times 2^-n for i < k, is 2.5 % at most.
	k, p, sum := 0, math.Pow(0.5, float64(n)), 0.0
	for n > 0 && sum+p <= 0.025 {
		sum += p
		p *= float64(n-k) / float64(k+1)
		k++
	}
	if k == 0 {
		return 0, 0, false
	}
	return v[k-1], v[n-k], true
}
