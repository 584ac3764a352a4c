//go:build linux

package perch

import (
	"fmt"
	"math"
	"sync/atomic"
)

// What waits to be sent is bounded for the process by MaxOutputTotal, and so is what
// is on its way to loops. A program may post to a loop that a callback keeps busy as
// fast as it can; so each post that it asks for is counted, with its bytes, from the
// call until the loop has carried it out, when what it has queued counts as output.
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
// not. Whoever is told this keeps the connection.
var errNoRoom = fmt.Errorf("%w: the message is not queued", ErrOverloaded)

// unreported is how much output a loop may queue in a turn before it says so.
const unreported = 1 << 20

// fits reports whether n bytes more may wait. A message larger than a connection's
// queue is taken only if a quarter of the total stays free: so it is never what other
// connections lack, and need not be given up again when they need more.
func (l *loop) fits(n int) bool {
	l.own.Check()
	if l.ledger.queued-l.ledger.reported > unreported {
		l.report()
	}
	cfg := &l.srv.cfg
	most := cfg.MaxOutputTotal
	if n > cfg.MaxOutput {
		most -= most / 4
	}
	return l.srv.queued.Load()+l.ledger.queued-l.ledger.reported+l.srv.posted.Load()+int64(n) <= most
}

// report tells the other loops how much is queued here.
func (l *loop) report() {
	l.own.Check()
	if l.ledger.queued != l.ledger.reported {
		l.srv.queued.Add(l.ledger.queued - l.ledger.reported)
		l.ledger.reported = l.ledger.queued
	}
}

// charge counts a post to a connection. Any goroutine, with the mailbox locked.
// Error: ErrOverloaded.
func (l *loop) charge(p *post) error {
	srv, cfg := l.srv, &l.srv.cfg
	all, output, count := cfg.MaxOutputTotal/2, int64(0), srv.countOf(p)
	each := max(int64(cfg.MaxOutput), cfg.MaxOutputTotal/postShare)
	switch p.kind {
	case postSend, postPrepared:
		if all = cfg.MaxOutputTotal; p.share > int64(cfg.MaxOutput) {
			all -= all / 4
		}
		output = srv.queued.Load()
	case postClose: // what is queued for it must not keep it
		each = min(each, math.MaxInt64/2) * 2
	}
	ofIt := l.slab.posted(p.slot)
	if n := ofIt.Add(p.share); n > each && n > p.share {
		ofIt.Add(-p.share)
		srv.overloads.Add(1)
		return fmt.Errorf("%w: %d bytes wait for the connection's loop", ErrOverloaded, n-p.share)
	}
	if n := count.Add(p.cost); n+output > all {
		count.Add(-p.cost)
		ofIt.Add(-p.share)
		srv.overloads.Add(1)
		return fmt.Errorf("%w: %d bytes wait, and %d more are too many", ErrOverloaded, n+output-p.cost, p.cost)
	}
	return nil
}

// countOf is where a post is counted.
func (srv *Server) countOf(p *post) *atomic.Int64 {
	if p.kind == postSend || p.kind == postPrepared {
		return &srv.posted
	}
	return &srv.called
}

// discharge is the end of a post.
func (l *loop) discharge(p *post) {
	l.own.Check()
	if p.cost != 0 {
		l.srv.countOf(p).Add(-p.cost)
		l.slab.posted(p.slot).Add(-p.share)
	}
}

// roomBudget is what rooms may have on their way to loops.
type roomBudget struct{ srv *Server }

// Reserve implements room.Budget.
func (b roomBudget) Reserve(n int64) bool {
	if b.srv.called.Add(n) > b.srv.cfg.MaxOutputTotal/2 {
		b.srv.called.Add(-n)
		b.srv.overloads.Add(1)
		return false
	}
	return true
}

// Release implements room.Budget.
func (b roomBudget) Release(n int64) { b.srv.called.Add(-n) }

// missed acts on a message that was not queued and whose sender cannot be told: the
// route's policy holds. What admit has said already is not said again.
func (l *loop) missed(i uint32, s *slot, err error) {
	l.own.Check()
	if err != errNoRoom || s.state != stateOpen {
		return
	}
	if l.routeOf(s).onGap == nil {
		l.slow(i, s, ErrOverloaded)
		return
	}
	l.slab.thaw(s).dropped++
	l.stats.MessagesDropped++
	l.markDirty(i, s) // there is nothing whose sending would tell of the gap
}

// posted counts the bytes posted to slot i. Any goroutine.
func (t *slab) posted(i uint32) *atomic.Int64 {
	c := t.chunks[i>>chunkBits].Load()
	p := c.posted.Load()
	if p == nil {
		p = new([chunkSize]atomic.Int64)
		if !c.posted.CompareAndSwap(nil, p) {
			p = c.posted.Load()
		}
	}
	return &p[i%chunkSize]
}
