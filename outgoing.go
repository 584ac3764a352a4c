//go:build linux

package perch

import (
	"fmt"
	"math"
	"sync/atomic"
)

// What waits to be sent is bounded for the process by MaxOutputTotal, and so is what
// is on its way to loops. A program may post to a loop that a callback keeps busy as
// fast as it can. So each post that it asks for is counted, with its bytes, from the
// call until the loop has carried it out. The bytes that the post has queued count
// as output then.
//
//   - Messages (Ref.Send, SendPrepared) and output share MaxOutputTotal.
//   - Calls (Ref.Do, SetValue, Close) and messages of rooms are no output of one
//     connection: together they may be half as much again, however much output there
//     is. A program must be able to close connections when memory is short.
//   - Posts to one connection may be postShare of it, or MaxOutput if that is more.
//     Nobody takes the memory that all others need.
//
// Posts of our own are not counted, because they cannot be refused. Each has another
// bound: one for each connection (dials, takeovers, results of workers, the end of a
// TLS handshake), those of handshakes under way (MaxTLSHandshakes), one for each
// goroutine that waits for it (Stats, Shutdown).

// What a post costs in bytes, apart from those of its message: its place in two
// lists; a function, or a message of a room, with what it refers to.
const (
	postCost = 192
	callCost = 256
)

// postShare is what part of MaxOutputTotal the posts to one connection may be.
const postShare = 16

// errNoRoom refuses a message for a connection with nothing queued, whose fault it is
// not. A caller that is told this keeps the connection.
var errNoRoom = fmt.Errorf("%w: the message is not queued", ErrOverloaded)

// account counts for the whole process what waits to be sent and what is on its way to
// loops. Its methods are for any goroutine.
type account struct {
	// Immutable once the server is started.
	total int64 // Config.MaxOutputTotal
	each  int   // Config.MaxOutput

	// Any goroutine.
	queued  atomic.Int64  // bytes that wait in outboxes, as the loops have reported them
	posted  atomic.Int64  // bytes of messages on their way to loops
	called  atomic.Int64  // the same of calls and of messages of rooms
	refused atomic.Uint64 // messages and calls: Stats.Overloads
}

// bytes is everything that is counted.
func (a *account) bytes() int64 { return a.queued.Load() + a.posted.Load() + a.called.Load() }

// mostWith is how many bytes may be counted with a message of n. One that is larger than
// a connection's queue is taken only if a quarter of the total stays free: so it is never
// what other connections lack, and need not be given up again when they need more.
func (a *account) mostWith(n int64) int64 {
	if n > int64(a.each) {
		return a.total - a.total/4
	}
	return a.total
}

// charge counts a post to a connection; ofIt are the bytes on their way to it. The mailbox is locked. Error:
// ErrOverloaded.
func (a *account) charge(p *post, ofIt *atomic.Int64) error {
	all, output, count := a.total/2, int64(0), a.countOf(p)
	each := max(int64(a.each), a.total/postShare)
	switch p.kind {
	case postSend, postPrepared:
		all, output = a.mostWith(p.share), a.queued.Load()
	case postClose: // what is queued for it must not keep it
		each = min(each, math.MaxInt64/2) * 2
	}
	if n := ofIt.Add(p.share); n > each && n > p.share {
		ofIt.Add(-p.share)
		a.refused.Add(1)
		return fmt.Errorf("%w: %d bytes wait for the connection's loop", ErrOverloaded, n-p.share)
	}
	if n := count.Add(p.cost); n+output > all {
		count.Add(-p.cost)
		ofIt.Add(-p.share)
		a.refused.Add(1)
		return fmt.Errorf("%w: %d bytes wait, and %d more are too many", ErrOverloaded, n+output-p.cost, p.cost)
	}
	return nil
}

// discharge ends what charge has begun: the post is being carried out.
func (a *account) discharge(p *post, ofIt *atomic.Int64) {
	a.countOf(p).Add(-p.cost)
	ofIt.Add(-p.share)
}

// countOf is where a post is counted.
func (a *account) countOf(p *post) *atomic.Int64 {
	if p.kind == postSend || p.kind == postPrepared {
		return &a.posted
	}
	return &a.called
}

// Reserve implements room.Budget, for what rooms have on their way to loops.
func (a *account) Reserve(n int64) bool {
	if a.called.Add(n) > a.total/2 {
		a.called.Add(-n)
		a.refused.Add(1)
		return false
	}
	return true
}

// Release implements room.Budget.
func (a *account) Release(n int64) { a.called.Add(-n) }

// outgoing counts the bytes that wait in the outboxes of one loop. Its sum is
// reported to the server's account, but not at once: that is shared by all
// loops.
type outgoing struct {
	account *account

	// Owned by the loop.
	queued   int64 // bytes in the loop's outboxes
	reported int64 // of them, those in account.queued

	// Any goroutine.
	largest atomic.Int64 // bytes of the largest outbox, as relieve has seen it
}

// unreported is how much output a loop may queue in a turn before it says so.
const unreported = 1 << 20

// add counts n bytes more; n may be negative.
func (b *outgoing) add(n int) { b.queued += int64(n) }

// fits reports whether n bytes more may wait.
func (b *outgoing) fits(n int) bool {
	if b.queued-b.reported > unreported {
		b.report()
	}
	return b.account.queued.Load()+b.queued-b.reported+b.account.posted.Load()+int64(n) <= b.account.mostWith(int64(n))
}

// report tells the other loops how much is queued here.
func (b *outgoing) report() {
	if b.queued != b.reported {
		b.account.queued.Add(b.queued - b.reported)
		b.reported = b.queued
	}
}
