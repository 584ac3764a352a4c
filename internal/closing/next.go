package closing

import "math/bits"

// rule is one line of the table: in these states, on this event, if all facts of yes and none
// of no hold, the connection goes to a state and something is done. The first rule that
// matches holds.
type rule struct {
	in      set
	on      Event
	yes, no Facts
	to      State // stay: the same
	do      Action
}

// stay keeps the state.
const stay = States

// live is every state of a connection that has not ended.
const live = set(opening | 1<<Open | ending)

// rules is the table. Events that it does not have cannot happen.
var rules = []rule{
	// A connection comes to be open.
	{in(Free), Accepted, TLS, 0, Securing, 0},
	{in(Free), Accepted, 0, 0, Handshake, 0},
	{in(Free), ProxyAccepted, 0, 0, Proxy, 0},
	{in(Free), TakenOver, 0, 0, Handshake, 0},
	{in(Free), Dialled, 0, 0, Connecting, 0},
	{in(Proxy), ProxyRead, TLS, 0, Securing, 0},
	{in(Proxy), ProxyRead, 0, 0, Handshake, 0},
	{in(Connecting), Connected, TLS, 0, Securing, BeginTLS},
	{in(Connecting), Connected, 0, 0, Answer, SendRequest},
	{in(Securing), Secured, Client, 0, Answer, SendRequest},
	{in(Securing), Secured, 0, 0, Handshake, 0},
	{in(Handshake), Deferred, 0, 0, Deciding, Register},
	{in(Handshake, Answer, Deciding), Opened, 0, 0, Open, 0},

	// Or not: it is answered in HTTP, or net/http has it.
	{in(Proxy, Securing, Handshake, Deciding), Refused, 0, 0, Failing, Refuse},
	{in(Deciding), Answered, 0, 0, Failing, Flush},
	{in(Handshake, Deciding), Passed, 0, 0, Closed, Reap},

	// We close: the closing handshake (RFC 6455 §7.1.2), ours first.
	{in(Open), CloseCalled, Held, 0, Closing, ReadKept | QueueClose}, // the peer's answer may be in what was kept
	{in(Open), CloseCalled, 0, 0, Closing, QueueClose},
	{in(Open), Shutdown, Held, 0, Closing, ReadKept | QueueClose},
	{in(Open), Shutdown, 0, 0, Closing, QueueClose},
	{in(Handshake, Deciding), Shutdown, 0, 0, Failing, Refuse},
	{in(Proxy, Securing), Shutdown, 0, 0, Closed, Reap},
	{in(Connecting, Answer), Shutdown, 0, 0, Closed, Reset | Reap},
	{ending | in(Closed), Shutdown, 0, 0, stay, 0},

	// The peer closes (RFC 6455 §5.5.1): our close frame is the answer, or was first.
	{in(Open), CloseReceived, 0, 0, Replying, QueueReply},
	{in(Closing), CloseReceived, 0, 0, Draining, Flush},

	// A fault is told with a close frame (RFC 6455 §7.1.7). There may be only one.
	{in(Open), Fault, 0, 0, Failing, QueueClose},
	{in(Closing), Fault, 0, 0, Failing, Flush},
	{finishing | in(Lingering, Closed), Fault, 0, 0, stay, 0},
	{in(Open), SlowConsumer, 0, 0, Failing, DropQueue | QueueClose},
	{in(Open), Panicked, 0, 0, Failing, QueueClose},
	{in(Closing), Panicked, 0, 0, Failing, Flush},
	{in(Handshake), Panicked, 0, 0, Failing, Refuse},
	{in(Failing, Closed), Panicked, 0, 0, stay, 0}, // the last word is said
	{live, Panicked, 0, 0, Closed, Reap},

	// The end of the input without a closing handshake (RFC 6455 §7.1.5): what is queued may still be read.
	{in(Securing, Open), EndOfInput, WorkDue, 0, stay, HoldInput},
	{in(Open), EndOfInput, OutputLeft, 0, Draining, Register},
	{in(Closing), EndOfInput, OutputLeft, 0, Draining, Unanswered | Register},
	{in(Closing), EndOfInput, NotifyDue, 0, Closed, Unanswered | NotifyClose | Reap},
	{in(Closing), EndOfInput, 0, 0, Closed, Unanswered | Reap},
	{in(Proxy, Securing, Handshake, Answer, Open), EndOfInput, NotifyDue, 0, Closed, NotifyClose | Reap},
	{in(Proxy, Securing, Handshake, Answer, Open), EndOfInput, 0, 0, Closed, Reap},

	// Everything is sent. The server closes TCP first (RFC 6455 §7.1.1); but closing with unread
	// input would send RST, and the peer might never read our last word.
	{finishing, OutputSent, NotifyDue, 0, stay, NotifyClose},
	// its close_notify may be here
	{in(Replying, Draining), OutputSent, TLS, Client | Unread, Closed, SwallowInput | Reap},
	{in(Replying, Draining), OutputSent, 0, Client | Unread, Closed, Reap},
	{finishing, OutputSent, 0, 0, Lingering, ShutdownWrite},
	{in(Lingering), InputDiscarded, 0, 0, Closed, Reap},

	// Time is over. A peer that has not taken what was sent is told by RST.
	{in(Handshake, Deciding), Timeout, 0, 0, Failing, Refuse},
	{in(Proxy, Securing), Timeout, 0, 0, Closed, Reap},
	{in(Connecting, Answer, Open), Timeout, 0, 0, Closed, Reset | Reap},
	{in(Closing) | finishing, Timeout, 0, 0, Closed, Unanswered | Reset | Reap},
	{in(Lingering), Timeout, 0, 0, Closed, Reap},

	// Nothing can be said any more.
	{in(Closing), Broken, 0, 0, Closed, Unanswered | Reap},
	{live, Broken, 0, 0, Closed, Reap},
	{in(Closed), Broken, 0, 0, stay, 0},
	{in(Securing), TLSFailed, Client, 0, Closed, Reap},
	{in(Securing), TLSFailed, 0, 0, Failing, SendLast}, // the alert
	{in(Closing), TLSBroken, Client, 0, Closed, Unanswered | Reap},
	{in(Answer, Open), TLSBroken, Client, 0, Closed, Reap},
	{in(Closing), TLSBroken, 0, Client, Failing, Unanswered | DropAll | SendLast}, // the alert is sealed already
	{in(Handshake, Open), TLSBroken, 0, Client, Failing, DropAll | SendLast},

	// We end it at once.
	{live, Aborted, 0, 0, Closed, Reset | Reap},
	{in(Closed), Aborted, 0, 0, stay, 0},
	{in(Handshake), PushedOut, AnswerDue, 0, Closed, TellRefusal | Reap},
	{in(Proxy, Securing, Handshake, Deciding, Failing), PushedOut, 0, 0, Closed, Reset | Reap},
	{in(Lingering), PushedOut, 0, 0, Closed, Reap}, // its answer is on the way: a RST might overtake it
	{in(Closed), PushedOut, 0, 0, stay, 0},

	{in(Closed), Reaped, 0, 0, Free, 0},
}

// table is rules by state and event.
var table = func() (t [States][Events][]rule) {
	for _, r := range rules {
		for left := r.in; left != 0; left &= left - 1 {
			s := State(bits.TrailingZeros16(uint16(left)))
			t[s][r.on] = append(t[s][r.on], r)
		}
	}
	return t
}()

// Next is what follows when e happens to a connection in state s: its state then, and what is
// to be done. An event that means nothing in a state leaves it, with no action. One that cannot
// happen there is Illegal, and ends the connection, if there is one.
func Next(s State, e Event, f Facts) (State, Action) {
	if s < States && e < Events {
		for _, r := range table[s][e] {
			switch {
			case f&r.yes != r.yes || f&r.no != 0:
			case r.to == stay:
				return s, r.do
			default:
				return r.to, r.do
			}
		}
	}
	if s.Ended() {
		return s, Illegal
	}
	return Closed, Illegal | Reset | Reap
}
