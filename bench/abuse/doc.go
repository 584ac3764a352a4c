// Package abuse attacks a perchd while somebody else is served.
//
// A scenario is one attack: what clients can do to take what others need. Each gets a perchd of its own, with
// default limits unless it says otherwise. A bystander, at another address, talks in a room, echoes, and asks for
// /health: for a while without the attack, during it, and after it. Meanwhile the memory of the server is sampled.
// The attack runs as a process of its own, niced, so that it takes its processor time from the server it attacks
// and not from the bystander's clock.
//
// The verdict is the same for all: the bystander's p99 is at most ten times its quiet value and 20 ms, /health takes
// 100 ms at most, memory stays below what docs/limits.md adds up to for the scenario, times 1.3, and is back within
// a minute; and nothing is lost that was promised to anybody else.
package abuse
