package bench

import (
	"context"
	"math"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/perchws/perch"
)

const (
	maxMessage   = 64 << 20 // of a message received, where a mode does not know better
	closeTimeout = 5 * time.Second
	closeWindow  = 2000 // closing handshakes under way at a time
	maxCatchUp   = 50 * time.Millisecond
	pollPeriod   = 5 * time.Millisecond // of a wait for what the loops count
)

// run is one run of a mode: its connections, its clock and its phases.
type run struct {
	// Immutable after newRun.
	t       *Target
	plan    plan
	start   time.Time
	engines []*engine
	members []*member

	faults     faults
	progress   progress
	pings      uint64        // that were answered; set by stop
	received   uint64        // messages; set by stop
	compressed uint64        // of them; set by stop
	dropped    uint64        // packets, by the kernel, before the run
	connecting time.Duration // how long that took; set by connect
	cut        bool          // ctx has ended before the interval; set by measure
	watch      func()        // called now and then while waiting; nil: nothing

	// Atomic: any goroutine. Nanoseconds since start.
	from, until atomic.Int64 // the measured interval; math.MaxInt64: not yet
	sending     atomic.Bool
}

// client is what a mode does with one connection: callbacks of its loop.
type client interface {
	open(c perch.Conn)
	message(c perch.Conn, op perch.Opcode, p []byte)
}

// newRun starts the engines for conns connections. newClient is called for each.
func newRun(t *Target, conns int, output int, newClient func(m *member) client) (*run, error) {
	addr, err := t.check()
	if err != nil {
		return nil, err
	}
	s := readSystem()
	p, err := s.plan(t, addr, conns)
	if err != nil {
		return nil, err
	}
	r := &run{t: t, plan: p, start: time.Now(), progress: progress{w: t.Progress}, dropped: dropped()}
	r.faults.log = t.Log
	r.from.Store(math.MaxInt64)
	r.until.Store(math.MaxInt64)
	for i := range p.loops {
		e, err := newEngine(r, conns/p.loops+1, output)
		if err != nil {
			r.stop()
			return nil, err
		}
		e.index = i
		r.engines = append(r.engines, e)
	}
	for i := range conns {
		e := r.engines[i%len(r.engines)]
		m := &member{e: e, index: i}
		m.client = newClient(m)
		r.members = append(r.members, m)
		e.members = append(e.members, m)
	}
	return r, nil
}

// now is the time since start in nanoseconds.
func (r *run) now() int64 { return int64(time.Since(r.start)) }

// measuring reports that a moment is within the measured interval.
func (r *run) measuring(at int64) bool { return at >= r.from.Load() && at < r.until.Load() }

// source is the address that connection i comes from; the zero value: the
// kernel's choice.
func (r *run) source(i int) netip.Addr {
	if len(r.plan.sources) == 0 {
		return netip.Addr{}
	}
	return r.plan.sources[i%len(r.plan.sources)]
}

// connect opens all connections and waits until each is open or has failed. It
// returns the number of those that are open.
func (r *run) connect(ctx context.Context) int {
	limit := r.t.ConnectTimeout + 30*time.Second + time.Duration(len(r.members))*time.Millisecond
	if r.t.ConnectRate > 0 {
		limit += time.Duration(float64(len(r.members)) / r.t.ConnectRate * float64(time.Second))
	}
	var begun float64 // due at the rate, and not begun yet
	begin := time.Now()
	last := begin
	for _, e := range r.engines {
		if r.t.ConnectRate == 0 {
			for range max(r.t.InFlight/len(r.engines), 1) { // each is followed by another
				e.dialNext(ctx)
			}
		}
	}
	settled := func() (n int) {
		for _, e := range r.engines {
			n += int(e.opened.Load() + e.failed.Load())
		}
		return n
	}
	r.wait(ctx, limit, func() (bool, float64) {
		if r.t.ConnectRate > 0 {
			now := time.Now()
			late := min(now.Sub(last), maxCatchUp) // no burst after a pause
			begun += r.t.ConnectRate * late.Seconds()
			for last = now; begun >= 1; begun-- {
				r.nextEngine().dialNext(ctx)
			}
		}
		n := settled()
		return n == len(r.members), float64(n) / float64(len(r.members))
	}, "connecting")
	open := r.countOpen()
	r.connecting = time.Since(begin)
	if n := len(r.members) - settled(); n > 0 && ctx.Err() == nil {
		r.faults.add(Timeout, uint64(n), "%d of %d connections were not ready within %v", n, len(r.members), limit)
	}
	return open
}

// nextEngine is the one that has begun the fewest connections.
func (r *run) nextEngine() *engine {
	least := r.engines[0]
	for _, e := range r.engines[1:] {
		if e.begun.Load() < least.begun.Load() {
			least = e
		}
	}
	return least
}

// countOpen is the number of connections that are open now.
func (r *run) countOpen() (n int) {
	for _, e := range r.engines {
		n += int(e.opened.Load() - e.ended.Load())
	}
	return n
}

// measure lets begin start the load and takes the interval between two samples
// of the machine: after the warm-up, or from the first message if there is none.
func (r *run) measure(ctx context.Context, what string, begin func()) (interval, error) {
	start := r.now()
	show := func() (bool, float64) { return false, float64(r.now()-start) / float64(r.t.Warmup+r.t.Time) }
	if r.t.Warmup > 0 {
		begin()
		r.wait(ctx, r.t.Warmup, show, what)
	}
	before, err := sample(r.t.PID)
	if err != nil {
		return interval{}, err
	}
	before.pings = r.answeredPings()
	from := r.now()
	r.from.Store(from)
	if r.t.Warmup == 0 {
		begin()
	}
	r.wait(ctx, r.t.Time, show, what)
	until := r.now()
	r.until.Store(until)
	after, err := sample(r.t.PID)
	after.pings = r.answeredPings()
	r.cut = ctx.Err() != nil
	r.progress.clear()
	return interval{length: time.Duration(until - from), before: before, after: after}, err
}

// answeredPings is how many pings of the server have been answered by now.
func (r *run) answeredPings() (n uint64) {
	for _, e := range r.engines {
		n += e.srv.Stats().PingsReceived
	}
	return n
}

// wait polls cond until it is true or limit is over, and shows the progress
// that it tells. It reports whether cond was true. A cancelled ctx ends it.
func (r *run) wait(ctx context.Context, limit time.Duration, cond func() (done bool, progress float64), what string) bool {
	tick := time.NewTicker(pollPeriod)
	defer tick.Stop()
	end := time.NewTimer(limit)
	defer end.Stop()
	for {
		if r.watch != nil {
			r.watch()
		}
		done, fraction := cond()
		if done {
			r.progress.clear()
			return true
		}
		r.progress.show(what, fraction)
		select {
		case <-tick.C:
		case <-end.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// close closes the connections with 1000, closeWindow at a time, and waits for
// the closing handshakes, then stops the engines: no callback runs after it.
func (r *run) close() {
	r.sending.Store(false)
	left, begun, open := r.members, 0, r.countOpen()
	limit := closeTimeout + time.Second + time.Duration(len(left))*time.Millisecond
	r.wait(context.Background(), limit, func() (bool, float64) {
		now := r.countOpen()
		for ended := open - now; len(left) > 0 && begun-ended < closeWindow; left = left[1:] {
			if m := left[0]; m.state.CompareAndSwap(memberOpen, memberClosing) {
				m.ref.Close(perch.CloseNormal, "")
				begun++
			}
		}
		return now == 0, 1 - float64(now)/float64(max(open, 1))
	}, "closing")
	r.stop()
}

// stop ends the engines.
func (r *run) stop() {
	r.pings = r.answeredPings()
	for _, e := range r.engines {
		s := e.srv.Stats()
		r.received += s.MessagesReceived
		r.compressed += s.CompressedReceived
		e.srv.Close()
		e.srv.Wait()
	}
	r.progress.clear()
}
