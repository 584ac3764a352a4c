//go:build linux

package perch

import "github.com/perchws/perch/frame"

// send encodes a message for an open connection: into the cork if it is this
// connection's own event and nothing is queued before it, else into its outbox.
func (l *loop) send(i uint32, s *slot, op Opcode, p []byte) error {
	l.own.Check()
	size := len(p) + frame.MaxHeaderSize
	if l.cork.of == i && (s.cold == 0 || l.slab.colds[s.cold].out.empty()) {
		if len(l.cork.buf)+size > cap(l.cork.buf) && len(l.cork.buf) > 0 {
			l.flushCork(i, s)
		}
		if size <= cap(l.cork.buf)-len(l.cork.buf) && (s.cold == 0 || l.slab.colds[s.cold].out.empty()) {
			l.cork.buf = l.encode(l.cork.buf, i, s, op, p)
			l.stats.MessagesSent++
			return nil
		}
	}
	if s.state != stateOpen { // the flush above found it broken
		return ErrClosed
	}
	out, err := l.admit(i, s, size)
	if err != nil {
		return err
	}
	buf := out.tail(size, &l.bufs)
	before := len(buf.B)
	buf.B = l.encode(buf.B, i, s, op, p)
	out.grown(len(buf.B) - before)
	l.ledger.queued += int64(len(buf.B) - before)
	l.stats.MessagesSent++
	l.pressure(s, out)
	l.markDirty(i, s)
	return nil
}

// encode appends the frame of a message that will be sent: compressed where that is
// agreed and pays, masked if we are the client.
func (l *loop) encode(dst []byte, i uint32, s *slot, op Opcode, p []byte) []byte {
	l.own.Check()
	if s.flags&(flagClient|flagDeflate) == 0 {
		return frame.AppendFrame(dst, op, p)
	}
	h := frame.Header{Fin: true, Opcode: op}
	if s.flags&flagDeflate != 0 {
		var ok bool
		if p, ok = l.deflate(i, s, p); ok {
			h.Rsv = frame.RSV1
		}
	}
	h.Length = int64(len(p))
	if s.flags&flagClient != 0 {
		h.Masked, h.Key = true, l.maskKey()
	}
	dst = frame.AppendHeader(dst, h)
	at := len(dst)
	dst = append(dst, p...)
	if h.Masked {
		frame.Mask(dst[at:], h.Key, 0)
	}
	return dst
}

// sendPrepared queues shared bytes. A client must mask, so it copies; and so does a
// connection whose context lives on, if the message is short.
func (l *loop) sendPrepared(i uint32, s *slot, p *Prepared) error {
	l.own.Check()
	b := p.Bytes()
	if s.flags&(flagClient|flagDeflate) != 0 {
		if s.flags&flagClient != 0 || s.ownCopy(p) {
			return l.send(i, s, p.Opcode(), p.Payload())
		}
		b = l.deflated(s, p)
	}
	if l.cork.of == i && len(l.cork.buf) > 0 {
		if len(b) <= cap(l.cork.buf)-len(l.cork.buf) {
			l.cork.buf = append(l.cork.buf, b...)
			l.sentPrepared(i, s, p, b)
			return nil
		}
		l.flushCork(i, s)
		if s.state != stateOpen {
			return ErrClosed
		}
	}
	if err := l.share(i, s, b); err != nil {
		return err
	}
	l.sentPrepared(i, s, p, b)
	return nil
}

// share queues bytes that nobody will change.
func (l *loop) share(i uint32, s *slot, b []byte) error {
	l.own.Check()
	out, err := l.admit(i, s, len(b))
	if err != nil {
		return err
	}
	out.share(b, &l.bufs)
	l.ledger.queued += int64(len(b))
	l.pressure(s, out)
	l.markDirty(i, s)
	return nil
}

// sendPosted is send for what was posted: a long message that goes as it is has
// memory of its own already, and is not copied again.
func (l *loop) sendPosted(i uint32, s *slot, p *post, data []byte) error {
	l.own.Check()
	if p.own == nil || len(data) < ownSize || s.flags&(flagClient|flagDeflate) != 0 {
		return l.send(i, s, p.op, data)
	}
	at := frame.MaxHeaderSize - frame.HeaderSize(len(data), false)
	frame.AppendHeader(p.own[at:at], frame.Header{Fin: true, Opcode: p.op, Length: int64(len(data))})
	if err := l.share(i, s, p.own[at:]); err != nil {
		return err
	}
	l.stats.MessagesSent++
	return nil
}

// admit returns the connection's outbox if it may take a message of n bytes
// more. Of the connection's own limit what counts is what was queued before: an
// empty queue takes any one message. Over a limit the route's policy is applied,
// except to a connection with nothing queued, for which all others leave no room:
// the error is errNoRoom then.
func (l *loop) admit(i uint32, s *slot, n int) (*outbox, error) {
	l.own.Check()
	c := l.slab.thaw(s)
	over := !l.fits(n)
	switch {
	case c.out.load() == 0 && over:
		l.srv.overloads.Add(1)
		l.markDirty(i, s) // which gives the cold part back
		return nil, errNoRoom
	case c.out.load() == 0:
		c.out.since = l.coarse
		return &c.out, nil
	}
	if c.out.load() < l.srv.cfg.MaxOutput && !over {
		return &c.out, nil
	}
	cause := ErrSlowConsumer
	if over {
		cause = ErrOverloaded
	}
	if l.routeOf(s).onGap != nil {
		c.dropped++
		l.stats.MessagesDropped++
		return nil, cause
	}
	l.slow(i, s, cause)
	return nil, cause
}

// keyFor is a masking key where one is needed.
func (l *loop) keyFor(s *slot) uint32 {
	l.own.Check()
	if s.flags&flagClient != 0 {
		return l.maskKey()
	}
	return 0
}

// queueClose queues a close frame as the last one.
func (l *loop) queueClose(i uint32, s *slot, code CloseCode, reason string) {
	l.own.Check()
	var payload [frame.MaxControlPayload]byte
	l.queueControl(i, s, frame.OpClose, frame.AppendClose(payload[:0], code, reason))
}

// queueControl queues a control frame behind everything.
func (l *loop) queueControl(i uint32, s *slot, op Opcode, p []byte) {
	l.own.Check()
	masked, key := s.flags&flagClient != 0, l.keyFor(s)
	if l.cork.of == i && (s.cold == 0 || l.slab.colds[s.cold].out.empty()) && cap(l.cork.buf)-len(l.cork.buf) >= len(p)+frame.MaxHeaderSize {
		l.cork.buf = appendFrame(l.cork.buf, op, p, masked, key)
		return
	}
	if l.cork.of == i && len(l.cork.buf) > 0 {
		l.flushCork(i, s)
		if s.state == stateClosed {
			return
		}
	}
	c := l.slab.thaw(s)
	if c.out.empty() {
		c.out.since = l.coarse
	}
	buf := c.out.tail(len(p)+frame.MaxHeaderSize, &l.bufs)
	before := len(buf.B)
	buf.B = appendFrame(buf.B, op, p, masked, key)
	c.out.grown(len(buf.B) - before)
	l.ledger.queued += int64(len(buf.B) - before)
	l.markDirty(i, s)
}

// pong answers a ping: at once, or ahead of what is queued. Pings that come
// while the socket is full get one pong, the newest (RFC 6455 §5.5.3).
func (l *loop) pong(i uint32, s *slot, p []byte) {
	l.own.Check()
	c := l.slab.coldOf(s)
	if c == nil || c.out.empty() {
		l.queueControl(i, s, frame.OpPong, p)
		return
	}
	c.out.pong(p, s.flags&flagClient != 0, l.keyFor(s))
	l.markDirty(i, s)
}
