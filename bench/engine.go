package bench

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/perchws/perch"
	"github.com/perchws/perch/handshake"
)

// engine is one event loop with its share of the connections.
type engine struct {
	// Immutable after newRun.
	run     *run
	index   int
	srv     *perch.Server
	members []*member

	// Owned by the loop; others may read it when the engine has stopped.
	latency histogram
	second  histogram // storm: whole cycles; fan-out: the last receiver; chat: acknowledgements

	// Atomic: any goroutine.
	begun, opened, failed, ended atomic.Int64  // connections
	greeted                      atomic.Int64  // connections that have been answered
	sent, answered               atomic.Uint64 // messages of the load
	others                       atomic.Uint64 // messages that are none of it
}

// newEngine starts an engine for conns connections. output bounds what one of
// them may have queued, in bytes.
func newEngine(r *run, conns, output int) (*engine, error) {
	// Twice the limit on what is queued, because reading pauses at half of it: a
	// client that pauses while the server does would wait for ever.
	output = max(2*output, 64<<20)
	e := &engine{run: r, latency: newHistogram(), second: newHistogram()}
	compression := perch.Compression{Disabled: true}
	if r.t.Compression != nil {
		compression = *r.t.Compression
	}
	e.srv = perch.New(perch.Config{
		Compression: compression,
		Addr:        "-", Loops: 1, PrivateFDs: r.plan.private, MaxConnections: conns + descriptorReserve/2,
		MaxMessageSize: maxMessage, MaxFragments: -1, MaxOutput: output, MaxOutputTotal: -1,
		Rate:             perch.Rate{Messages: -1, Burst: -1, Bytes: -1},
		MaxTLSHandshakes: -1, // InFlight bounds them
		HandshakeTimeout: r.t.ConnectTimeout, CloseTimeout: closeTimeout,
		PingInterval: -1, PingTimeout: -1,
	})
	return e, e.srv.Start()
}

// dialNext begins the next connection, if there is one. Any goroutine.
func (e *engine) dialNext(ctx context.Context) {
	i := e.begun.Add(1) - 1
	if i >= int64(len(e.members)) || ctx.Err() != nil {
		e.begun.Add(-1)
		return
	}
	e.members[i].dial(ctx)
}

// Who may still speak on a member's connection.
const (
	memberIdle    uint32 = iota // not open yet
	memberOpen                  // ref is set
	memberClosing               // we have closed it
	memberGone
)

// member is one connection of a run.
type member struct {
	// Immutable after newRun.
	e      *engine
	index  int // in run.members
	client client

	ref   perch.Ref     // set before state is memberOpen
	state atomic.Uint32 // any goroutine
}

// options are how a connection of a run is dialled.
func (r *run) options(index int) perch.DialOptions {
	return perch.DialOptions{Header: r.t.Header, Subprotocols: r.t.Subprotocols, LocalAddr: r.source(index), TLS: r.t.TLS}
}

// dial begins the connection.
func (m *member) dial(ctx context.Context) {
	r := m.e.run
	err := m.e.srv.DialWith(ctx, r.t.URL, r.options(m.index), perch.Handler{
		OnOpen: func(c perch.Conn, _ *perch.Request) {
			m.ref = c.Ref()
			m.state.Store(memberOpen)
			m.e.opened.Add(1)
			m.client.open(c)
			m.dialNext(ctx)
		},
		OnMessage: m.client.message,
		OnClose:   func(_ perch.Conn, err *perch.CloseError) { m.ended(ctx, err) },
	})
	if err != nil {
		m.dialFailed(ctx, err)
	}
}

// ended counts the end of the connection, or of the attempt.
func (m *member) ended(ctx context.Context, err *perch.CloseError) {
	if m.state.Swap(memberGone) == memberIdle {
		m.dialFailed(ctx, err)
		return
	}
	kind, wrong := closeFault(err), true
	if err.Code == perch.CloseNormal && !err.Remote { // by run.close
		kind, wrong = Closing, err.Err != nil
	}
	if wrong {
		m.e.run.faults.add(kind, 1, "connection %d: %v", m.index, err)
	}
	m.e.ended.Add(1)
}

func (m *member) dialFailed(ctx context.Context, err error) {
	if ctx.Err() == nil && !errors.Is(err, perch.ErrShutdown) { // those are our doing
		m.e.run.faults.add(dialFault(err), 1, "connection %d: %v%s", m.index, err, advice(err))
	}
	m.e.failed.Add(1)
	m.dialNext(ctx)
}

// dialNext begins the next connection in the place of this one. With a rate of
// connects the clock does that.
func (m *member) dialNext(ctx context.Context) {
	if m.e.run.t.ConnectRate == 0 {
		m.e.dialNext(ctx)
	}
}

// advice is what to do about a failed dial, where that is known.
func advice(err error) string {
	var refused *handshake.RefusedError
	if errors.As(err, &refused) && (refused.Status == 429 || refused.Status == 503) {
		return " (a limit of the server: raise it, or connect more slowly)"
	}
	return ""
}
