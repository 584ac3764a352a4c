//go:build linux

package perch

import "github.com/perchws/perch/frame"

// maxControl is the most bytes that a control frame has, its header included.
const maxControl = frame.MaxControlPayload + frame.MaxHeaderSize

// appendControl appends a control frame of the connection's: masked if we are the client.
func (l *loop) appendControl(dst []byte, s *slot, op Opcode, p []byte) []byte {
	l.own.Check()
	if s.flags&flagClient != 0 {
		return frame.AppendMaskedFrame(dst, op, p, l.maskKey())
	}
	return frame.AppendFrame(dst, op, p)
}

// queueControl queues a control frame behind everything else.
func (l *loop) queueControl(i uint32, s *slot, op Opcode, p []byte) {
	l.own.Check()
	size, state := len(p)+frame.MaxHeaderSize, s.state
	if l.corks(i, s, size) {
		l.cork.buf = l.appendControl(l.cork.buf, s, op, p)
		return
	}
	if s.state != state { // corks has flushed, and found the peer gone or too slow: the last word is said
		return
	}
	out := &l.slab.thaw(s).out
	out.Started(l.coarse)
	l.queued(i, s, out, out.Commit(l.appendControl(out.Extend(size, &l.bufs), s, op, p)))
}

// queueClose queues a close frame as the last one.
func (l *loop) queueClose(i uint32, s *slot, code CloseCode, reason string) {
	l.own.Check()
	var payload [frame.MaxControlPayload]byte
	l.queueControl(i, s, frame.OpClose, frame.AppendClose(payload[:0], code, reason))
}

// pong answers a ping: at once, or ahead of what is queued. Pings that come
// while the socket is full get one pong, the newest (RFC 6455 §5.5.3).
func (l *loop) pong(i uint32, s *slot, p []byte) {
	l.own.Check()
	if !l.slab.waits(s) {
		l.queueControl(i, s, frame.OpPong, p)
		return
	}
	var buf [maxControl]byte
	l.slab.colds.all[s.cold].out.Pong(l.appendControl(buf[:0], s, frame.OpPong, p))
	l.markDirty(i, s)
}

// overtake sends a ping of ours ahead of what is queued.
func (l *loop) overtake(i uint32, s *slot, p []byte) {
	l.own.Check()
	var buf [maxControl]byte
	l.slab.colds.all[s.cold].out.Ping(l.appendControl(buf[:0], s, frame.OpPing, p))
	l.markDirty(i, s)
}
