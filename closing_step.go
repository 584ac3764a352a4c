//go:build linux

package perch

import (
	"fmt"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/closing"
	"github.com/perchws/perch/internal/owner"
)

// why is the cause of an event.
type why struct {
	err     *CloseError   // for OnClose; nil: the event is no end, or its cause is known already
	refusal *refused      // what is answered in HTTP, where the table wants that; nil: nothing
	cause   closing.Cause // for the journal; None: that of err or refusal
}

// lost is the cause of an end that the peer, or the network, has brought about.
func lost(err error) *CloseError {
	return &CloseError{Code: frame.CloseAbnormal, Remote: true, Err: err}
}

// cut is the cause of an end that we have brought about, without a word.
func cut(err error) *CloseError { return &CloseError{Code: frame.CloseAbnormal, Err: err} }

// step has an event happen to a connection: the table says what follows. It is the only place
// that assigns a state. The clock of the new state's timeout starts, but for another phase of
// the same handshake. Only an open connection holds back what it reads: any other waits for a
// close frame or the end of the input, or for nothing.
func (l *loop) step(i uint32, s *slot, e closing.Event, w why) {
	l.own.Check()
	from := s.state
	to, do := closing.Next(from, e, l.facts(i, s))
	if owner.Enabled && do&closing.Illegal != 0 {
		panic(fmt.Sprintf("perch: %v of a connection that is %v", e, from))
	}
	if do&closing.Refuse != 0 { // an answer in HTTP is the end of no WebSocket connection
		w.err = nil
	} else {
		w.refusal = nil
	}
	if to != from {
		if w.err != nil {
			l.setCause(s, w.err)
		}
		l.journal(i, s, to, e, w)
		if restarts(from, to) {
			s.enter(l.coarse)
		}
		s.state = to
		s.flags &^= flagsHeld
	}
	if do == 0 {
		return
	}
	l.speak(i, s, e, do, w)
	switch {
	case do&closing.NotifyClose == 0:
	case l.notifyClose(i, s) && to == from:
		l.step(i, s, e, w) // close_notify is sent
		return
	}
	l.leave(i, s, do)
}

// restarts reports that the time of the new state begins now: HandshakeTimeout is one for all
// phases of a handshake.
func restarts(from, to connState) bool { return !from.Opening() || !to.Opening() }

// facts is what the table asks about a connection.
func (l *loop) facts(i uint32, s *slot) (f closing.Facts) {
	l.own.Check()
	if s.flags&flagClient != 0 {
		f |= closing.Client
	}
	if s.held() {
		f |= closing.Held
	}
	if s.flags&flagTLS != 0 {
		f |= closing.TLS
		t := l.slab.tls.Get(i)
		if t != nil && !t.ended {
			f |= closing.NotifyDue
		}
		if t != nil && t.handshake != nil {
			f |= closing.WorkDue
		}
	}
	if c := l.slab.coldOf(s); c != nil {
		if !c.out.Empty() {
			f |= closing.OutputLeft
		}
		if c.unread {
			f |= closing.Unread
		}
		if c.work != nil && c.work.listed {
			f |= closing.WorkDue
		}
		if c.refusal != nil && s.flags&flagTLS == 0 {
			f |= closing.AnswerDue
		}
	}
	return f
}

// speak carries out what has to be said, or not to be said any more.
func (l *loop) speak(i uint32, s *slot, e closing.Event, do closing.Action, w why) {
	l.own.Check()
	if do&closing.Unanswered != 0 {
		if c := l.slab.thaw(s); c.cause.Err == nil && !c.cause.Remote { // it is no ordinary close
			c.cause.Err = w.err.Err
		}
	}
	if do&(closing.DropQueue|closing.DropAll) != 0 {
		l.dropQueue(s, do&closing.DropAll != 0)
	}
	if do&closing.ReadKept != 0 {
		l.lists.resumed = append(l.lists.resumed, l.conn(i, s))
	}
	if do&closing.QueueClose != 0 {
		l.queueClose(i, s, w.err.Code, w.err.Reason)
	}
	if do&closing.QueueReply != 0 {
		l.queueClose(i, s, w.err.Code, "")
	}
	if do&closing.Refuse != 0 {
		l.noteOf(i, s, w.refusal)
		l.cork.buf = w.refusal.append(l.cork.buf[:0])
	}
	if do&(closing.Refuse|closing.SendLast) != 0 {
		l.sendLast(i, s)
	}
	if do&closing.TellRefusal != 0 {
		before := l.doing.instead(i) // a newcomer's event
		l.writer(i, s).Send(int(s.fd), l.slab.coldOf(s).refusal.answer(nil))
		l.doing.leave(before)
	}
	if do&closing.SendRequest != 0 {
		l.sendRequest(i, s)
	}
	if do&closing.BeginTLS != 0 {
		l.requestTLSHandshake(i, s)
	}
}

// leave carries out what is left to do without a word.
func (l *loop) leave(i uint32, s *slot, do closing.Action) {
	l.own.Check()
	if do&closing.HoldInput != 0 {
		s.flags |= flagEnded
	}
	if do&closing.Flush != 0 {
		l.markDirty(i, s)
	}
	if do&(closing.Register|closing.HoldInput) != 0 {
		l.interest(i, s)
	}
	if do&closing.SwallowInput != 0 {
		l.kernel.Recv(int(s.fd), l.tls.records)
	}
	if do&closing.ShutdownWrite != 0 {
		l.kernel.ShutdownWrite(int(s.fd))
	}
	if do&closing.Reset != 0 {
		l.slab.thaw(s).reset = true
	}
	if do&closing.Reap != 0 {
		l.lists.dead = append(l.lists.dead, i)
	}
}

// dropQueue drops what waits to be sent: all, or all but the frame that is begun.
func (l *loop) dropQueue(s *slot, all bool) {
	l.own.Check()
	c := l.slab.thaw(s)
	before := c.out.Queued()
	if all {
		c.out.Drop(&l.bufs)
	} else {
		c.out.Truncate(&l.bufs)
	}
	l.outgoing.add(c.out.Queued() - before)
}

// sendLast sends what lies ready in the cork, which is no frame, and after which nothing comes.
func (l *loop) sendLast(i uint32, s *slot) {
	l.own.Check()
	l.slab.thaw(s)
	if l.cork.head = len(l.cork.buf); l.cork.head > 0 {
		l.flushCork(i, s)
	}
	l.settle(i, s)
}
