// Package clock is the one source of time of a server: the server reads the
// present moment from it, and is called back by it later. The real one is the
// kernel's; a test has one that it moves by hand.
//
// Moments are nanoseconds of CLOCK_MONOTONIC: they never go back, and every process of
// the machine understands them, until the next boot. The time of day, which people and
// other machines see, is apart: it may jump.
package clock

import "time"

// Clock tells the time. Any goroutine may call all of its methods.
type Clock interface {
	// Now is the present moment: nanoseconds of CLOCK_MONOTONIC, more than 0.
	Now() int64
	// Wall is the time of day.
	Wall() time.Time
	// AfterFunc calls f once, when d has passed: the real clock on a goroutine of f's
	// own, a Manual one in Advance. stop prevents the call; it reports whether it did.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// After is a channel that is closed when d has passed. stop prevents that, as
// AfterFunc's does: a caller that no longer waits calls it.
func After(c Clock, d time.Duration) (passed <-chan struct{}, stop func() bool) {
	over := make(chan struct{})
	return over, c.AfterFunc(d, func() { close(over) })
}
