//go:build linux

package perch

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/perchws/perch/internal/closing"
	"github.com/perchws/perch/internal/entropy"
	"github.com/perchws/perch/internal/owner"
	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/poller"
	"github.com/perchws/perch/pool"
	"github.com/perchws/perch/room"
)

// Budgets of one tick: work that is left over keeps the next wait at zero, so
// that nobody starves.
const (
	eventBudget  = 512       // events
	readBudget   = 64 << 10  // bytes of one read
	acceptBudget = 128       // connections accepted
	postBudget   = 4096      // posts carried out
	flushBudget  = 256 << 10 // bytes sent to one connection at the end of a tick
	pingBudget   = 1000      // pings a sweep begins
	corkSize     = 64 << 10  // bytes gathered for one send; fewer where a connection may not have twice as many queued
	minCork      = 1 << 10
)

// maxLoops and maxWorkers are what a configuration may ask for: more than there are
// CPUs anywhere, and few enough for the limit of Go's runtime on threads (10,000), and
// for the loop's place in an ID.
const (
	maxLoops   = 1024
	maxWorkers = 1 << 16
)

// listenerSlot marks the listener's events, pairSlot those of the pair.
const (
	listenerSlot = 1<<31 - 1
	pairSlot     = listenerSlot - 1
)

// loop is one event loop: a goroutine locked to its OS thread, an epoll
// instance, and the connections that it accepted or dialled. A connection
// belongs to one loop for life. The parts are in loop_parts.go; what only one
// theme needs is a field of that theme's part.
type loop struct {
	// Immutable after newLoop, or while the loop runs.
	srv    *Server
	id     int
	kernel sock.Kernel
	poller readiness
	asleep func() time.Duration // idle, made once: Wait is behind an interface, where it would be made each time
	thread thread

	// Owned by the loop; see own.Check. First what each message needs.
	own         owner.Owner
	calling     calling
	cork        cork
	compression compressing
	now         int64  // ns of the server's clock, read once a tick
	coarse      uint64 // now in coarse units
	input       input
	slab        slab
	rooms       *room.Shards
	lists       lists
	outgoing    outgoing
	intake      intake
	doing       doing
	sockets     socketWriter
	tls         tlsBuffers
	accepting   accepting
	http        passing
	workers     batches
	hand        clockHand
	life        life
	bufs        pool.Buffers
	keys        *rand.ChaCha8 // masking keys
	stats       Stats

	// Any goroutine.
	mail    mailbox
	visible visible
}

func newLoop(s *Server, id, most int) (*loop, error) {
	p, err := s.poller(id, s.cfg.KeepGOMAXPROCS)
	if err != nil {
		return nil, err
	}
	l := &loop{
		srv: s, id: id, kernel: s.kernel(id), poller: p,
		slab:        newSlab(most),
		rooms:       room.NewShards(s.rooms, id),
		cork:        newCork(s.cfg.MaxOutput),
		input:       newInput(s.cfg.heads()),
		compression: compressing{threshold: s.cfg.Compression.least()},
		accepting:   accepting{listener: -1, shares: s.shared != nil},
		http:        passing{pair: -1},
		calling:     calling{current: noSlot},
		outgoing:    outgoing{account: &s.output},
		intake:      intake{total: &s.input, most: s.cfg.MaxInputTotal},
		doing:       doing{slot: noSlot},
		hand:        clockHand{period: s.period, wanted: s.period},
		keys:        entropy.Stream(s.entropy),
		visible:     visible{journal: closing.NewJournal()},
	}
	l.asleep = l.idle
	l.sockets = socketWriter{l.kernel, &l.stats, -1}
	l.accepting.overflow.most = s.overflow
	if len(s.reserved) > 0 {
		l.accepting.spares.most = sparesKept
	}
	if owner.Enabled {
		l.tls.sealed.Check = l.own.Check
	}
	l.freshAssembler(l.bufs.Get())
	return l, nil
}

// run turns the loop until it is stopped, or has failed.
func (l *loop) run() error {
	l.own.Check()
	for !l.life.stopped {
		if l.calling.unwound > maxUnwound {
			return fmt.Errorf("perch: loop %d: %d callbacks have called runtime.Goexit", l.id, l.calling.unwound)
		}
		if err := l.tick(); err != nil {
			return fmt.Errorf("perch: loop %d: %w", l.id, err)
		}
	}
	return nil
}

// tick is one turn of the loop. The order is the contract: docs/architecture.md.
func (l *loop) tick() error {
	l.own.Check()
	n, err := l.poller.Wait(l.input.events, l.asleep)
	if err != nil {
		return err
	}
	l.clock()
	l.visible.watched.began.Store(l.now)
	if !l.srv.dog.armed.Load() {
		l.srv.arm()
	}
	l.handle(l.input.events[:n])
	l.resume()
	l.drainMailbox()
	if l.now >= l.hand.next {
		l.sweep()
	}
	l.submit()
	l.flushDirty()
	l.reap()
	l.account()
	if owner.Enabled {
		l.audit()
	}
	return nil
}

// idle ends a tick: how long may the loop sleep if no event is ready?
func (l *loop) idle() time.Duration {
	l.own.Check()
	now := l.srv.clock.Now()
	l.watch(now)
	if len(l.lists.dirty) > 0 || len(l.lists.resumed) > 0 || len(l.lists.dead) > 0 || len(l.workers.ready) > 0 || l.mail.next < len(l.mail.taken) || l.lists.walking.d != nil || l.mail.waiting() {
		return 0
	}
	if l.slab.live == 0 && l.accepting.pausedUntil == 0 {
		return -1
	}
	return max(time.Duration(l.hand.next-now), 0)
}

// watch takes the time of the tick that ends now.
func (l *loop) watch(now int64) {
	l.own.Check()
	took := now - l.now
	l.stats.Ticks.add(took)
	if took > int64(slowTick) && l.now != 0 {
		l.stats.SlowTicks++
		if l.srv.slow.take(0, took) {
			l.srv.log.LogAttrs(l.srv.ctx, slog.LevelWarn, "slow tick: a handler blocks its loop, or the machine is overloaded",
				slog.Int("loop", l.id), slog.Duration("took", time.Duration(took)))
		}
	}
}

// newSlow makes the tally of slow ticks: they come in thousands, and one says all.
func newSlow(srv *Server) *tally {
	return newTally(srv.clock, 1, 1, 0, tallyInterval, func(_ int, left unsaid) {
		srv.log.LogAttrs(srv.ctx, slog.LevelWarn, "more slow ticks: a handler blocks its loop, or the machine is overloaded",
			slog.Uint64("count", left.count), slog.Duration("longest", time.Duration(left.most)))
	})
}

// slowTick is what the watchdog reports: every connection of the loop waits as
// long.
const slowTick = 10 * time.Millisecond

// handle acts on events. After a handler's panic the rest of them comes again:
// they are level-triggered.
func (l *loop) handle(events []poller.Event) {
	l.own.Check()
	l.doing.enter(phaseEvents)
	defer l.recovered()
	for i := range events {
		l.dispatch(&events[i])
		if l.intake.over {
			l.relieveInput()
		}
	}
}

// dispatch acts on one event. Stale ones, of a connection that was closed after
// they were fetched, differ in generation or find the state closed.
func (l *loop) dispatch(ev *poller.Event) {
	l.own.Check()
	t := ev.Token()
	switch t.Slot {
	case listenerSlot:
		l.accept()
		return
	case pairSlot:
		l.handOffKept()
		return
	}
	i := uint32(t.Slot)
	s := l.slab.at(i)
	if s.gen.Load() != t.Generation {
		return
	}
	l.doing.on(i)
	if s.flags&flagOut != 0 && ev.Writable() {
		l.writable(i, s)
	}
	switch {
	case ev.Readable() && s.state.Reads() && !s.held():
		l.readable(i, s)
	case ev.Broken() && s.state != stateClosed && s.state != stateConnecting:
		// Not to be masked, so not to be waited for: unread input is lost.
		l.fail(i, s, l.brokenCause(int(s.fd)))
	}
}

// interest registers what the connection waits for, if that has changed.
func (l *loop) interest(i uint32, s *slot) {
	l.own.Check()
	var want slotFlags
	if s.state.Reads() && !s.held() {
		want |= flagIn
	}
	if s.state == stateConnecting || l.slab.waits(s) {
		want |= flagOut
	}
	if s.flags&(flagIn|flagOut) == want {
		return
	}
	s.flags = s.flags&^(flagIn|flagOut) | want
	if err := l.poller.Mod(int(s.fd), l.token(i, s), interestOf(want)); err != nil {
		l.fail(i, s, err)
	}
}

func interestOf(f slotFlags) (in poller.Interest) {
	if f&flagIn != 0 {
		in |= poller.In
	}
	if f&flagOut != 0 {
		in |= poller.Out
	}
	return in
}

func (l *loop) token(i uint32, s *slot) poller.Token {
	l.own.Check()
	return poller.Token{Slot: int32(i), Generation: s.gen.Load()}
}

// conn is the connection of a slot. Any goroutine.
func (l *loop) conn(i uint32, s *slot) Conn { return Conn{l, i, s.gen.Load()} }

// routeOf is what serves the connection.
func (l *loop) routeOf(s *slot) *Route {
	l.own.Check()
	return l.srv.route(s.route())
}

// maskKey is a fresh unpredictable masking key, never 0 (RFC 6455 §5.3).
func (l *loop) maskKey() uint32 {
	l.own.Check()
	return uint32(l.keys.Uint64()) | 1
}

// end leaves nothing behind, however the loop has ended. Work that
// runtime.Goexit has interrupted is done when end is called again.
func (l *loop) end() {
	l.own.Check()
	l.abortAll()
	l.reap()
	l.mail.close()
	for l.drainMailbox() {
	}
	l.reap()
	l.submit() // OnClose of blocking handlers
	l.accepting.spares.close(l.kernel)
	l.account()
	l.publishStats()
}
