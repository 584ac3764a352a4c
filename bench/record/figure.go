package record

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/perchws/perch/bench/stats"
)

// Figure is a number with its unit, to three digits.
func Figure(v float64, unit string) string {
	switch unit {
	case "µs":
		switch a := math.Abs(v); {
		case a >= 999_500:
			return digits(v/1e6) + " s"
		case a >= 999.5:
			return digits(v/1e3) + " ms"
		}
		return digits(v) + " µs"
	case "bytes":
		switch a := math.Abs(v); {
		case a >= 999_500:
			return digits(v/1e6) + " MB"
		case a >= 999.5:
			return digits(v/1e3) + " kB"
		}
		return strconv.FormatFloat(math.Round(v), 'f', -1, 64) + " B"
	}
	switch a := math.Abs(v); {
	case a >= 999_500:
		return digits(v/1e6) + " M"
	case a >= 999.5:
		return digits(v/1e3) + " k"
	}
	return digits(v)
}

// digits is a number to three digits.
func digits(v float64) string {
	prec := 0
	switch a := math.Abs(v); {
	case a == 0:
		return "0"
	case a < 9.995:
		prec = 2
	case a < 99.95:
		prec = 1
	}
	return strconv.FormatFloat(v, 'f', prec, 64)
}

// Tick is a round number with its unit, for an axis: without zeros at its end.
func Tick(v float64, unit string) string {
	number, suffix, ok := strings.Cut(Figure(v, unit), " ")
	if strings.Contains(number, ".") {
		number = strings.TrimRight(strings.TrimRight(number, "0"), ".")
	}
	if ok {
		number += " " + suffix
	}
	return number
}

// Range is the range of a spread and the rounds it comes from. The unit stands
// once where it is the same.
func Range(s stats.Spread, unit string) string {
	low, high := Figure(s.Min, unit), Figure(s.Max, unit)
	number, suffix, _ := strings.Cut(low, " ")
	if _, other, _ := strings.Cut(high, " "); suffix == other {
		low = number
	}
	return fmt.Sprintf("%s–%s, %d×", low, high, s.N)
}

// Ratio is a ratio of figures for people.
func Ratio(f float64) string {
	switch {
	case f >= 99.5:
		return strconv.FormatFloat(math.Round(f), 'f', -1, 64)
	case f >= 9.95:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	if f > 0 && f < 0.095 {
		return strconv.FormatFloat(f, 'g', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 2, 64)
}

// Times is a ratio with its range.
func Times(s stats.Spread) string {
	return fmt.Sprintf("× %s (%s–%s)", Ratio(s.Median), Ratio(s.Min), Ratio(s.Max))
}

// Thousands is a whole number in groups of three digits.
func Thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
