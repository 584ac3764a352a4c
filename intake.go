//go:build linux

package perch

import (
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/perchws/perch/internal/limit"
)

// Input that cannot be used yet is kept: the head of a request, a message that is not whole, messages that wait for a
// worker, and all input while reading is held. Config.MaxInputTotal bounds it for the process. Each loop counts the
// input that its connections keep, and reports it in steps.
//
// Over the bound, each loop ends connections of those addresses that keep the most there (relieveInput). A loop that
// keeps less than half of its even share ends none: the other loops have to. So an address that fills the memory loses
// its own connections, and others are not affected.

// Messages that a worker has, or that wait in the pool's queues, cannot be given up. They are bounded there. While half
// of MaxInputTotal is in use, fewer bytes of a connection may wait for its worker.

// inputStep is the change, in bytes, after which a loop reports how much it keeps.
const inputStep = 64 << 10

// intake counts the input that the connections of one loop keep.
type intake struct {
	// Immutable.
	total *atomic.Int64 // kept by all loops, as they have reported it
	most  int64         // Config.MaxInputTotal
	even  int64         // the share of each loop if all keep the same

	// Owned by the loop.
	kept     int
	reported int  // the part of kept that is in total
	over     bool // the bound was reached: see relieveInput
}

// add adds n bytes; n may be negative.
func (in *intake) add(n int) {
	in.kept += n
	if d := in.kept - in.reported; d >= inputStep || d <= -inputStep {
		in.report()
	}
}

// report tells the other loops how much is kept here.
func (in *intake) report() {
	if in.kept != in.reported {
		in.over = in.total.Add(int64(in.kept-in.reported)) > in.most
		in.reported = in.kept
	}
}

// short reports that more than half of MaxInputTotal is in use.
func (in *intake) short() bool { return in.total.Load() > in.most/2 }

// weigh counts the input that a connection keeps, after a change. A worker's messages were weighed before it got them.
func (l *loop) weigh(c *cold) {
	l.own.Check()
	n := c.asm.Held()
	if c.in != nil {
		n += cap(c.in.B)
	}
	if c.work != nil {
		n += c.work.held + cap(c.work.next.data)
	}
	l.intake.add(n - c.kept)
	c.kept = n
}

// spare is how many bytes that a connection keeps are freed when it ends.
func (c *cold) spare() int {
	if w := c.work; w != nil && w.listed && !w.waits {
		return c.kept - w.held
	}
	return c.kept
}

// keeper is an address with connections that keep input on one loop.
type keeper struct {
	bytes int
	slots []uint32
}

// relieveInput ends connections when all loops together keep more than MaxInputTotal: first the connection that keeps
// most of the address that keeps most on this loop, and so on, until a quarter of this loop's input is free.
func (l *loop) relieveInput() {
	l.own.Check()
	in := &l.intake
	in.over = false
	if in.total.Load() <= in.most || int64(in.kept) < in.even/2 {
		return
	}
	var all []*keeper
	sum := 0
	by := make(map[limit.Address]*keeper)
	l.each(func(i uint32, s *slot) {
		c := l.slab.coldOf(s)
		if c == nil || c.spare() == 0 || s.state != stateOpen && s.state != stateHandshake {
			return
		}
		from := limit.ShareOf(l.peerAddr(i, s).Addr())
		k := by[from]
		if k == nil {
			k = new(keeper)
			by[from], all = k, append(all, k)
		}
		k.bytes += c.spare()
		k.slots = append(k.slots, i)
		sum += c.spare()
	})
	if int64(sum) < in.even/2 {
		return
	}
	spare := func(i uint32) int { return l.slab.coldOf(l.slab.at(i)).spare() }
	for _, k := range all {
		slices.SortStableFunc(k.slots, func(a, b uint32) int { return spare(b) - spare(a) })
	}
	for excess := sum / 4; excess > 0; {
		k := slices.MaxFunc(all, func(a, b *keeper) int { return a.bytes - b.bytes })
		if len(k.slots) == 0 {
			break
		}
		i := k.slots[0]
		n := spare(i)
		excess -= n
		l.endKeeper(i, l.slab.at(i), k.bytes > sum/2 && len(all) > 1)
		k.bytes -= n
		k.slots = k.slots[1:]
	}
}

// endKeeper ends a connection because of the input that it keeps. greedy: its address keeps more than all others
// together.
func (l *loop) endKeeper(i uint32, s *slot, greedy bool) {
	l.own.Check()
	l.stats.InputRelieved++
	defer l.doing.leave(l.doing.instead(i)) // no callback is under way
	switch {
	case s.state == stateHandshake:
		l.refuse(i, s, refused{kind: RefusedLimit, status: http.StatusServiceUnavailable, reason: "too much input waits", header: retryAfter})
	case greedy:
		l.failWith(i, s, ClosePolicyViolation, "too much unfinished input from your address", ErrInputFull)
	default:
		l.failWith(i, s, CloseTryAgainLater, "too much unfinished input", ErrInputFull)
	}
	if c := l.slab.coldOf(s); c != nil && s.state != stateClosed { // the input is not used any more
		l.dropInput(c)
		l.dropMessage(c)
		if w := c.work; w != nil {
			w.next.forget()
			if w.waits {
				w.cur.forget()
				w.held = 0
			}
			l.weigh(c)
		}
	}
}
