//go:build linux

package perch

import (
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/closing"
	"github.com/perchws/perch/internal/owner"
	"github.com/perchws/perch/pool"
)

// lagBytes and lagMessages are what a connection may have waiting for its
// worker before reading from it stops.
const (
	lagBytes      = 64 << 10
	lagBytesShort = 4 << 10 // instead, when there is not much room for input
	lagMessages   = 64
)

// work is what one connection has for the worker pool. At most one batch is in
// a worker's hands; the next gathers meanwhile. So order holds, and a handler
// that blocks holds up its own connection alone.
type work struct {
	// Immutable.
	ref   Ref
	route *Route

	// Owned by the loop.
	next   batch
	listed bool // cur is in l.workers.ready, in l.workers.waiting or with a worker
	held   int  // bytes of cur then
	waits  bool // cur is in l.workers.waiting

	// Owned by the worker between Submit and postDone, else by the loop.
	cur batch
}

// batch is a run of callbacks for one connection, in this order.
type batch struct {
	upgrade  *upgrading
	open     *Request
	messages []message
	data     []byte // of the messages
	close    *CloseError
}

// message is one of a batch's.
type message struct {
	op       Opcode
	off, end int
}

func (b *batch) empty() bool {
	return b.upgrade == nil && b.open == nil && len(b.messages) == 0 && b.close == nil
}

// forget drops the messages.
func (b *batch) forget() { b.messages, b.data = b.messages[:0], nil }

// reset readies b for reuse.
func (b *batch) reset() {
	if owner.Enabled {
		pool.Poison(b.data)
	}
	if cap(b.data) > lagBytes*2 {
		b.data = nil
	}
	*b = batch{messages: b.messages[:0], data: b.data[:0]}
}

// workOf is the connection's work, made when it is first needed.
func (l *loop) workOf(i uint32, s *slot) *work {
	l.own.Check()
	c := l.slab.thaw(s)
	if c.work == nil {
		c.work = l.takeWork()
		c.work.ref, c.work.route = l.conn(i, s).Ref(), l.routeOf(s)
	}
	return c.work
}

// spareWorks bounds what is kept for reuse, and spareBytes what each of them keeps.
const (
	spareWorks = 1024
	spareBytes = 4 << 10
)

// spareData is the memory of a batch that is kept for reuse.
func spareData(b []byte) []byte {
	if cap(b) > spareBytes {
		return nil
	}
	return b
}

func (l *loop) takeWork() *work {
	l.own.Check()
	n := len(l.workers.spare)
	if n == 0 {
		return new(work)
	}
	w := l.workers.spare[n-1]
	l.workers.spare = l.workers.spare[:n-1]
	return w
}

// dropWork ends the connection's work; nothing of it may be under way.
func (l *loop) dropWork(c *cold) {
	l.own.Check()
	w := c.work
	c.work = nil
	l.weigh(c)
	if w == nil || len(l.workers.spare) == spareWorks {
		return
	}
	w.next.reset()
	w.cur.reset()
	w.next.data, w.cur.data = spareData(w.next.data), spareData(w.cur.data)
	w.ref, w.route = Ref{}, nil
	l.workers.spare = append(l.workers.spare, w)
}

// decideLater hands OnUpgrade to the pool.
func (l *loop) decideLater(i uint32, s *slot, u *upgrading) {
	l.own.Check()
	l.step(i, s, closing.Deferred, why{})
	l.slab.thaw(s).upgrade = u
	l.workOf(i, s).next.upgrade = u
	l.list(i, s)
}

// workOpen hands OnOpen to the pool.
func (l *loop) workOpen(i uint32, s *slot, route *Route, r *Request) {
	l.own.Check()
	if route.blocking.OnOpen == nil {
		return
	}
	if r == &l.input.request { // OnUpgrade has not taken it from the loop yet
		r = r.detached()
	}
	l.workOf(i, s).next.open = r
	l.list(i, s)
}

// workMessage hands a copy of a message to the pool.
func (l *loop) workMessage(i uint32, s *slot, r *Route, op Opcode, p []byte) {
	l.own.Check()
	if r.blocking.OnMessage == nil {
		return
	}
	b := &l.workOf(i, s).next
	off := len(b.data)
	b.data = append(b.data, p...)
	b.messages = append(b.messages, message{op, off, len(b.data)})
	if len(b.data) >= lagBytes || len(b.messages) >= lagMessages || len(b.data) >= lagBytesShort && l.intake.short() {
		s.flags |= flagLags
	}
	l.list(i, s)
	l.weigh(l.slab.coldOf(s))
}

// list readies the connection's next batch, unless one is under way.
func (l *loop) list(i uint32, s *slot) {
	l.own.Check()
	w := l.workOf(i, s)
	if w.listed || w.next.empty() {
		return
	}
	w.listed = true
	w.cur, w.next = w.next, w.cur
	w.held = cap(w.cur.data)
	l.weigh(l.slab.coldOf(s))
	l.workers.ready = append(l.workers.ready, w)
}

// submit hands the tick's batches over, in one piece.
func (l *loop) submit() {
	l.own.Check()
	if len(l.workers.ready) == 0 {
		return
	}
	for _, j := range l.srv.workers.Submit(l.workers.ready) {
		l.wait(j.(*work))
	}
	clear(l.workers.ready)
	l.workers.ready = l.workers.ready[:0]
}

// wait keeps what the route's full queue refused, stops reading there, and asks to
// be told when there is room.
func (l *loop) wait(w *work) {
	l.own.Check()
	lane := w.Lane()
	if len(l.workers.waiting[lane]) == 0 {
		l.stats.PoolFull++
		l.srv.workers.Notify(lane, func() { l.put(post{kind: postSpace, slot: lane}, nil) })
	}
	if l.workers.waiting == nil {
		l.workers.waiting = map[uint32][]*work{}
	}
	l.workers.waiting[lane] = append(l.workers.waiting[lane], w)
	w.waits = true
	s := l.slab.at(w.ref.slot)
	if s.state == stateOpen {
		s.flags |= flagLags
		l.interest(w.ref.slot, s)
	}
}

// submitWaiting tries again for a route whose queue has room.
func (l *loop) submitWaiting(lane uint32) {
	l.own.Check()
	for _, w := range l.workers.waiting[lane] {
		w.waits = false
		l.workers.ready = append(l.workers.ready, w)
	}
	delete(l.workers.waiting, lane)
}

// Lane has one queue in the pool for each route.
func (w *work) Lane() uint32 { return w.route.index }

// Run calls the handlers of the current batch, on a worker.
func (w *work) Run() {
	h := w.route.blocking
	b := &w.cur
	defer w.handBack()
	if b.close != nil && h.OnClose != nil {
		defer w.call(func() { h.OnClose(w.ref, b.close) }) // whatever the others do
	}
	if b.upgrade != nil && h.OnUpgrade != nil {
		b.upgrade.response = failedUpgrade // if it panics
		w.call(func() {
			b.upgrade.response = h.OnUpgrade(b.upgrade.request)
			b.upgrade.response.Header = b.upgrade.response.Header.Clone() // the loop reads it later
		})
	}
	ok := b.open == nil || h.OnOpen == nil || w.call(func() { h.OnOpen(w.ref, b.open) })
	for _, m := range b.messages {
		ok = ok && w.call(func() { h.OnMessage(w.ref, m.op, b.data[m.off:m.end:m.end]) })
	}
}

// handBack gives the batch back to the loop.
func (w *work) handBack() {
	h, b := w.route.blocking, &w.cur
	err := w.ref.l.put(post{kind: postDone, work: w, slot: w.ref.slot, gen: w.ref.gen}, nil)
	if err != nil && b.upgrade != nil {
		w.route.abandon(&b.upgrade.response, because(ErrNeverOpened, ErrShutdown))
	}
	if err != nil && b.close == nil && b.upgrade == nil && h.OnClose != nil { // the loop has ended without us
		w.call(func() { h.OnClose(w.ref, &CloseError{Code: frame.CloseAbnormal, Err: ErrShutdown}) })
	}
}

// call runs one callback; a panic ends the connection with 1011. After
// runtime.Goexit it does not return, and the pool starts another goroutine.
func (w *work) call(f func()) (ok bool) {
	defer func() {
		if !ok {
			w.ref.l.put(post{kind: postPanic, slot: w.ref.slot, gen: w.ref.gen}, nil)
			w.ref.l.srv.notePanic(handlerPanicked, w.ref.ID().String(), recover())
		}
	}()
	f()
	return true
}

// workPanicked ends a connection whose handler has panicked on a worker.
// Messages that have gathered for it meanwhile are not delivered.
func (l *loop) workPanicked(i uint32, s *slot) {
	l.own.Check()
	l.stats.Panics++
	if c := l.slab.coldOf(s); c != nil && c.work != nil {
		c.work.next.open = nil
		c.work.next.forget()
		l.weigh(c)
	}
	if s.state == stateOpen {
		l.failWith(i, s, CloseInternalError, "internal error", ErrPanic)
	}
}

// workDone takes a batch back and hands over the next.
func (l *loop) workDone(i uint32, s *slot, w *work) {
	l.own.Check()
	u, ended := w.cur.upgrade, w.cur.close != nil
	w.cur.reset()
	w.listed, w.held = false, cap(w.cur.data)
	if u != nil && s.state != stateDeciding {
		u.route.abandon(&u.response, ErrNeverOpened)
	}
	c := l.slab.coldOf(s)
	switch {
	case ended:
		l.dropWork(c)
		l.release(i, s, c)
		return
	case s.state == stateClosed && s.fd < 0: // reap has waited for this
		l.reapOne(i, s)
		return
	case u != nil && s.state == stateDeciding:
		l.decided(i, s, c, u)
	}
	if s.state == stateClosed {
		return
	}
	if s.flags&(flagLags|flagEnded) == flagLags && len(w.next.data) < lagBytes && len(w.next.messages) < lagMessages {
		l.readAgain(i, s, c, flagLags)
	}
	l.list(i, s)
	if !w.listed {
		l.dropWork(c)
		if s.flags&flagEnded != 0 && s.state.Parses() {
			l.endOfInput(i, s)
			return
		}
	}
	l.weigh(c)
	l.interest(i, s)
	l.slab.freeze(s)
}

// decided goes on with an upgrade that a worker has decided about.
func (l *loop) decided(i uint32, s *slot, c *cold, u *upgrading) {
	l.own.Check()
	c.upgrade = nil
	defer l.recovered()
	n := copy(l.input.buf, u.rest)
	l.answer(i, s, u.route, u.request, []byte(u.key), u.response, l.input.buf[:n])
}

// workEnds reports whether a closed connection may be released: no worker has
// it, and OnClose of a blocking handler has run.
func (l *loop) workEnds(i uint32, s *slot, c *cold) bool {
	l.own.Check()
	r := l.routeOf(s)
	if c.work != nil && c.work.listed {
		return false // workDone comes back
	}
	if r.blocking == nil || s.flags&flagOpened == 0 {
		l.dropWork(c)
		return true
	}
	w := l.workOf(i, s)
	w.next.close = c.cause
	l.list(i, s)
	return false
}
