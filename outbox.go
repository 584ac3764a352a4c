//go:build linux

package perch

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/pool"
)

// segment is a run of whole frames still to be sent: shared and immutable, or
// the unsent tail of a pooled buffer.
type segment struct {
	b   []byte
	own *pool.Buffer // nil: shared
}

// outbox is what waits to be sent to one connection, in order, with one lane
// for control frames ahead of it. A frame never spans two segments.
type outbox struct {
	segs  []segment
	first int    // segs before it are sent
	bytes int    // queued in segs
	rest  int    // of them, bytes that belong to a frame already begun
	ctl   []byte // control frames to send at the next frame border: a ping of ours, a pong
	pings int    // bytes of ctl that are the ping
	since uint64 // coarse time of the last progress, or of the first byte
	watch watch  // of what the peer takes
	taken int    // bytes of segs that were sent since it was empty
	pace  pace   // at which they are taken, as relieve has seen it
	freed bool   // since then the socket, which was full, has taken more

	sealed int // bytes sealed by TLS, in wire.out, that go before all this
}

// empty reports that nothing waits.
func (o *outbox) empty() bool { return o.bytes == 0 && o.sealed == 0 && len(o.ctl) == 0 }

// len is the number of bytes that wait.
func (o *outbox) len() int { return o.load() + len(o.ctl) }

// load is what counts towards the limits: all but the control lane, which has its
// own.
func (o *outbox) load() int { return o.bytes + o.sealed }

// front is the start of what waits, in one piece of at most most bytes, for TLS:
// as it is if it is one, else copied behind buf. It ends where send would, so that
// sent may be told of it.
func (o *outbox) front(buf []byte, most int) []byte {
	segs := o.segs[o.first:]
	switch {
	case len(o.ctl) > 0 && o.rest > 0: // finish the frame that is begun
		return segs[0].b[:min(o.rest, most)]
	case len(o.ctl) > 0:
		buf = append(buf, o.ctl...)
	case len(segs) == 1 || len(segs[0].b) >= most:
		return segs[0].b[:min(len(segs[0].b), most)]
	}
	for _, s := range segs {
		if buf = append(buf, s.b[:min(len(s.b), most-len(buf))]...); len(buf) == most {
			break
		}
	}
	return buf
}

// Of shared frames up to smallShared bytes only manySegments are queued as they
// are: beyond that their segments would cost more memory than their bytes, and
// it is the bytes that are bounded.
const (
	smallShared  = 4 << 10
	manySegments = 64
)

// share queues bytes that nobody will change: without a copy, but for small
// ones of which many wait already.
func (o *outbox) share(b []byte, bufs *pool.Buffers) {
	if len(b) <= smallShared && len(o.segs)-o.first >= manySegments {
		buf := o.tail(len(b), bufs)
		buf.B = append(buf.B, b...)
		o.grown(len(b))
		return
	}
	o.segs = append(o.segs, segment{b: b})
	o.bytes += len(b)
}

// coalesce is the size above which an own buffer is not added to any more.
const coalesce = 64 << 10

// tail is a pooled buffer at the end of the queue with room for n bytes more;
// what the caller appends to it he must report to grown.
func (o *outbox) tail(n int, bufs *pool.Buffers) *pool.Buffer {
	if i := len(o.segs) - 1; i >= o.first {
		if s := &o.segs[i]; s.own != nil && len(s.own.B)+n <= coalesce {
			return s.own
		}
	}
	buf := bufs.Get()
	o.segs = append(o.segs, segment{own: buf})
	return buf
}

// grown takes note of n bytes appended to the last tail.
func (o *outbox) grown(n int) {
	s := &o.segs[len(o.segs)-1]
	s.b = s.own.B[len(s.own.B)-len(s.b)-n:]
	o.bytes += n
}

// pong queues the answer to a ping in the control lane. Of unsent pongs only
// the newest matters (RFC 6455 §5.5.3).
func (o *outbox) pong(p []byte, masked bool, key uint32) {
	o.ctl = appendFrame(o.ctl[:o.pings], frame.OpPong, p, masked, key)
}

// ping queues our own, which may not wait behind data either.
func (o *outbox) ping(p []byte, masked bool, key uint32) {
	pong := slices.Clone(o.ctl[o.pings:])
	o.ctl = appendFrame(o.ctl[:0], frame.OpPing, p, masked, key)
	o.pings = len(o.ctl)
	o.ctl = append(o.ctl, pong...)
}

// watch is what was known of a peer's taking output when it was last looked at.
type watch struct {
	on      bool // somebody has looked
	waiting bool // see loop.delivered
	backlog bool
	taken   uint64
	window  uint32
	at      uint64 // coarse time of the sign of life that was known then
}

// look notes progress that no write has shown: the kernel asks for more only when
// a third of its buffer is free, and a slow peer may take its time for that. It
// reports life since the last look: of what was on its way something was taken, or
// the peer has made room by reading what it had. That the kernel of a peer takes what
// it is sent now and then is no life, as it does that for a program that hangs too:
// while more may be sent, fed, what was on its way must have been a backlog.
func (o *outbox) look(d sock.Delivery, now uint64, fed bool) (life bool) {
	w, freed := o.watch, o.freed
	o.freed = false
	o.watch = watch{true, d.Waiting, d.Backlog, d.Taken, d.Window, w.at}
	if !w.on {
		return false
	}
	if d.Taken > w.taken {
		o.since = now
	}
	return (w.backlog || w.waiting && !fed) && d.Taken > w.taken || freed || d.Window > w.window
}

// send writes as much as the socket and the budget take, with one system call
// where it can. errno is EAGAIN when the socket is full, 0 when the outbox is
// empty or the budget is used up.
func (o *outbox) send(fd int, v *sock.Vector, bufs *pool.Buffers, budget int) (sent int, errno unix.Errno) {
	for !o.empty() && sent < budget {
		n, want, e := o.sendSome(fd, v)
		sent += n
		o.sent(n, bufs)
		if e != 0 {
			return sent, e
		}
		if n < want {
			return sent, unix.EAGAIN // a short write: the socket is full
		}
	}
	return sent, 0
}

// sendSome does one system call.
func (o *outbox) sendSome(fd int, v *sock.Vector) (n, want int, errno unix.Errno) {
	if len(o.ctl) == 0 && len(o.segs)-o.first == 1 { // nearly always
		b := o.segs[o.first].b
		if len(b) > sock.MaxRaw {
			b = b[:sock.MaxRaw]
		}
		n, errno = sock.Send(fd, b)
		return n, len(b), errno
	}
	defer v.Reset()
	segs := o.segs[o.first:]
	if len(o.ctl) > 0 {
		if o.rest > 0 { // finish the frame that is begun
			v.Add(segs[0].b[:o.rest])
			n, errno = v.Send(fd)
			return n, o.rest, errno
		}
		v.Add(o.ctl)
	}
	for _, s := range segs {
		b := s.b
		if room := sock.MaxRaw - v.Len(); len(b) > room {
			b = b[:room]
		}
		if len(b) == 0 || !v.Add(b) {
			break
		}
	}
	want = v.Len()
	n, errno = v.Send(fd)
	return n, want, errno
}

// sent removes n bytes from the front, the control lane first if the frame
// before it is finished.
func (o *outbox) sent(n int, bufs *pool.Buffers) {
	if len(o.ctl) > 0 && o.rest == 0 && n > 0 {
		k := min(n, len(o.ctl))
		n -= k
		if k < len(o.ctl) {
			// The rest of a control frame is a frame begun like any other.
			buf := bufs.Get()
			buf.B = append(buf.B, o.ctl[k:]...)
			o.ctl, o.pings = o.ctl[:0], 0
			o.unshift(segment{b: buf.B, own: buf})
			o.rest = len(buf.B)
			return
		}
		o.ctl, o.pings = o.ctl[:0], 0
	}
	for n > 0 {
		s := &o.segs[o.first]
		k := min(n, len(s.b))
		o.step(s.b, k)
		s.b = s.b[k:]
		o.bytes -= k
		o.taken += k
		n -= k
		if len(s.b) == 0 {
			o.drop(o.first, bufs)
			o.first++
		}
	}
	if o.first == len(o.segs) {
		o.segs, o.first = o.spareSegs(), 0
		o.taken, o.pace = 0, pace{}
	} else if o.first >= manySegments {
		o.segs = slices.Delete(o.segs, 0, o.first)
		o.first = 0
	}
}

// spareSegs is the list's memory for the next time, unless it is large.
func (o *outbox) spareSegs() []segment {
	if cap(o.segs) > manySegments {
		return nil
	}
	return o.segs[:0]
}

// step follows the frames in b over the k bytes that were sent of it.
func (o *outbox) step(b []byte, k int) {
	if o.rest >= k {
		o.rest -= k
		return
	}
	at := o.rest
	for at < k {
		h, n, err := frame.ParseHeader(b[at:])
		if err != nil || n == 0 {
			panic("perch: outbox lost the frame border")
		}
		at += n + int(h.Length)
	}
	o.rest = at - k
}

// unshift puts a segment in front of all.
func (o *outbox) unshift(s segment) {
	o.bytes += len(s.b)
	if o.first > 0 {
		o.first--
		o.segs[o.first] = s
		return
	}
	o.segs = append(o.segs, segment{})
	copy(o.segs[1:], o.segs)
	o.segs[0] = s
}

// truncate drops all that is not part of the frame already begun.
func (o *outbox) truncate(bufs *pool.Buffers) {
	o.ctl, o.pings = o.ctl[:0], 0
	keep := o.first
	if o.rest > 0 {
		s := &o.segs[o.first]
		if s.own != nil {
			s.own.B = s.own.B[:len(s.own.B)-(len(s.b)-o.rest)]
		}
		s.b = s.b[:o.rest]
		keep++
	}
	for i := keep; i < len(o.segs); i++ {
		o.drop(i, bufs)
	}
	o.segs = o.segs[:keep]
	o.bytes = o.rest
}

// drop lets go of a segment.
func (o *outbox) drop(i int, bufs *pool.Buffers) {
	if own := o.segs[i].own; own != nil {
		bufs.Put(own)
	}
	o.segs[i] = segment{}
}

// reset drops everything.
func (o *outbox) reset(bufs *pool.Buffers) {
	o.rest = 0
	o.truncate(bufs)
	*o = outbox{segs: o.spareSegs(), ctl: o.ctl[:0]}
}

// appendFrame appends a final frame, masked if we are the client.
func appendFrame(dst []byte, op Opcode, p []byte, masked bool, key uint32) []byte {
	if masked {
		return frame.AppendMaskedFrame(dst, op, p, key)
	}
	return frame.AppendFrame(dst, op, p)
}
