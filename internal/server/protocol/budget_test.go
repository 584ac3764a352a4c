package protocol

import (
	"testing"
	"time"
	"unsafe"
)

func TestBudget(t *testing.T) {
	const start = int64(time.Hour)
	var b Budget
	take := func(after time.Duration, most int, want bool) {
		t.Helper()
		if got := b.Take(start+int64(after), most); got != want {
			t.Errorf("after %v: %v, want %v", after, got, want)
		}
	}
	for i := range 10 {
		take(time.Duration(i)*time.Second, 10, true)
	}
	take(10*time.Second, 10, false)
	take(59999*time.Millisecond, 10, false)
	take(60*time.Second, 10, true) // a new minute
	for range 9 {
		take(119999*time.Millisecond, 10, true)
	}
	take(119999*time.Millisecond, 10, false)
	take(3*time.Minute, 10, true)
	take(3*time.Minute+time.Second, 0, false)
	for range 1000 {
		take(3*time.Minute+2*time.Second, -1, true)
	}
	take(3*time.Minute+3*time.Second, 2, true) // while there was no limit nothing was counted
	take(3*time.Minute+3*time.Second, 2, false)
}

func TestBudgetSize(t *testing.T) {
	if size := unsafe.Sizeof(Budget{}); size > 16 {
		t.Errorf("%d bytes; every client has one, so it must have at most 16", size)
	}
}
