//go:build linux

package perch

import "github.com/perchws/perch/internal/closing"

// connState says what a connection waits for. Package closing has the states and the table
// of what leads from one to the next; loop.step is the only place that assigns one.
type connState = closing.State

// The states, under the names that they have here.
const (
	stateFree       = closing.Free
	stateConnecting = closing.Connecting
	stateProxy      = closing.Proxy
	stateSecuring   = closing.Securing
	stateHandshake  = closing.Handshake
	stateAnswer     = closing.Answer
	stateDeciding   = closing.Deciding
	stateOpen       = closing.Open
	stateClosing    = closing.Closing
	stateReplying   = closing.Replying
	stateDraining   = closing.Draining
	stateFailing    = closing.Failing
	stateLingering  = closing.Lingering
	stateClosed     = closing.Closed
)
