//go:build !race

// Package owner asserts that state with a single owner is used by its owner
// only. Loops are goroutines locked to their OS thread, so that the thread's id
// is the proof. Without the race detector all of it compiles to nothing.
package owner

// Enabled reports that ownership is checked: in race builds.
const Enabled = false

// Owner is a thread that owns something.
type Owner struct{}

// Claim makes the calling thread the owner. Its goroutine must be locked to it.
func (*Owner) Claim() {}

// Check panics if the caller does not run on the owner's thread.
func (*Owner) Check() {}
