package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"github.com/perchws/perch"
)

// Echo sends messages to an endpoint that sends each back as it is.
type Echo struct {
	Target
	Size  int     // of a message in bytes: 8 to 64 MiB
	Depth int     // messages in flight on a connection; of no meaning with a rate
	Text  bool    // text messages; binary otherwise
	Rate  float64 // messages per second in all, whatever comes back; 0: each answer is followed by a message
}

// maxDepth bounds what one connection keeps of its messages in flight.
const maxDepth = 1 << 20

// Run connects, loads, verifies and closes. Faults of the server are in the
// Result; an error is what kept the run from taking place. When ctx ends, the
// interval does too.
func (o Echo) Run(ctx context.Context) (*Result, error) {
	switch {
	case o.Size < tagSize || o.Size > maxMessage:
		return nil, fmt.Errorf("messages of %d bytes: want %d to %d", o.Size, tagSize, maxMessage)
	case o.Depth < 1 || o.Depth > maxDepth:
		return nil, fmt.Errorf("depth %d: want 1 to %d", o.Depth, maxDepth)
	case o.Rate < 0:
		return nil, fmt.Errorf("rate %v: want 0 or more", o.Rate)
	}
	load := &echoLoad{Echo: o, want: newPattern(o.Size, o.Text, o.Words)}
	var clients []*echoClient
	r, err := newRun(&o.Target, o.Conns, o.Depth*(o.Size+16), func(m *member) client {
		c := &echoClient{member: m, load: load, salt: rand.Uint64() & tagMask}
		clients = append(clients, c)
		return c
	})
	if err != nil {
		return nil, err
	}
	load.out = make([]pattern, len(r.engines))
	for i := range load.out {
		load.out[i] = load.want.clone()
	}
	opened := r.connect(ctx)
	if opened == 0 {
		r.stop()
		return r.result("echo", 0, interval{}), nil
	}
	span, err := r.measure(ctx, "echo", func() {
		r.sending.Store(true)
		if o.Rate > 0 {
			load.paceAll(r, clients)
			return
		}
		for _, c := range clients {
			if c.state.Load() == memberOpen {
				c.ref.Do(c.begin)
			}
		}
	})
	r.sending.Store(false)
	unsent := load.paced.wait()
	answered := func() (bool, float64) {
		var sent, answered uint64
		for _, e := range r.engines {
			sent, answered = sent+e.sent.Load(), answered+e.answered.Load()
		}
		return answered >= sent, float64(answered) / float64(max(sent, 1))
	}
	r.wait(context.WithoutCancel(ctx), o.Drain, answered, "draining")
	r.close()
	if err != nil {
		return nil, err
	}
	for _, c := range clients {
		if n := c.seq.missing(c.sent.Load()); n > 0 {
			r.faults.add(Lost, n, "connection %d: %d of %d messages never came back", c.index, n, c.sent.Load())
		}
	}
	res := r.result("echo", opened, span)
	res.Size, res.Depth, res.Offer = o.Size, o.Depth, o.Rate
	res.Latency = new(latency(r.histograms()...))
	res.rates(res.Latency.Count, uint64(o.Size), span)
	if o.Rate > 0 {
		res.Depth = 0
		res.SendDelay, res.Unsent = new(latency(load.paced.delay)), unsent
	}
	return res, nil
}

// echoLoad is what the connections of a run share.
type echoLoad struct {
	Echo
	want  pattern   // read by all loops
	out   []pattern // for each engine one to write tags into
	paced pacer
}

// paceAll begins to send on the connections that are open.
func (o *echoLoad) paceAll(r *run, clients []*echoClient) {
	var open []*echoClient
	for _, c := range clients {
		if c.state.Load() == memberOpen {
			c.turn = len(open)
			open = append(open, c)
		}
	}
	out := o.want.clone()
	o.paced.start(r, o.Rate, len(open), func(k int, n uint64, _ int64) {
		c := open[k]
		putTag(out.body, c.salt+n)
		c.sent.Store(n + 1) // before its answer can come
		c.e.sent.Add(1)
		if c.ref.Send(out.op, out.body) != nil {
			c.sent.Store(n) // it is closed, and its end has told
			c.e.sent.Add(^uint64(0))
		}
	})
}

// echoClient is one connection. Its methods run on its loop. With a rate the
// pacer sends.
type echoClient struct {
	*member
	load *echoLoad
	salt uint64 // of its tags: an answer that belongs to another connection shows

	sent  atomic.Uint64 // messages; written by the one who sends
	seq   sequence      // of the answers
	times []int64       // without a rate: when message n was sent, at n modulo depth
	turn  int           // with a rate: its place among the connections; set before the first message
}

func (c *echoClient) open(perch.Conn) {}

// begin fills the pipeline.
func (c *echoClient) begin(conn perch.Conn) {
	c.times = make([]int64, c.load.Depth)
	c.send(conn, c.load.Depth)
}

// send sends n messages.
func (c *echoClient) send(conn perch.Conn, n int) {
	out := c.load.out[c.e.index]
	now := c.e.run.now()
	for range n {
		seq := c.sent.Load()
		putTag(out.body, c.salt+seq)
		c.times[seq%uint64(len(c.times))] = now
		if conn.Send(out.op, out.body) != nil {
			return // it is closed, and its end will tell
		}
		c.sent.Store(seq + 1)
		c.e.sent.Add(1)
	}
}

func (c *echoClient) message(conn perch.Conn, op perch.Opcode, p []byte) {
	now := c.e.run.now()
	got, ok := c.load.want.match(op, p)
	seq := (got - c.salt) & tagMask
	if !ok || seq >= c.sent.Load() {
		c.corrupt(conn, op, p, ok)
		return
	}
	before := c.seq.next
	how := c.seq.add(seq)
	if how == twice {
		c.e.run.faults.add(Duplicate, 1, "connection %d: message %d again, after %d", c.index, seq, before-1)
		return
	}
	// Counted at the end, when what follows it is sent: else all could seem
	// answered in between.
	defer c.e.answered.Add(1)
	switch {
	case how == late:
		c.e.run.faults.add(Reordered, 1, "connection %d: message %d after %d", c.index, seq, before-1)
	case c.load.Rate > 0:
		if due := c.load.paced.due(c.turn, seq); c.e.run.measuring(due) {
			c.e.latency.add(now - due)
		}
	default:
		if c.e.run.measuring(now) {
			c.e.latency.add(now - c.times[seq%uint64(len(c.times))])
		}
		// What a gap has left out fills the pipeline no longer.
		if c.e.run.sending.Load() {
			c.send(conn, int(seq+1-before))
		}
	}
}

// corrupt counts an answer to nothing that was sent. It takes the place of the
// next that is awaited: else that would count as lost as well.
func (c *echoClient) corrupt(conn perch.Conn, op perch.Opcode, p []byte, ok bool) {
	why := "wrong opcode, length or content"
	if ok {
		why = "nothing was sent that this could answer"
	}
	c.e.run.faults.add(Corrupt, 1, "connection %d, message %d: %s (%v, %d bytes)", c.index, c.seq.next, why, op, len(p))
	if c.seq.next >= c.sent.Load() {
		return
	}
	c.seq.add(c.seq.next)
	if c.load.Rate == 0 && c.e.run.sending.Load() {
		c.send(conn, 1)
	}
	c.e.answered.Add(1)
}
