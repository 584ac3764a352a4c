//go:build linux

package perch

import (
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/outbox"
)

// What is sent to a connection goes one of two ways. In the connection's own event it goes into the cork, as long as
// nothing waits before it: all answers of the event leave in one write. Everything else goes into the outbox, which is
// flushed at the end of the tick: queueFor says whether it may, queued accounts for it.

// send encodes a message for an open connection.
func (l *loop) send(i uint32, s *slot, op Opcode, p []byte) error {
	l.own.Check()
	size := len(p) + frame.MaxHeaderSize
	if l.corks(i, s, size) {
		l.cork.buf = l.encode(l.cork.buf, i, s, op, p)
		l.stats.MessagesSent++
		return nil
	}
	if s.state != stateOpen { // corks has flushed, and found the peer gone or too slow
		return ErrClosed
	}
	out, err := l.queueFor(i, s, size)
	if err != nil {
		return err
	}
	l.queued(i, s, out, out.Commit(l.encode(out.Extend(size, &l.bufs), i, s, op, p)))
	l.stats.MessagesSent++
	return nil
}

// sendPrepared queues bytes that all receivers share. A client must mask, so it copies them; and so does a connection
// whose compression context lives on, if the message is short.
func (l *loop) sendPrepared(i uint32, s *slot, p *Prepared) error {
	l.own.Check()
	b := p.Bytes()
	if s.flags&(flagClient|flagDeflate) != 0 {
		if s.flags&flagClient != 0 || s.ownCopy(p) {
			return l.send(i, s, p.Opcode(), p.Payload())
		}
		b = l.deflated(s, p)
	}
	if l.cork.of == i && len(l.cork.buf) > 0 { // what is in the cork comes first
		if len(b) <= l.cork.room() {
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

// sendPosted carries out the post of a message, on a connection that is still open.
func (l *loop) sendPosted(p *post, data []byte) {
	l.own.Check()
	i, s := p.slot, l.slab.at(p.slot)
	if s.gen.Load() != p.gen || s.state != stateOpen {
		return
	}
	l.doing.on(i)
	var err error
	switch {
	case p.kind == postPrepared:
		err = l.sendPrepared(i, s, p.prepared)
	case len(p.own) >= frame.MaxHeaderSize+ownSize && s.flags&(flagClient|flagDeflate) == 0:
		err = l.sendOwn(i, s, p)
	default:
		err = l.send(i, s, p.op, data)
	}
	l.missed(i, s, err)
	l.unload(i, s)
}

// sendOwn queues a posted message that has memory of its own, with room for the frame header: it is not copied again.
func (l *loop) sendOwn(i uint32, s *slot, p *post) error {
	l.own.Check()
	size := len(p.own) - frame.MaxHeaderSize
	at := frame.MaxHeaderSize - frame.HeaderSize(size, false)
	frame.AppendHeader(p.own[at:at], frame.Header{Fin: true, Opcode: p.op, Length: int64(size)})
	if err := l.share(i, s, p.own[at:]); err != nil {
		return err
	}
	l.stats.MessagesSent++
	return nil
}

// share queues the bytes of a message that nobody will change.
func (l *loop) share(i uint32, s *slot, b []byte) error {
	l.own.Check()
	out, err := l.queueFor(i, s, len(b))
	if err != nil {
		return err
	}
	l.queued(i, s, out, out.Share(b, &l.bufs))
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

// corks reports whether n bytes more of the connection go into the cork: it is its own event, and nothing waits before
// them. A cork without room for them is flushed first, which may end the connection.
func (l *loop) corks(i uint32, s *slot, n int) bool {
	l.own.Check()
	if l.cork.of != i || l.slab.waits(s) {
		return false
	}
	if n > l.cork.room() && len(l.cork.buf) > 0 {
		state := s.state
		if l.flushCork(i, s); s.state != state || l.slab.waits(s) {
			return false
		}
	}
	return n <= l.cork.room()
}

// queueFor returns the outbox of a connection that may have a message of n bytes more waiting. The connection's
// own limit is held against the bytes that waited before: an empty queue takes any one message. Over a limit the
// policy of the route is carried out, but not on a connection with nothing queued, for which the others leave no
// room: then the error is errNoRoom.
func (l *loop) queueFor(i uint32, s *slot, n int) (*outbox.Box, error) {
	l.own.Check()
	c := l.slab.thaw(s)
	waiting, over := c.out.Counted(), !l.outgoing.fits(n)
	switch {
	case waiting == 0 && over:
		l.srv.output.refused.Add(1)
		l.markDirty(i, s) // which gives the cold part back
		return nil, errNoRoom
	case !over && (waiting == 0 || waiting < l.srv.cfg.MaxOutput):
		c.out.Started(l.coarse)
		return &c.out, nil
	}
	cause := ErrSlowConsumer
	if over {
		cause = ErrOverloaded
	}
	l.leaveOut(i, s, cause)
	return nil, cause
}

// queued accounts for n bytes that were added to the connection's outbox, and lists it to be flushed. Everything that
// is added to an outbox is told here.
func (l *loop) queued(i uint32, s *slot, out *outbox.Box, n int) {
	l.own.Check()
	l.outgoing.add(n)
	l.pressure(s, out)
	l.markDirty(i, s)
}
