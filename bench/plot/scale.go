package plot

import "math"

// logScale maps low … high to from … to by their logarithms.
type logScale struct{ low, high, from, to float64 }

// newLogScale has room for all values that are positive.
func newLogScale(values []float64, from, to float64) logScale {
	s := logScale{math.Inf(1), 0, from, to}
	for _, v := range values {
		if v > 0 && !math.IsInf(v, 0) {
			s.low, s.high = min(s.low, v), max(s.high, v)
		}
	}
	if s.high == 0 { // nothing to show
		s.low, s.high = 1, 10
	}
	if s.low == s.high {
		s.low, s.high = s.low/2, s.high*2
	}
	return s
}

func (s logScale) at(v float64) float64 {
	v = min(max(v, s.low), s.high)
	return s.from + (s.to-s.from)*math.Log(v/s.low)/math.Log(s.high/s.low)
}

// ticks are the powers of ten within the scale, and 2 and 5 between them if these
// are few.
func (s logScale) ticks() (all []float64) {
	for _, steps := range [][]float64{{1}, {1, 3}, {1, 2, 5}} {
		all = all[:0]
		for e := math.Floor(math.Log10(s.low)); e <= math.Ceil(math.Log10(s.high)); e++ {
			for _, k := range steps {
				if v := k * math.Pow(10, e); v >= s.low*0.999 && v <= s.high*1.001 {
					all = append(all, v)
				}
			}
		}
		if len(all) >= 3 {
			break
		}
	}
	return all
}

// linearTicks are round values from 0 to most, four to eight of them.
func linearTicks(most float64) (all []float64) {
	if most <= 0 {
		return []float64{0}
	}
	step := math.Pow(10, math.Floor(math.Log10(most)))
	for _, f := range []float64{1, 0.5, 0.2, 0.1} {
		if most/(step*f) >= 3 {
			step *= f
			break
		}
	}
	for v := 0.0; v <= most*1.0001; v += step {
		all = append(all, v)
	}
	return all
}

// spread moves labels apart that would overlap: at least gap between neighbours,
// none beyond low or high. at is sorted.
func spread(at []float64, gap, low, high float64) {
	for i := range at {
		at[i] = max(at[i], low)
		if i > 0 {
			at[i] = max(at[i], at[i-1]+gap)
		}
	}
	for i := len(at) - 1; i >= 0; i-- {
		limit := high
		if i < len(at)-1 {
			limit = at[i+1] - gap
		}
		at[i] = min(at[i], limit)
	}
}
