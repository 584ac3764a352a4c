//go:build linux

package perch

import (
	"fmt"

	"github.com/perchws/perch/internal/owner"
)

// connState says what a connection waits for. Only loop.setState assigns it.
//
//	from        event                                to
//	free        accepted                             handshake; with TLS: securing; behind a proxy: proxy
//	proxy       PROXY header read                    handshake; with TLS: securing
//	free        Dial                                 connecting
//	connecting  connected, request queued            answer; with TLS: securing
//	securing    TLS handshake over                   handshake
//	securing    the same, request queued (client)    answer
//	securing    no TLS, or handshake failed          failing
//	handshake   OnUpgrade goes to the worker pool    deciding
//	handshake   net/http is behind                   deciding
//	handshake   accepted; also from deciding         open
//	handshake   refused, HTTP error queued           failing
//	answer      101                                  open
//	open        Conn.Close, close frame queued       closing
//	open        close frame received, reply queued   replying
//	open        peer at fault, close frame queued    failing
//	open        end of input, output left            draining
//	closing     close frame received                 draining
//	replying    reply sent                           closed (client: lingering)
//	draining    output sent                          closed (client: lingering)
//	failing     output sent, FIN sent                lingering
//	lingering   end of input, 2 s or 1 MiB           closed
//	any         error, timeout                       closed
//	closed      reaped                               free
type connState uint8

const (
	stateFree connState = iota
	stateConnecting
	stateProxy
	stateSecuring
	stateHandshake
	stateAnswer
	stateDeciding
	stateOpen
	stateClosing
	stateReplying
	stateDraining
	stateFailing
	stateLingering
	stateClosed
	states
)

var stateNames = [states]string{"free", "connecting", "proxy", "securing", "handshake", "answer", "deciding", "open", "closing", "replying", "draining", "failing", "lingering", "closed"}

// String names the state.
func (s connState) String() string { return stateNames[s] }

// nextStates has, for every state, a bit for each state that may follow.
var nextStates = [states]uint16{
	stateFree:       1<<stateHandshake | 1<<stateProxy | 1<<stateSecuring | 1<<stateConnecting,
	stateConnecting: 1<<stateAnswer | 1<<stateSecuring | 1<<stateClosed,
	stateProxy:      1<<stateHandshake | 1<<stateSecuring | 1<<stateFailing | 1<<stateClosed,
	stateSecuring:   1<<stateHandshake | 1<<stateAnswer | 1<<stateFailing | 1<<stateClosed,
	stateHandshake:  1<<stateDeciding | 1<<stateOpen | 1<<stateFailing | 1<<stateClosed,
	stateAnswer:     1<<stateOpen | 1<<stateClosed,
	stateDeciding:   1<<stateOpen | 1<<stateFailing | 1<<stateClosed,
	stateOpen:       1<<stateClosing | 1<<stateReplying | 1<<stateDraining | 1<<stateFailing | 1<<stateClosed,
	stateClosing:    1<<stateDraining | 1<<stateFailing | 1<<stateClosed,
	stateReplying:   1<<stateLingering | 1<<stateClosed,
	stateDraining:   1<<stateLingering | 1<<stateClosed,
	stateFailing:    1<<stateLingering | 1<<stateClosed,
	stateLingering:  1 << stateClosed,
	stateClosed:     1 << stateFree,
}

// reads reports that input is of interest in this state.
func (s connState) reads() bool {
	return s == stateProxy || s == stateSecuring || s == stateHandshake || s == stateAnswer || s == stateOpen || s == stateClosing || s == stateLingering
}

// opening reports that the connection is on its way to be open. HandshakeTimeout
// is one for all of it.
func (s connState) opening() bool { return s >= stateConnecting && s <= stateDeciding }

// setState is the only place that changes s.state. The clock of the new state's
// timeout starts, but for another phase of the same handshake. Only an open connection holds back what it reads: any other
// waits for a close frame or the end of the input, or for nothing.
func (l *loop) setState(s *slot, to connState) {
	l.own.Check()
	if owner.Enabled && nextStates[s.state]&(1<<to) == 0 {
		panic(fmt.Sprintf("perch: connection state %v → %v", s.state, to))
	}
	if !s.state.opening() || !to.opening() {
		s.see(l.coarse)
	}
	s.state = to
	s.flags &^= flagPaused | flagLags
}
