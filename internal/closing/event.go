package closing

// Event is something that happens to a connection.
type Event uint8

// Events that the table knows.
const (
	// Beginnings.
	Accepted      Event = iota // a socket has come
	ProxyAccepted              // the same, from a proxy that will say whose it is
	TakenOver                  // net/http has handed it over, with its request
	Dialled                    // we are to connect
	ProxyRead                  // the PROXY header is read
	Connected                  // the TCP connection that we have dialled is there
	Secured                    // the TLS handshake is done
	Deferred                   // the request is somebody else's to decide about
	Opened                     // the request is accepted, or the server that we have dialled has
	Refused                    // the request, or the connection, is refused with an answer in HTTP
	Answered                   // a request for a reserved path has its answer
	Passed                     // net/http has the socket

	// Ends that we begin.
	CloseCalled  // the application closes
	Fault        // the peer, or our handler, is at fault: told with a close frame
	SlowConsumer // the peer does not take what is sent to it: told likewise, instead of what is queued
	Shutdown     // the server goes away
	Aborted      // there is no more time or memory for the peer
	PushedOut    // a connection over a limit makes room for the next

	// Ends that others begin.
	CloseReceived // a close frame
	EndOfInput    // FIN, or close_notify
	Broken        // nothing more can be said or heard: an error of the socket or the dial
	TLSFailed     // the TLS handshake has failed, or was all that the client wanted
	TLSBroken     // a TLS record cannot be opened, or the peer says so of ours
	Panicked      // a callback has panicked

	// Progress.
	OutputSent     // all that was queued is sent
	InputDiscarded // the peer has ended its input too, or sent more than we throw away for it
	Timeout        // the time of the state is over; if open, the peer has taken nothing for too long
	Reaped         // the descriptor is closed, the last callback has returned
	Events
)

// Events for the journal alone.
const (
	Paused         = Events + iota // behind those of the table: reading has stopped for longer than one sweep
	Resumed                        // it goes on
	Gap                            // messages were not queued; the application is told how many
	PingUnanswered                 // the peer has not answered a ping in time
	Notes
)

var eventNames = [Notes]string{
	Accepted: "accepted", ProxyAccepted: "accepted_from_proxy", TakenOver: "taken_over", Dialled: "dialled", ProxyRead: "proxy_read", Connected: "connected",
	Secured: "secured", Deferred: "deferred", Opened: "opened", Refused: "refused", Answered: "answered", Passed: "passed",
	CloseCalled: "close_called", Fault: "fault", SlowConsumer: "slow_consumer", Shutdown: "shutdown", Aborted: "aborted", PushedOut: "pushed_out",
	CloseReceived: "close_received", EndOfInput: "end_of_input", Broken: "broken", TLSFailed: "tls_failed", TLSBroken: "tls_broken", Panicked: "panicked",
	OutputSent: "output_sent", InputDiscarded: "input_discarded", Timeout: "timeout", Reaped: "reaped",
	Paused: "paused", Resumed: "resumed", Gap: "gap", PingUnanswered: "ping_unanswered",
}

// String names the event: stable, for logs and interfaces.
func (e Event) String() string {
	if e < Notes {
		return eventNames[e]
	}
	return "unknown"
}

// Facts are what the table asks about a connection beside its state.
type Facts uint8

// The facts.
const (
	Client     Facts = 1 << iota // we have dialled
	TLS                          // its bytes are TLS records
	NotifyDue                    // close_notify has not been said
	OutputLeft                   // something waits to be sent
	Unread                       // the peer has sent more behind its close frame
	WorkDue                      // a worker, or the goroutine of a TLS handshake, has an answer yet
	Held                         // reading is held
	AnswerDue                    // it is over a limit and can be told so in one send
	facts      = iota
)

var factNames = [facts]string{"client", "tls", "notify", "output", "unread", "work", "held", "answer"}

// Action is what the loop has to do, once the connection is in its new state, in this order.
type Action uint32

// The actions.
const (
	Unanswered    Action = 1 << iota // the close of ours was not answered: its cause says so
	DropQueue                        // what is queued is dropped, but for the frame being sent
	DropAll                          // the same with that frame
	ReadKept                         // input that was kept while reading was held is due
	QueueClose                       // a close frame with our code and reason, behind all
	QueueReply                       // a close frame with the peer's code, behind all
	Refuse                           // an answer in HTTP, the last word
	SendLast                         // what lies ready in the cork, if anything, is the last word
	TellRefusal                      // an answer in HTTP in one send, whether it arrives or not
	Flush                            // the connection is flushed at the end of the tick
	Register                         // the poller is told what it waits for now
	HoldInput                        // the input is at its end; what is due is waited for
	NotifyClose                      // close_notify; if that is sent, the event happens anew
	SwallowInput                     // what the peer has sent is read once, so that no RST answers it
	ShutdownWrite                    // FIN
	BeginTLS                         // a TLS handshake
	SendRequest                      // the request that we have dialled for
	Reset                            // the descriptor is closed with a RST
	Reap                             // the connection is listed to be reaped
	Illegal                          // the event cannot happen in this state: a bug of the engine's
	actions       = iota
)

var actionNames = [actions]string{
	"unanswered", "drop queue", "drop all", "read kept", "queue close", "queue reply", "refuse", "send last", "tell refusal", "flush", "register",
	"hold input", "notify close", "swallow input", "shutdown write", "begin tls", "send request", "reset", "reap", "illegal",
}
