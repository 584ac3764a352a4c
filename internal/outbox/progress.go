//go:build linux

package outbox

import (
	"time"

	"github.com/perchws/perch/internal/sock"
)

// watch is what was known of the peer's taking output at the last Look.
type watch struct {
	on      bool   // somebody has looked
	waiting bool   // something was on its way that it had not taken
	backlog bool   // that was more than is under way for a moment
	taken   uint64 // as sock.Progress counts it
	window  uint32 // bytes that it had room for
	life    uint64 // when it has last given a sign of life, as known then
}

// Progressed is called when the socket has taken something. unblocked: it was full before.
func (o *Box) Progressed(now uint64, unblocked bool) {
	o.since = now
	o.unblocked = o.unblocked || unblocked
}

// Look notes progress of the peer that no write has shown: the kernel asks for more only when a third of its buffer
// is free, and a slow peer may take its time for that. It reports a sign of life since the last Look: the peer has
// taken something of a backlog, or has read what it had received, which made room.
//
// That the kernel of a peer takes now and then what it is sent is no sign of life, because it does that for a
// program that hangs, too. So, while more may be sent (sending), the bytes on their way must have been a
// backlog.
func (o *Box) Look(d sock.Progress, now uint64, sending bool) (life bool) {
	was, unblocked := o.peer, o.unblocked
	o.unblocked = false
	o.peer = watch{true, d.Waiting, d.Backlog, d.Taken, d.Window, was.life}
	if !was.on {
		return false
	}
	if d.Taken > was.taken {
		o.since = now
	}
	return (was.backlog || was.waiting && !sending) && d.Taken > was.taken || unblocked || d.Window > was.window
}

// Watched reports that there was a Look which is not forgotten. Until then the Box is not to be used for another
// connection, even if it is empty.
func (o *Box) Watched() bool { return o.peer.on }

// Waiting reports that at the last Look something was on its way to the peer that it had not taken.
func (o *Box) Waiting() bool { return o.peer.waiting }

// Backlog reports that this was more than is under way for a moment.
func (o *Box) Backlog() bool { return o.peer.backlog }

// Life is the time of the last sign of life, as SetLife was told it.
func (o *Box) Life() uint64 { return o.peer.life }

// SetLife notes the time of the last sign of life that is known at a Look.
func (o *Box) SetLife(at uint64) { o.peer.life = at }

// Forget forgets all Looks.
func (o *Box) Forget() { o.peer = watch{} }

// SteadyPace is how many bytes a second a peer must take not to be called slow. It is judged over paceTime at least.
const (
	SteadyPace = 32 << 10
	paceTime   = time.Second
)

// pace is how fast a peer takes what is queued for it.
type pace struct {
	at    time.Duration // of the last measurement; 0: there was none since the queue was empty
	taken int           // Box.taken then
	slow  bool          // it took less than SteadyPace
}

// Slow measures how fast the peer takes what is queued. It reports that this is slower than SteadyPace.
func (o *Box) Slow(now time.Duration) bool {
	p := &o.pace
	span := now - p.at
	switch {
	case p.at == 0:
		*p = pace{at: now, taken: o.taken}
	case span >= paceTime:
		took := float64(o.taken-p.taken) / span.Seconds()
		*p = pace{at: now, taken: o.taken, slow: took < SteadyPace}
	}
	return p.slow
}
