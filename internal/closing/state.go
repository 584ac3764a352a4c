// Package closing says how a connection of the engine begins and ends: which state it is in,
// what may happen to it there, and what has to be done then. All of it is one table, [Next]:
// a function of state, event and facts, without I/O, memory or clock. The loop carries out
// what the table says; testdata/next.golden has every input and its outcome, one a line.
//
// The package also has the [Journal], in which a loop keeps what has happened, and the closed
// list of causes. docs/closing.md explains all names to those who run a server.
package closing

// State says what a connection waits for. The order has no meaning: see the predicates.
type State uint8

// The states.
const (
	Free       State = iota // the slot is nobody's
	Connecting              // dialled: for an address, and for TCP
	Proxy                   // for a PROXY header
	Securing                // for a TLS handshake
	Handshake               // for a request
	Answer                  // dialled: for the answer to our request
	Deciding                // for somebody else's decision about the request: a worker, net/http, a handler
	Open                    // messages both ways
	Closing                 // our close frame is queued or sent: for the peer's
	Replying                // the peer's close frame has come: for ours, and all before it, to be sent
	Draining                // nothing more is to be said: for what is queued to be sent
	Failing                 // the same; the peer must read it, and may be sending
	Lingering               // FIN is sent: for the end of the input, which is thrown away
	Closed                  // to be reaped at the end of the tick
	States
)

var stateNames = [States]string{
	"free", "connecting", "proxy", "securing", "handshake", "answer", "deciding", "open", "closing", "replying", "draining", "failing", "lingering", "closed",
}

// String names the state.
func (s State) String() string {
	if s < States {
		return stateNames[s]
	}
	return "unknown"
}

// set is several states.
type set uint16

func in(states ...State) (all set) {
	for _, s := range states {
		all |= 1 << s
	}
	return all
}

const (
	reads     = 1<<Proxy | 1<<Securing | 1<<Handshake | 1<<Answer | 1<<Open | 1<<Closing | 1<<Lingering
	opening   = 1<<Connecting | 1<<Proxy | 1<<Securing | 1<<Handshake | 1<<Answer | 1<<Deciding
	parses    = 1<<Open | 1<<Closing
	finishing = 1<<Replying | 1<<Draining | 1<<Failing
	ending    = 1<<Closing | finishing | 1<<Lingering
	ended     = 1<<Free | 1<<Closed
)

// Reads reports that input is of interest.
func (s State) Reads() bool { return reads>>s&1 != 0 }

// Opening reports that the connection is on its way to be open: one timeout is for all of it.
func (s State) Opening() bool { return opening>>s&1 != 0 }

// Parses reports that input is parsed as frames.
func (s State) Parses() bool { return parses>>s&1 != 0 }

// Finishing reports that the connection only waits for its output to be sent.
func (s State) Finishing() bool { return finishing>>s&1 != 0 }

// Ending reports that the connection takes no more messages, and is not closed yet.
func (s State) Ending() bool { return ending>>s&1 != 0 }

// Ended reports that nothing is sent or received any more.
func (s State) Ended() bool { return ended>>s&1 != 0 }
