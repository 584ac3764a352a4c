package room

import "github.com/perchws/perch/frame"

// Member names one connection of this process: its event loop, its slot there,
// and which of the slot's connections. Comparable; the zero Member is nobody.
// The engine turns it into a connection and back.
type Member struct {
	Loop, Slot, Gen uint32
}

// Loop is an event loop, as rooms see it. The engine implements it.
type Loop interface {
	// Post hands d over to be carried out on the loop, after all that was posted
	// before it. Any goroutine may call it, with locks held; it never blocks. An
	// error means that the loop has ended: d will not be carried out.
	Post(d *Delivery) error

	// Do hands f over to be run on the loop as a callback of the connection m, after
	// all that was posted before it, unless m is closed by then. Otherwise like Post.
	Do(m Member, f func()) error
}

// Budget bounds the messages that are on their way to loops, in bytes, for all rooms
// together. The engine implements it. Any goroutine, with locks held.
type Budget interface {
	Reserve(n int64) bool // false: n bytes are more than there may be
	Release(n int64)      // gives back what was reserved
}

// Dialect is one of the shapes that messages go out in. A connection speaks one,
// from [Identity]; a message is encoded once for each that a room's members
// speak. An application that needs one shape only never sees this.
type Dialect uint8

// Dialects is how many there are: 0 is the one that histories are kept in.
const Dialects = 2

// Frames is one message in every dialect that it is needed in; nil: members who
// speak that one do not get it.
type Frames [Dialects]*frame.Prepared

// Err says why f cannot be sent: frame.ErrNotData, frame.ErrNotText; nil: it can.
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

// Class says what happens to a message for a member that does not keep up.
type Class uint8

const (
	// ClassMessage is never left out: a member whose queue is full is closed, or
	// told about the gap, as the engine's settings say.
	ClassMessage Class = iota
	// ClassPresence is left out for a member whose queue is half full.
	ClassPresence
	// ClassTyping is the first to be left out: from a sixteenth.
	ClassTyping
)

// Room, in parts of the queue, below which a message of a class is still taken.
var share = [...]int{ClassMessage: 1, ClassPresence: 2, ClassTyping: 16}

// Fits reports whether a member with so many bytes queued, of most that it may
// have, gets a message of the class.
func (c Class) Fits(queued, most int) bool {
	return c == ClassMessage || queued <= most/share[c]
}
