// Package bench loads WebSocket servers and checks what they answer: every
// message that comes back is held against the one that was sent, byte for byte,
// and lost, doubled, reordered and corrupted ones are told apart.
//
// The connections ride on this module's own engine: one or more engines of one
// loop each, so that what a connection counts needs no lock. cmd/perchbench is
// its command line; bench/baseline holds yardsticks that share no code with it.
//
// Load that follows the answers (echo without a rate, fan-out without one)
// measures throughput. With a rate the load does not wait for the server, and
// latency counts from the moment a message was to be sent: a server that stalls
// cannot hide the messages that waited meanwhile (coordinated omission).
package bench
