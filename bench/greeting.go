package bench

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/perchws/perch"
)

// Greeting is what a client says first, where the protocol demands it.
type Greeting struct {
	Hello []string // text messages; {id} in them is the connection's number
	Ack   string   // part of the answer to wait for; "": none
}

// settleLimit is how long what follows the greetings may go on.
const settleLimit = 30 * time.Second

// hello sends the greeting on a connection that has just opened.
func (g *Greeting) hello(m *member, c perch.Conn) {
	for _, text := range g.Hello {
		if c.SendText(strings.ReplaceAll(text, "{id}", strconv.Itoa(m.index))) != nil {
			return // it is closed, and its end will tell
		}
	}
}

// heard takes note of a message that is no part of the load. acked is the
// connection's own: the answer to its greeting has come.
func (g *Greeting) heard(m *member, p []byte, acked *bool) {
	m.e.others.Add(1)
	if g.Ack != "" && !*acked && bytes.Contains(p, []byte(g.Ack)) {
		*acked = true
		m.e.greeted.Add(1)
	}
}

// settle waits until want connections have been answered, and then until
// nothing has come for quiet.
func (r *run) settle(ctx context.Context, g *Greeting, want int, quiet time.Duration) {
	if g.Ack != "" {
		count := func() (n int) {
			for _, e := range r.engines {
				n += int(e.greeted.Load())
			}
			return n
		}
		done := func() (bool, float64) {
			n := count()
			return n >= want, float64(n) / float64(max(want, 1))
		}
		if !r.wait(ctx, r.t.ConnectTimeout, done, "greeting") && ctx.Err() == nil {
			n := want - count()
			r.faults.add(Timeout, uint64(max(n, 0)), "%d of %d connections got no %q", n, want, g.Ack)
		}
	}
	var last uint64
	since := time.Now()
	r.wait(ctx, settleLimit, func() (bool, float64) {
		var n uint64
		for _, e := range r.engines {
			n += e.others.Load()
		}
		if n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) >= quiet, 0
	}, "settling")
}
