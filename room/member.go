package room

import "github.com/perchws/perch/frame"

// Member names one connection of this process: its event loop, its slot, and the generation of the slot. Comparable;
// the zero Member is no connection. The engine turns it into a connection and back.
type Member struct {
	Loop, Slot, Gen uint32
}

// Loop is an event loop, as rooms see it. The engine implements it.
type Loop interface {
	// Post gives d to the loop, which carries it out after everything that was posted before. Any goroutine may call
	// it, with locks held; it never blocks. An error means that the loop has ended: d will not be carried out.
	Post(d *Delivery) error

	// Do gives f to the loop, which runs it as a callback of the connection m, after everything that was posted
	// before, unless m is closed by then. Otherwise it is like Post.
	Do(m Member, f func()) error

	// Close closes the connection m, after everything that was posted before. Otherwise it is like Do; it also returns
	// an error if m is closed already.
	Close(m Member, code frame.CloseCode, reason string) error

	// Name returns the name that m has among the connections of all nodes. Any goroutine may call it.
	Name(m Member) string
}

// Budget bounds the messages that are on their way to loops, in bytes, for all rooms
// together. The engine implements it. Any goroutine, with locks held.
type Budget interface {
	Reserve(n int64) bool // false: the bound does not allow n more bytes
	Release(n int64)      // gives back reserved bytes
}

// Dialect is a form of messages. A connection speaks one, given in [Identity]; a message is encoded once for each
// dialect that a room's members speak. An application that needs only one form never sees this.
type Dialect uint8

// Dialects is the number of dialects: histories are kept in dialect 0.
const Dialects = 2

// Frames is one message in every dialect in which it is needed; nil: members that speak this dialect do not get it.
type Frames [Dialects]*frame.Prepared

// Err returns why f cannot be sent: frame.ErrNotData, frame.ErrNotText; nil: it can.
func (f Frames) Err() error {
	for _, m := range f {
		if m != nil && m.Err() != nil {
			return m.Err()
		}
	}
	return nil
}

// Text is a text message in dialect 0. p is copied.
func Text(p []byte) Frames { return Frames{frame.Prepare(frame.OpText, p)} }

// Class says whether a message may be left out for a member that does not keep up.
type Class uint8

const (
	// ClassMessage is never left out: a member whose queue is full is closed, or
	// told about the gap, as the engine's settings say.
	ClassMessage Class = iota
	// ClassPresence is left out for a member whose queue is half full.
	ClassPresence
	// ClassTyping is left out first: when a sixteenth of the queue is full.
	ClassTyping
)

// A message of a class is taken while less than this part of the queue is full.
var share = [...]int{ClassMessage: 1, ClassPresence: 2, ClassTyping: 16}

// Fits reports whether a member gets a message of the class, if queued bytes are in its queue and most are allowed.
func (c Class) Fits(queued, most int) bool {
	return c == ClassMessage || queued <= most/share[c]
}
