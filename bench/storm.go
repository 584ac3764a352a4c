package bench

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/perchws/perch"
)

const (
	// stormSources is how many source addresses a storm on loopback has: the
	// ports of one would soon all be in TIME_WAIT.
	stormSources = 4
	// stormPause is the wait after a connection that failed.
	stormPause = 10 * time.Millisecond
)

// Storm connects, closes with 1000 as soon as the connection is open, and when
// the server has answered and closed, connects again: Conns at a time.
type Storm struct{ Target }

// Run runs the storm; see Echo.Run. Latency is from connect to open, Second
// from connect to closed.
func (o Storm) Run(ctx context.Context) (*Result, error) {
	addr, err := o.check()
	if err != nil {
		return nil, err
	}
	if o.Sources == 0 && addr.Is4() && addr.IsLoopback() {
		o.Sources = stormSources
	}
	var all []*gust
	load := new(stormLoad)
	r, err := newRun(&o.Target, o.Conns, 0, func(m *member) client {
		g := &gust{member: m, load: load}
		all = append(all, g)
		return g
	})
	if err != nil {
		return nil, err
	}
	span, err := r.measure(ctx, "storm", func() {
		r.sending.Store(true)
		load.under.Store(int64(len(all)))
		for _, g := range all {
			g.dial(ctx)
		}
	})
	r.sending.Store(false)
	over := func() (bool, float64) { return load.under.Load() == 0, 0 }
	if !r.wait(context.WithoutCancel(ctx), o.Drain, over, "draining") {
		n := load.under.Load()
		r.faults.add(Timeout, uint64(n), "%d connections were not open and closed again within %v", n, o.Drain)
	}
	r.stop()
	if err != nil {
		return nil, err
	}
	res := r.result("storm", 0, span)
	for _, e := range r.engines {
		res.Opened += int(e.opened.Load())
	}
	res.Latency = new(latency(r.histograms()...))
	var cycles []histogram
	for _, e := range r.engines {
		cycles = append(cycles, e.second)
	}
	res.Second = new(latency(cycles...))
	res.rates(res.Latency.Count, 0, span)
	return res, nil
}

// stormLoad is what the gusts share.
type stormLoad struct {
	under atomic.Int64 // gusts that are not over. Any goroutine.
}

// gust is one place in the storm: connection after connection, each begun by
// the end of the one before. Its methods run on its loop, or before its first
// connection.
type gust struct {
	*member
	load  *stormLoad
	begun int64 // ns since the run's start
}

// dial begins the next connection, unless the storm is over.
func (g *gust) dial(ctx context.Context) {
	r := g.e.run
	if !r.sending.Load() {
		g.load.under.Add(-1)
		return
	}
	g.begun = r.now()
	err := g.e.srv.DialWith(context.WithoutCancel(ctx), r.t.URL, r.options(g.index), perch.Handler{
		OnOpen:    func(c perch.Conn, _ *perch.Request) { g.open(c) },
		OnMessage: g.message,
		OnClose:   func(_ perch.Conn, err *perch.CloseError) { g.ended(ctx, err) },
	})
	if err != nil {
		g.failed(ctx, err)
	}
}

func (g *gust) open(c perch.Conn) {
	g.e.opened.Add(1)
	if now := g.e.run.now(); g.e.run.measuring(now) {
		g.e.latency.add(now - g.begun)
	}
	c.Close(perch.CloseNormal, "")
}

// message ignores what a server sends unasked.
func (g *gust) message(perch.Conn, perch.Opcode, []byte) {}

func (g *gust) ended(ctx context.Context, err *perch.CloseError) {
	switch {
	case errors.Is(err, perch.ErrShutdown): // the drain was too short, which is counted
		return
	case errors.Is(err, perch.ErrDial):
		g.failed(ctx, err)
		return
	case err.Code == perch.CloseNormal && !err.Remote && err.Err == nil:
		if now := g.e.run.now(); g.e.run.measuring(now) {
			g.e.second.add(now - g.begun)
		}
	case err.Code == perch.CloseNormal && !err.Remote:
		g.e.run.faults.add(Closing, 1, "connection %d: %v", g.index, err)
	default:
		g.e.run.faults.add(closeFault(err), 1, "connection %d: %v", g.index, err)
	}
	g.dial(ctx)
}

// failed counts a connection that did not open, and goes on after a pause.
func (g *gust) failed(ctx context.Context, err error) {
	g.e.run.faults.add(dialFault(err), 1, "connection %d: %v%s", g.index, err, advice(err))
	time.AfterFunc(stormPause, func() { g.dial(ctx) })
}
