//go:build linux

package perch

import (
	"math"
	"math/bits"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Stats are counters since the start, and a few gauges, of all loops together.
type Stats struct {
	Connections int    // now, in every state, and those of plain HTTP
	Accepted    uint64 // sockets
	Refused     uint64 // over a limit: 503, 429 or reset
	Handshakes  uint64 // request heads parsed
	Opened      uint64 // OnOpen was called
	Closed      uint64 // OnClose was called

	Refusals [RefusalKinds]uint64 // by Refusal: upgrades, and connections that did not come so far

	BadHandshakes     uint64
	BadProxyHeaders   uint64
	HandshakeTimeouts uint64
	AcceptPauses      uint64 // out of descriptors
	AcceptErrors      uint64
	HandedOff         uint64 // to net/http: connections, each with one request or more
	TakenOver         uint64 // from net/http: upgrades that it has parsed
	HTTPPushedOut     uint64 // plain HTTP connections that were closed at work, to make room for those of others

	TLSHandshakes uint64 // completed
	TLSFailed     uint64 // no TLS, no agreement, broken off, or not in time
	TLSRunning    int    // handshakes now
	TLSPeak       int    // the most that have run at a time
	TLSWaiting    int    // for their turn

	MessagesReceived, MessagesSent uint64
	MessagesDropped                uint64 // see Handler.OnGap
	BytesReceived, BytesSent       uint64 // on the wire
	CompressedReceived             uint64 // of MessagesReceived
	CompressedSent                 uint64 // of MessagesSent
	Compressions                   uint64 // attempts; a message to many takes one
	PingsSent, PingsReceived       uint64
	PongsReceived                  uint64

	ProtocolErrors    uint64
	RateLimited       uint64
	SlowConsumers     uint64
	HeartbeatTimeouts uint64
	MessageTimeouts   uint64
	WriteTimeouts     uint64
	CloseTimeouts     uint64
	Panics            uint64
	Pauses            uint64 // reading stopped for backpressure
	PoolFull          uint64 // a route's queue in the worker pool was full

	InputBytes    int64  // kept of what peers have sent and cannot be used yet: see Config.MaxInputTotal
	InputRelieved uint64 // connections ended because that was too much

	QueuedBytes int64  // output waiting now, and what is on its way to loops
	Overloads   uint64 // messages and calls refused with ErrOverloaded, or told to rooms as too many

	// CloseCodes counts the ends by code: 1000 to 1015 at their offset, 3000 to
	// 3999 and 4000 to 4999 in the last two, all other codes at 1006.
	CloseCodes [18]uint64

	RoundTrips Histogram // of our pings
	Ticks      Histogram // work of a loop between two waits
	SlowTicks  uint64    // over 10 ms: a handler blocked, or the machine was overloaded
	LogsLost   uint64    // records that a Logger which did not keep up, or which panicked, has not taken
	Stuck      int       // loops that have not answered: a callback blocks them, and what is here of them is old
}

// Histogram counts durations in buckets that double: bucket i holds those of
// less than 2^i ns, and not less than half of that.
type Histogram struct {
	Count   uint64
	Sum     time.Duration
	Buckets [40]uint64
}

func (h *Histogram) add(ns int64) {
	ns = max(ns, 0)
	h.Count++
	h.Sum += time.Duration(ns)
	h.Buckets[min(bits.Len64(uint64(ns)), len(h.Buckets)-1)]++
}

// Quantile is an upper bound of the q-quantile, 0 < q ≤ 1: exact to a factor
// of two.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(h.Count)))
	var seen uint64
	for i, n := range h.Buckets {
		if seen += n; n > 0 && seen >= rank {
			return time.Duration(1) << i
		}
	}
	return 0
}

func (h *Histogram) merge(o *Histogram) {
	h.Count += o.Count
	h.Sum += o.Sum
	for i, n := range o.Buckets {
		h.Buckets[i] += n
	}
}

func (s *Stats) closeCode(code CloseCode) {
	switch {
	case code >= 1000 && code <= 1015:
		s.CloseCodes[code-1000]++
	case code >= 3000 && code <= 3999:
		s.CloseCodes[16]++
	case code >= 4000 && code <= 4999:
		s.CloseCodes[17]++
	default:
		s.CloseCodes[6]++
	}
}

// counters are the plain counts, for adding up.
func (s *Stats) counters() []*uint64 {
	return []*uint64{&s.Accepted, &s.Refused, &s.Handshakes, &s.Opened, &s.Closed, &s.BadHandshakes, &s.BadProxyHeaders, &s.HandshakeTimeouts,
		&s.AcceptPauses, &s.AcceptErrors, &s.HandedOff, &s.TakenOver, &s.TLSHandshakes, &s.TLSFailed, &s.MessagesReceived, &s.MessagesSent,
		&s.MessagesDropped, &s.BytesReceived, &s.BytesSent, &s.CompressedReceived, &s.CompressedSent, &s.Compressions, &s.PingsSent,
		&s.PingsReceived, &s.PongsReceived, &s.ProtocolErrors, &s.RateLimited, &s.SlowConsumers, &s.HeartbeatTimeouts,
		&s.MessageTimeouts, &s.WriteTimeouts, &s.CloseTimeouts, &s.Panics, &s.LogsLost, &s.Pauses, &s.PoolFull, &s.Overloads, &s.SlowTicks, &s.InputRelieved, &s.HTTPPushedOut}
}

func (s *Stats) merge(o *Stats) {
	into, from := s.counters(), o.counters()
	for i := range into {
		*into[i] += *from[i]
	}
	for i, n := range o.CloseCodes {
		s.CloseCodes[i] += n
	}
	s.RoundTrips.merge(&o.RoundTrips)
	s.Ticks.merge(&o.Ticks)
}

// snapshot is a loop's counters as others may read them.
type snapshot struct {
	mu    sync.Mutex
	stats Stats
}

func (l *loop) publishStats() {
	l.own.Check()
	l.visible.stats.mu.Lock()
	l.visible.stats.stats = l.stats
	l.visible.stats.mu.Unlock()
}

// account reports the loop's queued bytes, and ends it when it was told to and
// nothing is left.
func (l *loop) account() {
	l.own.Check()
	l.outgoing.report()
	l.intake.report()
	if l.life.stopping && l.slab.live == 0 {
		l.life.stopped = true
	}
}

// Held is how many bytes of memory connections make the server hold: output that waits, in outboxes and on its way to
// loops, and input that cannot be used yet. Unlike Stats it asks no loop: it is as the loops have reported last. Any
// goroutine.
func (srv *Server) Held() int64 { return srv.output.bytes() + srv.input.Load() }

// Stats asks every loop for its counters: all that has happened before the call is in
// them. On a loop, which must not wait, they are at most a sweep old; so are those of
// a loop that does not answer within a second, because a callback blocks it:
// Stats.Stuck counts these. Any goroutine.
func (srv *Server) Stats() Stats {
	var all Stats
	var loops []*loop
	if srv.launched.Load() {
		loops = srv.loops
	}
	if !srv.onLoop() {
		all.Stuck = len(srv.ask(post{kind: postSnapshot}))
	}
	for _, l := range loops {
		l.visible.stats.mu.Lock()
		all.merge(&l.visible.stats.stats)
		l.visible.stats.mu.Unlock()
	}
	all.Refused += srv.outside.refused.Load()
	all.BadHandshakes += srv.outside.bad.Load()
	all.Panics += srv.outside.panics.Load()
	all.Connections = int(srv.connections.Load() + srv.refusing.Load())
	all.QueuedBytes = srv.output.bytes()
	all.Overloads += srv.output.refused.Load()
	all.InputBytes = srv.input.Load()
	if srv.web != nil {
		all.HTTPPushedOut += srv.web.pushed.Load()
	}
	all.LogsLost += srv.lines.dropped()
	for kind := range all.Refusals {
		all.Refusals[kind] = srv.refusals.counts[kind].Load()
	}
	srv.turns.gauges(&all)
	srv.dialTurns.gauges(&all)
	return all
}

// onLoop reports that the calling goroutine is one of the loops.
func (srv *Server) onLoop() bool {
	if !srv.launched.Load() {
		return false
	}
	tid := int64(unix.Gettid())
	for _, l := range srv.loops {
		if l.thread.tid.Load() == tid {
			return true
		}
	}
	return false
}
