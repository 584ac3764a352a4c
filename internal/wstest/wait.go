package wstest

import (
	"testing"
	"time"
)

// Eventually waits until cond is true and ends the test if that takes longer
// than DefaultTimeout. Call it from the goroutine of the test. what completes the
// sentence "gave up waiting until …".
func Eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(DefaultTimeout); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("gave up waiting until %s", what)
		}
	}
}

// Receive waits for a value from ch and ends the test if none comes within
// DefaultTimeout.
func Receive[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v, ok := <-ch:
		if !ok {
			t.Fatalf("%s: channel closed", what)
		}
		return v
	case <-time.After(DefaultTimeout):
		t.Fatalf("gave up waiting for %s", what)
	}
	panic("unreachable")
}
