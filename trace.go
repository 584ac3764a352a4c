//go:build linux

package perch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/closing"
)

// TraceEvent is one thing that has happened to a connection: a change of its state, or what
// has led to one. The names are stable; docs/closing.md explains all of them.
type TraceEvent struct {
	// At is when the tick began in which it happened, as CLOCK_MONOTONIC: since the machine was
	// started. Every process there understands it; events of one tick have one time, and are in order.
	At    time.Duration
	Event string // what has happened: "accepted", "close_received"
	From  string // the state before it: "handshake", "open"
	To    string // the state after it; From where it has changed nothing
	Cause string // why: "slow_consumer", "refused_origin"; "" if Event says it all
	// Number is a figure that belongs to it, and Unit says of what: "code" (of the close frame),
	// "status" (of HTTP), "errno", "bytes queued", "messages", "ms"; "" if there is none.
	Number uint32
	Unit   string
}

// String is the event as one line.
func (e TraceEvent) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%.6f %s", e.At.Seconds(), e.Event)
	if e.From != e.To {
		fmt.Fprintf(&b, ", %s to %s", e.From, e.To)
	}
	if e.Cause != "" {
		fmt.Fprintf(&b, ", %s", e.Cause)
	}
	if e.Unit != "" {
		fmt.Fprintf(&b, ", %s %d", e.Unit, e.Number)
	}
	return b.String()
}

// Trace is the story of one connection, the oldest event first: how it began, what it went
// through, why it ended. A loop keeps its last 8,192 events, of all its connections together; messages
// are none. So a story is there for a while after the connection's end, and its beginning may be lost
// while the connection lives: whole reports that it is there. An ID of another server, or one whose
// story is lost, has none.
//
// Any goroutine, once the server has started, and after it has ended: no loop is asked, so that one
// that is blocked in a callback can be looked at too. It reads through the loop's journal, which takes
// some 30 µs.
func (srv *Server) Trace(id ID) (story []TraceEvent, whole bool) {
	r := srv.Find(id)
	if r.l == nil {
		return nil, false
	}
	entries := r.l.visible.journal.Of(r.slot, r.gen)
	for _, e := range entries {
		t := TraceEvent{
			At: time.Duration(e.At), Event: e.Event.String(), From: e.From.String(), To: e.To.String(),
			Cause: e.Cause.String(), Unit: closing.Unit(e.Event, e.Cause),
		}
		if t.Unit != "" {
			t.Number = e.N
		}
		story = append(story, t)
	}
	return story, len(entries) > 0 && entries[0].From == closing.Free
}

// journal writes down an event that leads to another state.
func (l *loop) journal(i uint32, s *slot, to connState, e closing.Event, w why) {
	l.own.Check()
	cause, n := w.told()
	if closing.Unit(e, cause) == unitQueued {
		if c := l.slab.coldOf(s); c != nil {
			n = uint32(min(c.out.Len(), 1<<32-1))
		}
	}
	l.visible.journal.Add(closing.Entry{
		At: l.now, Slot: i, Gen: s.gen.Load(), From: s.state, To: to, Event: e, Cause: cause, N: n,
	})
}

// unitQueued is the number that only the connection knows.
const unitQueued = "bytes queued"

// remark writes down what changes no state.
func (l *loop) remark(i uint32, s *slot, e closing.Event, cause closing.Cause, n int) {
	l.own.Check()
	l.visible.journal.Add(closing.Entry{
		At: l.now, Slot: i, Gen: s.gen.Load(), From: s.state, To: s.state, Event: e, Cause: cause,
		N: uint32(min(max(n, 0), 1<<32-1)),
	})
}

// tellHeld writes down, once, that reading from an open connection is held. It is the sweep that
// does, so that what is held for a moment costs nothing.
func (l *loop) tellHeld(i uint32, s *slot, c *cold) {
	l.own.Check()
	if s.flags&flagTold != 0 {
		return
	}
	s.flags |= flagTold
	cause := closing.WorkerLags
	if s.flags&flagPaused != 0 {
		cause = closing.OutputWaits
	}
	l.remark(i, s, closing.Paused, cause, c.out.Len())
}

// tellResumed writes down that reading goes on, if it is known that it was held.
func (l *loop) tellResumed(i uint32, s *slot, c *cold) {
	l.own.Check()
	if s.flags&flagTold != 0 && !s.held() {
		s.flags &^= flagTold
		l.remark(i, s, closing.Resumed, closing.None, c.out.Len())
	}
}

// told is what the journal is told: the cause, and the number that belongs to it.
func (w why) told() (cause closing.Cause, n uint32) {
	switch {
	case w.refusal != nil:
		return closing.RefusedRequest + closing.Cause(w.refusal.kind), uint32(w.refusal.status)
	case w.err == nil:
		return w.cause, 0
	}
	if cause = w.cause; cause == closing.None {
		cause = causeOf(w.err.Err)
	}
	if errno, ok := errors.AsType[unix.Errno](w.err.Err); ok && cause == closing.SocketError {
		return cause, uint32(errno)
	}
	if refused, ok := errors.AsType[*DialError](w.err.Err); ok {
		return cause, uint32(refused.Status)
	}
	return cause, uint32(w.err.Code)
}

// causes are what errors are in the journal.
var causes = []struct {
	err   error
	cause closing.Cause
}{
	{ErrShutdown, closing.ByShutdown},
	{ErrPanic, closing.Panic},
	{errDialTimeout, closing.DialTimeout},
	{ErrSlowConsumer, closing.Slow},
	{ErrOverloaded, closing.Overloaded},
	{ErrHeartbeat, closing.HeartbeatTimeout},
	{ErrWriteTimeout, closing.WriteTimeout},
	{ErrCloseTimeout, closing.CloseTimeout},
	{ErrMessageTimeout, closing.MessageTimeout},
	{ErrRateLimit, closing.RateLimit},
	{ErrInputFull, closing.InputFull},
	{errACME, closing.ACME},
	{errNotTLS, closing.NotTLS},
	{ErrDial, closing.DialFailed},
	{os.ErrDeadlineExceeded, closing.HandshakeTimeout},
	{io.EOF, closing.EOF},
}

// causeOf is what an error is in the journal.
func causeOf(err error) closing.Cause {
	if err == nil {
		return closing.None
	}
	if _, ok := errors.AsType[*DialError](err); ok {
		return closing.DialRefused
	}
	if _, ok := errors.AsType[*frame.ProtocolError](err); ok {
		return closing.ProtocolError
	}
	for _, c := range causes {
		if errors.Is(err, c.err) {
			return c.cause
		}
	}
	return closing.SocketError
}
