package bench

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/handshake"
)

// Fault is a kind of error of a server, or of the way to it.
type Fault uint8

const (
	Connect   Fault = iota // no TCP connection
	Handshake              // not a valid 101 answer
	Timeout                // of a handshake, or of a publication
	Protocol               // a frame that RFC 6455 forbids
	Corrupt                // wrong opcode, length or content
	Lost                   // sent, or published, and never received
	Reordered              // received after a later one
	Duplicate              // received twice
	Closed                 // the connection ended while it should stay
	Closing                // the closing handshake was not completed
	Refused                // chat: an error instead of what was asked for
	faultKinds
)

var faultNames = [faultKinds]string{
	"connect", "handshake", "timeout", "protocol", "corrupt", "lost", "reordered", "duplicate", "closed", "closing", "refused",
}

// String is the name in the reports.
func (f Fault) String() string { return faultNames[f] }

// describedFaults is how many of each kind are told in full.
const describedFaults = 5

// faults counts what went wrong. Any goroutine.
type faults struct {
	mu     sync.Mutex
	counts [faultKinds]uint64
	log    io.Writer
}

// add counts n faults of a kind.
func (f *faults) add(kind Fault, n uint64, format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.counts[kind]
	f.counts[kind] += n
	if f.log != nil && before < describedFaults {
		text := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", ": ") // joined errors have lines
		fmt.Fprintf(f.log, "perchbench: %v: %s\n", kind, text)
	}
}

func (f *faults) snapshot() [faultKinds]uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts
}

// dialFault says what kind of fault a failed dial is.
func dialFault(err error) Fault {
	var refused *handshake.RefusedError
	var bad *handshake.Error
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return Timeout
	case errors.As(err, &refused), errors.As(err, &bad), errors.Is(err, io.EOF):
		return Handshake
	}
	return Connect
}

// closeFault says what kind of fault it is that an open connection ended.
func closeFault(err *perch.CloseError) Fault {
	var broken *frame.ProtocolError
	if !err.Remote && errors.As(err, &broken) {
		return Protocol
	}
	return Closed
}
