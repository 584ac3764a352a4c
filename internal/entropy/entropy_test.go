package entropy

import (
	"bytes"
	"testing"
)

func TestSeeded(t *testing.T) {
	fill := func(s Source) []byte {
		p := make([]byte, 100)
		s.Fill(p[:37])
		s.Fill(p[37:])
		return p
	}
	a, b := fill(NewSeeded(7)), fill(NewSeeded(7))
	if !bytes.Equal(a, b) {
		t.Error("the same seed gives two things")
	}
	if bytes.Equal(a, fill(NewSeeded(8))) {
		t.Error("two seeds give the same")
	}
	if x, y := Stream(NewSeeded(7)), Stream(NewSeeded(7)); x.Uint64() != y.Uint64() {
		t.Error("two streams of the same seed differ")
	}
}

func TestSystem(t *testing.T) {
	if a, b := Uint64(System{}), Uint64(System{}); a == b {
		t.Error("the same number twice")
	}
}

// TestIntN: within its bounds, and every one of them is met.
func TestIntN(t *testing.T) {
	s, met := NewSeeded(1), make(map[int]bool)
	for range 1000 {
		n := IntN(s, 7)
		if n < 0 || n >= 7 {
			t.Fatal(n)
		}
		met[n] = true
	}
	if len(met) != 7 {
		t.Errorf("only %v", met)
	}
	if IntN(s, 1) != 0 {
		t.Error("of one there is only 0")
	}
}
