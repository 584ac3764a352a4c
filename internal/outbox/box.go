//go:build linux

package outbox

import (
	"slices"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/pool"
)

// Box is what waits to be sent to one connection. The zero Box is empty and ready.
type Box struct {
	segs       []segment
	first      int    // index of the first segment that has bytes; those before it are sent
	bytes      int    // in segs
	unfinished int    // of them, at the front: what is left of a frame whose beginning is sent
	sealed     sealed // records of TLS, which are sent before all else
	control    []byte // control frames that are sent at the next frame border: a ping of ours, then a pong
	ping       int    // bytes of control, at its start, that are the ping

	since     uint64 // when the peer has last taken something, or when the first byte was queued
	unblocked bool   // since the last Look the socket, which was full, has taken more
	peer      watch
	taken     int // bytes of segs that were sent since the queue was empty
	pace      pace
}

// segment is a run of whole frames, of which the first may have been sent in part.
type segment struct {
	b   []byte       // what is not sent
	own *pool.Buffer // whose end b is; nil: b is shared, and nobody may change it
}

const (
	// smallShared and manySegments bound what a queue costs beside its bytes, for it is bytes that are bounded:
	// shared bytes up to smallShared are queued as they are only while there are fewer than manySegments segments.
	// Beyond that they are copied, because their segments would take more memory than they do. A list of more than
	// manySegments is not kept when it is empty.
	smallShared  = 4 << 10
	manySegments = 64

	// coalesce is the most bytes that a buffer of our own gathers.
	coalesce = 64 << 10
)

// Empty reports that nothing waits.
func (o *Box) Empty() bool { return o.bytes == 0 && o.sealed.len() == 0 && len(o.control) == 0 }

// Len is the number of bytes that wait, of every kind.
func (o *Box) Len() int { return o.Counted() + len(o.control) }

// Counted is the number of bytes that count towards limits: all but the control lane, which is bounded by itself.
func (o *Box) Counted() int { return o.bytes + o.sealed.len() }

// Queued is the number of bytes in the queue: neither sealed, nor in the control lane.
func (o *Box) Queued() int { return o.bytes }

// Since is the time at which the peer has last taken something, or, if it has not, at which the first byte was
// queued, as [Box.Started] and [Box.Progressed] were told it.
func (o *Box) Since() uint64 { return o.since }

// Started is called before something is queued. If nothing that counts waits yet, Since is now.
func (o *Box) Started(now uint64) {
	if o.Counted() == 0 {
		o.since = now
	}
}

// Extend returns memory at the end of the queue to append whole frames to, n
// bytes at the most. Give the slice that append returns to Commit before any
// other call.
func (o *Box) Extend(n int, bufs *pool.Buffers) []byte {
	if i := len(o.segs) - 1; i >= o.first {
		if own := o.segs[i].own; own != nil && len(own.B)+n <= coalesce {
			return own.B
		}
	}
	own := bufs.Get()
	o.segs = append(o.segs, segment{own: own})
	return own.B
}

// Commit queues what was appended to what Extend has returned. It returns how many bytes these are.
func (o *Box) Commit(b []byte) (added int) {
	s := &o.segs[len(o.segs)-1]
	added = len(b) - len(s.own.B)
	if checked {
		mustBeFrames(b[len(s.own.B):])
	}
	s.own.B = b
	s.b = b[len(b)-len(s.b)-added:]
	o.bytes += added
	return added
}

// Share queues whole frames that nobody will change: without a copy, but for short ones of which many wait. It
// returns how many bytes these are.
func (o *Box) Share(b []byte, bufs *pool.Buffers) (added int) {
	if len(b) <= smallShared && len(o.segs)-o.first >= manySegments {
		return o.Commit(append(o.Extend(len(b), bufs), b...))
	}
	if checked {
		mustBeFrames(b)
	}
	o.segs = append(o.segs, segment{b: b})
	o.bytes += len(b)
	return len(b)
}

// ShareRaw queues bytes that nobody will change and that are no frames: like one frame that is begun they leave
// before anything else, and are not cut short by Truncate. The queue must be empty.
func (o *Box) ShareRaw(b []byte) (added int) {
	if checked && (o.bytes > 0 || len(o.control) > 0) {
		panic("outbox: raw bytes behind frames")
	}
	o.segs = append(o.segs, segment{b: b})
	o.bytes, o.unfinished = len(b), len(b)
	return len(b)
}

// Remainder queues a copy of b[sent:], which a socket has not taken. b is whole frames, but for the first raw
// bytes of it, which are not to be cut short either. The queue must be empty.
func (o *Box) Remainder(b []byte, raw, sent int, bufs *pool.Buffers) (added int) {
	if checked && o.bytes > 0 {
		panic("outbox: the remainder of a write behind other bytes")
	}
	own := bufs.Get()
	own.B = append(own.B, b[sent:]...)
	o.segs = append(o.segs, segment{own.B, own})
	o.bytes = len(own.B)
	o.unfinished = border(b, raw, sent) - sent
	if checked {
		mustBeFrames(own.B[o.unfinished:])
	}
	return o.bytes
}

// Truncate drops what is not begun: all of the control lane, and of the queue all but what is left of the frame
// that is being sent. Sealed records stay.
func (o *Box) Truncate(bufs *pool.Buffers) {
	o.clearControl()
	keep := o.first
	if o.unfinished > 0 {
		s := &o.segs[o.first]
		if s.own != nil {
			s.own.B = s.own.B[:len(s.own.B)-(len(s.b)-o.unfinished)]
		}
		s.b = s.b[:o.unfinished]
		keep++
	}
	for i := keep; i < len(o.segs); i++ {
		o.drop(i, bufs)
	}
	o.segs = o.segs[:keep]
	o.bytes = o.unfinished
}

// Drop drops all but what is sealed. Of a frame that is begun the peer never gets the rest: nothing more may be
// queued.
func (o *Box) Drop(bufs *pool.Buffers) {
	o.unfinished = 0
	o.Truncate(bufs)
}

// Reset drops everything, and forgets what is known of the peer: the Box is ready for another connection.
func (o *Box) Reset(bufs *pool.Buffers) {
	o.Drop(bufs)
	o.sealed.drop(bufs)
	*o = Box{segs: o.spareSegs(), control: o.control[:0]}
}

// drop lets go of a segment.
func (o *Box) drop(i int, bufs *pool.Buffers) {
	if own := o.segs[i].own; own != nil {
		bufs.Put(own)
	}
	o.segs[i] = segment{}
}

// spareSegs is the memory of the list for the next time, unless there is much of it.
func (o *Box) spareSegs() []segment {
	if cap(o.segs) > manySegments {
		return nil
	}
	return o.segs[:0]
}

// prepend puts a segment in front of all others.
func (o *Box) prepend(s segment) {
	o.bytes += len(s.b)
	if o.first > 0 {
		o.first--
		o.segs[o.first] = s
		return
	}
	o.segs = slices.Insert(o.segs, 0, s)
}

// border is the first frame border in b that is not before at. b begins with raw bytes that are no frames.
func border(b []byte, raw, at int) int {
	end := raw
	for end < at {
		h, n, err := frame.ParseHeader(b[end:])
		if err != nil || n == 0 {
			panic("outbox: the frame border is lost")
		}
		end += n + int(h.Length)
	}
	return end
}

// mustBeFrames panics unless b is whole frames: what waits in one segment does not go on in the next.
func mustBeFrames(b []byte) {
	if border(b, 0, len(b)) != len(b) {
		panic("outbox: a frame spans two segments")
	}
}
