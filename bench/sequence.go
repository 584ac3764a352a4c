package bench

// sequence follows numbers that should come as 0, 1, 2 … and tells what is
// wrong with each that does not.
type sequence struct {
	next  uint64 // after the highest number seen
	seen  uint64 // bit i: next−1−i has come
	holes uint64 // numbers below next that have not
}

// arrival is how a number came.
type arrival uint8

const (
	inOrder  arrival = iota
	afterGap         // those between it and the one before have not come (yet)
	late             // a hole is filled
	twice
)

// add takes note of a number.
func (s *sequence) add(n uint64) arrival {
	switch {
	case n == s.next:
		s.next++
		s.seen = s.seen<<1 | 1
		return inOrder
	case n > s.next:
		gap := n - s.next
		s.holes += gap
		s.seen = s.seen<<(gap+1) | 1 // a shift of 64 and more is 0
		s.next = n + 1
		return afterGap
	}
	back := s.next - 1 - n
	if back >= 64 { // too long ago to know: a hole if there is one
		if s.holes == 0 {
			return twice
		}
	} else if s.seen>>back&1 != 0 {
		return twice
	} else {
		s.seen |= 1 << back
	}
	s.holes--
	return late
}

// missing is how many of the first n numbers have not come.
func (s *sequence) missing(n uint64) uint64 { return n - s.next + s.holes }
