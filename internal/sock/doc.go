//go:build linux

// Package sock is the handful of Linux socket calls that the engine makes.
//
// Calls that cannot sleep are raw: they bypass the scheduler's bookkeeping,
// which saves about a tenth of a small message's cost and keeps the loop's P.
// A raw call holds up a stop-the-world for as long as it lasts, so one moves
// [MaxRaw] bytes at the most, and every send and receive carries MSG_DONTWAIT:
// a descriptor that lost O_NONBLOCK must not hang the process.
//
// Results are errno values, 0 for success: the callers branch on EAGAIN and few
// others, and an errno costs no allocation.
package sock

// MaxRaw is the most a raw send moves in one call, in bytes.
const MaxRaw = 64 << 10
