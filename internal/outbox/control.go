//go:build linux

package outbox

import "slices"

// Pong puts the answer to a ping, a whole frame, into the control lane. Of the pongs that are not sent only the
// newest matters (RFC 6455 §5.5.3). On an empty Box it would be sent at once: there it is to be queued instead.
func (o *Box) Pong(frame []byte) {
	if checked {
		mustBeFrames(frame)
	}
	o.control = append(o.control[:o.ping], frame...)
}

// Ping puts a ping of ours, a whole frame, into the control lane, in front of a pong that waits there.
func (o *Box) Ping(frame []byte) {
	if checked {
		mustBeFrames(frame)
	}
	o.control = slices.Replace(o.control, 0, o.ping, frame...)
	o.ping = len(frame)
}

func (o *Box) clearControl() { o.control, o.ping = o.control[:0], 0 }
