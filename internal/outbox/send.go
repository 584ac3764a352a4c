//go:build linux

package outbox

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/pool"
)

// Writer is what a Box sends to: sockets, or what stands for them in a test. Both methods move at most
// [sock.MaxRaw] bytes, and return how many they have. Fewer than there were, without an errno, mean that the socket
// is full, as EAGAIN does. They must not keep what they are given.
type Writer interface {
	Send(fd int, b []byte) (n int, errno unix.Errno)
	SendVector(fd int, v *sock.Vector) (n int, errno unix.Errno)
}

// Send sends from the control lane and the queue what the socket takes, and stops when that was budget bytes or
// more. It takes one call of to where it can. v is memory for that, empty before and after. errno is EAGAIN when the
// socket is full, 0 when nothing waits or the budget is used up. Nothing may be sealed.
func (o *Box) Send(to Writer, fd int, v *sock.Vector, bufs *pool.Buffers, budget int) (sent int, errno unix.Errno) {
	for !o.Empty() && sent < budget {
		n, want := 0, 0
		if b := o.piece(sock.MaxRaw); b != nil {
			want = len(b)
			n, errno = to.Send(fd, b)
		} else {
			want = o.gather(v)
			n, errno = to.SendVector(fd, v)
			v.Reset()
		}
		sent += n
		o.Sent(n, bufs)
		if errno != 0 {
			return sent, errno
		}
		if n < want {
			return sent, unix.EAGAIN
		}
	}
	return sent, 0
}

// piece is what is to be sent next, at most most bytes, if that is in one piece, as it nearly always is. Otherwise it
// is nil.
func (o *Box) piece(most int) []byte {
	segs := o.segs[o.first:]
	switch {
	case len(o.control) > 0 && o.unfinished > 0: // first the frame that is begun, alone
		return segs[0].b[:min(o.unfinished, most)]
	case len(o.control) == 0 && (len(segs) == 1 || len(segs[0].b) >= most):
		return segs[0].b[:min(len(segs[0].b), most)]
	}
	return nil
}

// gather adds what is to be sent next to v, and returns how many bytes that is.
func (o *Box) gather(v *sock.Vector) int {
	if len(o.control) > 0 {
		v.Add(o.control)
	}
	for _, s := range o.segs[o.first:] {
		b := s.b[:min(len(s.b), sock.MaxRaw-v.Len())]
		if len(b) == 0 || !v.Add(b) {
			break
		}
	}
	return v.Len()
}

// Front is the beginning of what Send would send, in one piece of at most most bytes, for TLS to seal. It is a part
// of the queue itself where that is in one piece, else it is copied behind buf, which must be empty and of that
// size. Call Sent with the part of it that was used.
func (o *Box) Front(buf []byte, most int) []byte {
	if b := o.piece(most); b != nil {
		return b
	}
	buf = append(buf, o.control[:min(len(o.control), most)]...)
	for _, s := range o.segs[o.first:] {
		if buf = append(buf, s.b[:min(len(s.b), most-len(buf))]...); len(buf) == most {
			break
		}
	}
	return buf
}

// Sent removes the first n bytes of what waits, sealed bytes apart: those of the control lane first, unless a frame
// before it is unfinished.
func (o *Box) Sent(n int, bufs *pool.Buffers) {
	if len(o.control) > 0 && o.unfinished == 0 && n > 0 {
		k := min(n, len(o.control))
		n -= k
		if k < len(o.control) { // what is left of a control frame is a frame begun, like any other
			o.cutControl(k, bufs)
			return
		}
		o.clearControl()
	}
	for n > 0 {
		s := &o.segs[o.first]
		k := min(n, len(s.b))
		o.follow(s.b, k)
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
	if checked && o.unfinished > 0 && o.unfinished > len(o.segs[o.first].b) {
		panic("outbox: a frame spans two segments")
	}
}

// cutControl moves what is left of the control lane, of which k bytes were sent, to the front of the queue. All of
// it is unfinished, a whole pong behind the ping too: neither may be dropped for a newer one any more.
func (o *Box) cutControl(k int, bufs *pool.Buffers) {
	own := bufs.Get()
	own.B = append(own.B, o.control[k:]...)
	o.clearControl()
	o.prepend(segment{own.B, own})
	o.unfinished = len(own.B)
}

// follow moves along the frames in b, the front of the queue, over the k bytes of it that were sent.
func (o *Box) follow(b []byte, k int) {
	if o.unfinished >= k {
		o.unfinished -= k
		return
	}
	o.unfinished = border(b, o.unfinished, k) - k
}
