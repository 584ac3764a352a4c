//go:build linux

package perch

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/owner"
	"github.com/perchws/perch/pool"
)

// readable reads once and acts on what came: one read a tick for each
// connection, so that nobody starves. Level-triggering brings us back.
func (l *loop) readable(i uint32, s *slot) {
	l.own.Check()
	if s.state == stateLingering {
		l.discard(i, s)
		return
	}
	had := 0
	if c := l.slab.coldOf(s); c != nil && c.in != nil {
		if had = len(c.in.B); had > frame.MaxHeaderSize+frame.MaxControlPayload && s.state.Parses() {
			l.feedKept(i, s) // kept while reading was stopped: it comes first
			return
		}
	}
	if s.flags&flagTLS != 0 {
		l.readTLS(i, s)
		return
	}
	n, e := l.kernel.Recv(int(s.fd), l.input.buf[had:had+readBudget])
	switch {
	case e == unix.EAGAIN:
		return
	case e != 0:
		l.fail(i, s, e)
		return
	case n == 0:
		if had > 0 && s.state.Parses() && l.feedKeptBeforeEnd(i, s, had) {
			return // level-triggering brings the end back
		}
		l.endOfInput(i, s)
		return
	}
	l.stats.BytesReceived += uint64(n)
	l.received(i, s, had, n, n)
}

// received acts on input: n bytes at l.input.buf[had:], behind had bytes that are kept.
// fresh is how many came from the socket.
func (l *loop) received(i uint32, s *slot, had, n, fresh int) {
	l.own.Check()
	var inSince uint64
	if had > 0 {
		c := l.slab.coldOf(s)
		copy(l.input.buf, c.in.B)
		inSince = c.inSince
		l.dropInput(c)
	}
	switch s.state {
	case stateProxy:
		l.readProxy(i, s, l.input.buf[:had+n])
	case stateHandshake:
		l.readHead(i, s, l.input.buf[:had+n])
	case stateAnswer:
		l.readAnswer(i, s, l.input.buf[:had+n])
	default:
		if s.state == stateOpen { // else the peer owes us a close frame, and nothing else is of use
			l.heard(s)
		}
		l.feed(i, s, l.input.buf[:had+n], fresh)
		if c := l.slab.coldOf(s); had > 0 && c != nil && c.in != nil && len(c.in.B) == had+n {
			c.inSince = inSince // still the same header: byte by byte is no way round MessageTimeout
		}
	}
}

// dropInput gives back the buffer of kept input.
func (l *loop) dropInput(c *cold) {
	l.own.Check()
	if c.in != nil {
		l.bufs.Put(c.in)
		c.in = nil
		l.weigh(c)
	}
}

// keep copies input that cannot be used yet to the connection's side.
func (l *loop) keep(s *slot, b []byte) {
	l.own.Check()
	c := l.slab.thaw(s)
	if c.in == nil {
		c.in = l.bufs.GetFor(len(b))
		if c.asmBuf == nil {
			c.inSince = l.coarse
		}
	}
	c.in.B = append(c.in.B, b...)
	l.weigh(c)
}

// feed splits the input of an open or closing connection into messages, hands
// them over, and flushes what the handlers answered: the cork. fresh is how
// many bytes are new, for the rate.
func (l *loop) feed(i uint32, s *slot, b []byte, fresh int) {
	l.own.Check()
	r := l.routeOf(s)
	if fresh > 0 && r.traffic.LimitsBytes() && !r.traffic.Input(l.slab.rates.At(i), l.now, fresh) && s.state == stateOpen {
		l.stats.RateLimited++
		l.failWith(i, s, ClosePolicyViolation, "too many bytes", ErrRateLimit)
		return
	}
	lim := r.limitsOf(s.flags)
	asm := &l.input.asm
	if c := l.slab.coldOf(s); c != nil && c.asmBuf != nil {
		asm = &c.asm
	}
	l.cork.of, l.cork.slot = i, s
	var err error
	if r.plain && asm == &l.input.asm && s.state == stateOpen && s.flags&flagClient == 0 && !s.held() {
		if b, err = l.wholeMessages(r, b); err != nil {
			l.protocolError(i, s, err)
		}
	}
	for len(b) > 0 && s.state.Parses() && !s.held() {
		ev, n, err := asm.Next(b, lim)
		b = b[n:]
		if err != nil {
			l.protocolError(i, s, err)
			break
		}
		if ev.Kind == frame.NeedMore {
			break
		}
		if ev.Kind == frame.Message {
			if asm != &l.input.asm { // what comes behind it has a MessageTimeout of its own
				c := l.slab.coldOf(s)
				c.inSince, c.came = l.coarse, 0
			}
			l.message(i, s, r, ev.Opcode, ev.Payload, ev.Rsv != 0)
		} else {
			l.control(i, s, r, ev.Opcode, ev.Payload)
		}
	}
	l.cork.of = noSlot
	l.stashMessage(s, asm)
	switch {
	case s.state.Parses():
		if len(b) > 0 {
			l.keep(s, b)
		}
	case (len(b) > 0 || fresh == readBudget) && s.state != stateClosed:
		l.slab.thaw(s).unread = true
	}
	if len(l.cork.buf) > 0 {
		l.flushCork(i, s)
	}
	if s.cold != 0 {
		l.settle(i, s)
	}
}

// wholeMessages hands over the messages at the start of b that are whole, for as long
// as nothing else comes: the inner loop of the engine, kept small. The rest is
// for feed. The connection is the one whose event this is.
func (l *loop) wholeMessages(r *Route, b []byte) (rest []byte, err error) {
	l.own.Check()
	c := l.conn(l.cork.of, l.cork.slot)
	for len(b) > 0 {
		ev, n, err := l.input.asm.Whole(b, &r.limits)
		if n == 0 || err != nil {
			return b, err
		}
		b = b[n:]
		l.stats.MessagesReceived++
		l.calling.begin(c.slot, l.cork.slot)
		r.onMessage(c, ev.Opcode, ev.Payload)
		l.calling.end()
		if owner.Enabled {
			pool.Poison(ev.Payload)
		}
		if s := l.cork.slot; s.state != stateOpen || s.flags&flagPaused != 0 {
			break
		}
	}
	return b, nil
}

// stashMessage moves a message that is not whole to the connection's side, and
// gives its memory back when it is.
func (l *loop) stashMessage(s *slot, asm *frame.Assembler) {
	l.own.Check()
	switch {
	case asm == &l.input.asm && asm.Idle():
	case !s.state.Parses():
		if asm == &l.input.asm { // the connection is done for: its gathered message goes with it
			l.input.asmBuf.B = l.input.asm.Take()
			l.freshAssembler(l.input.asmBuf)
		} else if c := l.slab.coldOf(s); c != nil {
			l.weigh(c)
		}
	case asm == &l.input.asm:
		c := l.slab.thaw(s)
		c.asm, c.asmBuf = l.input.asm, l.input.asmBuf
		if n := c.asm.Buffered(); c.asm.Held() > 4*max(n, smallMessage) { // the rest of it may be long in coming
			small := l.bufs.GetFor(n)
			c.asmBuf.B = c.asm.Move(small.B)
			l.bufs.Put(c.asmBuf)
			c.asmBuf = small
		}
		c.inSince, c.came = l.coarse, c.asm.Buffered()
		l.freshAssembler(l.bufs.Get())
		l.weigh(c)
	case asm.Idle():
		if c := l.slab.coldOf(s); c != nil && c.asmBuf != nil {
			l.dropMessage(c)
		}
	default:
		c := l.slab.coldOf(s)
		if asm.Buffered()-c.came >= messageStep {
			c.inSince, c.came = l.coarse, asm.Buffered()
		}
		l.weigh(c)
	}
}

// messageStep is how much of a message must come in MessageTimeout, in bytes: less
// than any network brings that is of use, and more than it costs us to wait.
const messageStep = 16 << 10

// smallMessage is for how much of a message a buffer may be too large.
const smallMessage = 1 << 10

// freshAssembler readies the loop's own assembler, which every connection uses
// that has no message under way.
func (l *loop) freshAssembler(buf *pool.Buffer) {
	l.own.Check()
	l.input.asm, l.input.asmBuf = frame.Assembler{}, buf
	l.input.asm.Buffer(buf.B)
}

// dropMessage gives back the memory of a message.
func (l *loop) dropMessage(c *cold) {
	l.own.Check()
	if c.asmBuf == nil {
		return
	}
	c.asmBuf.B = c.asm.Take()
	l.bufs.Put(c.asmBuf)
	c.asmBuf = nil
	c.asm = frame.Assembler{}
	l.weigh(c)
}

// message hands one message over.
func (l *loop) message(i uint32, s *slot, r *Route, op Opcode, p []byte, compressed bool) {
	l.own.Check()
	if s.state != stateOpen {
		return // after our close frame: RFC 6455 §1.4 lets us ignore it
	}
	if r.traffic.LimitsMessages() && !r.traffic.Message(l.slab.rates.At(i), l.now) {
		l.stats.RateLimited++
		l.failWith(i, s, ClosePolicyViolation, "too many messages", ErrRateLimit)
		return
	}
	if compressed {
		var err error
		if p, err = l.inflate(i, s, r, op, p); err != nil {
			l.protocolError(i, s, err)
			return
		}
	}
	l.stats.MessagesReceived++
	switch {
	case r.blocking != nil:
		l.workMessage(i, s, r, op, p)
	case r.onMessage != nil:
		l.calling.begin(i, s)
		r.onMessage(l.conn(i, s), op, p)
		l.calling.end()
	}
	if owner.Enabled {
		pool.Poison(p)
	}
}

// control acts on a control frame (RFC 6455 §5.5).
func (l *loop) control(i uint32, s *slot, r *Route, op Opcode, p []byte) {
	l.own.Check()
	switch op {
	case frame.OpPing:
		l.stats.PingsReceived++
		if s.state == stateOpen {
			l.pong(i, s, p)
		}
	case frame.OpPong:
		l.ponged(i, s, r, p)
	case frame.OpClose:
		l.peerClosed(i, s, p)
	}
}

// protocolError answers what the peer did wrong with a close frame.
func (l *loop) protocolError(i uint32, s *slot, err error) {
	l.own.Check()
	var pe *frame.ProtocolError
	if !errors.As(err, &pe) {
		l.fail(i, s, err)
		return
	}
	l.stats.ProtocolErrors++
	l.failWith(i, s, pe.Code, pe.Reason, err)
}

// readAgain ends why, one of the reasons to hold reading from an open connection. The peer was silent, and its message
// not whole, because we did not read: both times begin anew.
func (l *loop) readAgain(i uint32, s *slot, c *cold, why slotFlags) {
	l.own.Check()
	s.flags &^= why
	s.see(l.coarse)
	c.inSince = l.coarse
	l.lists.resumed = append(l.lists.resumed, l.conn(i, s))
	l.tellResumed(i, s, c)
}

// resume goes on with connections whose reading had stopped: first what they
// had sent before.
func (l *loop) resume() {
	l.own.Check()
	if len(l.lists.resumed) == 0 {
		return
	}
	l.doing.enter(phaseResume)
	batch, done := l.lists.resumed, 0
	l.lists.resumed = l.lists.spareResumed[:0]
	defer func() {
		l.lists.resumed = append(l.lists.resumed, batch[done:]...) // none is left, but after Goexit
		l.lists.spareResumed = batch
	}()
	for _, conn := range batch {
		done++
		s := l.slab.at(conn.slot)
		if s.gen.Load() == conn.gen {
			l.doing.on(conn.slot)
			l.feedKept(conn.slot, s)
			if s.flags&flagTLS != 0 {
				l.endOfRecords(conn.slot, s)
			}
		}
	}
}

// feedKeptBeforeEnd is feedKept for the end of input behind had bytes that were kept: whole
// messages may be among them. It reports whether any of them were of use.
func (l *loop) feedKeptBeforeEnd(i uint32, s *slot, had int) bool {
	l.own.Check()
	l.feedKept(i, s)
	c := l.slab.coldOf(s)
	return c == nil || c.in == nil || len(c.in.B) < had
}

// feedKept feeds what was kept while reading was held, if it is held no longer.
func (l *loop) feedKept(i uint32, s *slot) {
	l.own.Check()
	c := l.slab.coldOf(s)
	if c == nil || c.in == nil || s.held() || !s.state.Parses() {
		return
	}
	defer l.recovered()
	n := copy(l.input.buf, c.in.B)
	l.dropInput(c)
	l.feed(i, s, l.input.buf[:n], 0)
}
