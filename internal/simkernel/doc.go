//go:build linux

// Package simkernel is a kernel of TCP sockets and pollers in memory, for tests that run
// event loops without threads, descriptors or time. One number, the seed, determines
// what it does: it cuts reads, shortens and refuses writes, delays and reorders
// readiness, fails accepts, slows the network down and loses connections. Two runs of
// the same seed are the same, call by call and byte by byte; Sum says so.
//
// # What is as in Linux
//
// Readiness is level-triggered. A sender has a send buffer, a receiver a window; what is
// in neither waits. FIN comes behind what was sent; closing with unread input sends RST,
// as Reset does. An error of a socket is told once. The lowest free descriptor is used
// next, so that a late use of a closed one meets another socket. Errors and hang-ups
// cannot be masked.
//
// # What is checked
//
// A call that no loop may make is reported to Config.Fault: one on a descriptor that is
// not open, on another loop's descriptor, or a registration that the poller does not
// have.
//
// # Who may call
//
// One goroutine: it turns the loops, lets time pass and plays the other ends (Peer).
// Events of the network are alarms of the Machine's clock, and run in its Advance.
package simkernel
