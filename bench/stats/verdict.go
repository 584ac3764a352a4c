package stats

// Verdict is what ratios of pairs, measured in turn, say about the second of
// each pair.
type Verdict uint8

const (
	TooFew  Verdict = iota // no interval: fewer than six pairs
	Unclear                // the interval has 1 in it, or the difference is too small to matter
	Better
	Worse
)

var verdictNames = [...]string{TooFew: "too few rounds", Unclear: "no clear difference", Better: "better", Worse: "worse"}

// String is the verdict for people.
func (v Verdict) String() string { return verdictNames[v] }

// Compare judges ratios (new to old, more than 1 is better): a difference is
// clear if the whole interval of the median lies on one side of 1, and the median
// is further from it than the tolerance.
func Compare(ratios []float64, tolerance float64) Verdict {
	low, high, ok := Interval(ratios)
	m := Of(ratios).Median
	switch {
	case !ok:
		return TooFew
	case high < 1 && m < 1-tolerance:
		return Worse
	case low > 1 && m > 1+tolerance:
		return Better
	}
	return Unclear
}

// Ratios divides the values of each pair; a pair with a zero or missing side is
// left out.
func Ratios(old, new []float64) (ratios []float64) {
	for i := range min(len(old), len(new)) {
		if old[i] > 0 && new[i] > 0 {
			ratios = append(ratios, new[i]/old[i])
		}
	}
	return finite(ratios)
}
