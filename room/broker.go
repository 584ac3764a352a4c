package room

import (
	"time"

	"github.com/perchws/perch/frame"
)

// Broker gives the messages of a room their order and brings them to every node
// that has opened the room. [Memory] is the broker of a single process. A
// broker never blocks its caller: a call that needs a network is answered
// later, by a function that it is given or by [Publication.Settle]. The
// contract, which package brokertest checks:
//
//   - All nodes see a room's publications in the same order, with the offsets
//     1, 2, 3 … of its epoch, none left out and none twice.
//   - A node gets all publications that come after the opening it was given. Earlier
//     ones are in Opening.History as far as the broker still has them, the latest ones.
//   - When the order cannot be continued (data was lost) every node is told by
//     Reset, before anything of the new epoch.
//   - A room that was deleted, or whose history is lost, has another epoch when it
//     is opened again.
//   - What one node asks about one room is carried out in the order in which it was
//     asked: a room that is closed and opened again is the next one.
//
// Answers of different rooms may come in any order. The hub lives with a broker
// that breaks its word: a second answer is ignored, one that does not come is
// replaced by ErrTimeout after Config.BrokerTimeout, and one that comes after that
// is given back (the Topic is closed).
type Broker interface {
	// Open begins to follow a room. create is what the room is made with if there is
	// none; nil: then the answer is ErrNotFound. opened is called once, before Open
	// returns or later, on any goroutine, with no lock held. Deliver and Reset may be
	// called before it.
	Open(room string, create *Options, s Subscriber, opened func(Topic, Opening, error))
}

// Opening is how a room was found, or made.
type Opening struct {
	Position
	Options Options       // the room's; the zero value: those that were asked for
	Created time.Time     // when it was made; zero: now
	Made    bool          // by this opening
	History []Publication // the latest ones up to Position, in order: what can still be had begins with the first
}

// Topic is one node's access to one room's order. Any goroutine. No method blocks.
type Topic interface {
	// Publish takes p into the order. On this node Deliver gets the very p that was
	// published, with its offset, as every node gets it; p.Settle tells the
	// publisher. p.Payload is the publisher's again when Publish has returned: a
	// broker that needs it for longer copies it.
	Publish(p Publication)

	// Close ends the following. Nothing is delivered after it returns. Messages
	// that were published before are still settled. reason is for people, where
	// the room is Deleted.
	Close(how Ending, reason string)
}

// Relay is what the Topic of a broker of several nodes is besides: it brings messages
// without an offset (typing, comings and goings) to the members on other nodes. Such a
// message may be lost. Memory's Topic is none: all members are here.
type Relay interface {
	// Relay brings f to every other node that follows the room, which gets it by
	// Relayed. Any goroutine. It does not block.
	Relay(f Frames, class Class)
}

// Ending says what becomes of a room that one node follows no more.
type Ending uint8

const (
	Left    Ending = iota // the room goes on for others, and its history is kept for later if the broker can
	Expired               // it had no members here for Options.TTL: it ends, unless another node follows it
	Deleted               // it ends for all nodes, order, history and options
)

// Subscriber is a node's side of a room. Its methods are called one at a time,
// in order, perhaps with the broker's locks held. They do not block, and do not call the broker.
type Subscriber interface {
	Deliver(p Publication)
	Reset(at Position)
	// Changed tells that the room's options are others from now on.
	Changed(o Options)
	// Relayed brings what another node's members are told, by Relay.
	Relayed(f Frames, class Class)
	// Removed tells that the room was deleted on another node. Nothing follows, and
	// the topic need not be closed.
	Removed(reason string)
}

// Publication is one message on its way through a broker.
type Publication struct {
	Offset  uint64
	Op      frame.Opcode // text or binary
	Payload []byte       // not to be changed; valid until Deliver returns
	Once    *Once        // not to be changed; nil: the message has no name
	Payer   Payer        // of the message, on all nodes

	order *order // on the node that published it
}

// Once names a message, so that a publisher that does not know what became of it
// can publish it again. A broker that keeps names for a while gives a message
// whose Key it knows no second place in the order: it answers with the first one
// (Outcome.First). Memory keeps none.
type Once struct {
	Key     [16]byte // of the publisher's choice, the same for the same message
	Content [16]byte // a hash of the message: two messages of one key are told apart by it
	ID      string   // what the publisher wants to have back
	At      time.Time
}

// Outcome is a broker's answer to a publish. The zero value says that the message was
// delivered on this node. (How safe the message is at that moment is a field to come.)
type Outcome struct {
	Position       // of the message. Not needed once Deliver has had it
	First    *Once // the message was published before under the same key: Position and this are those of the first
	Err      error // it has no place in the order, or nobody knows: ErrTimeout
}

// Settle tells the publisher how it went. The broker calls it once, on any
// goroutine, with no lock held; after Deliver on this node, if it can.
func (p Publication) Settle(o Outcome) {
	if p.order != nil {
		p.order.settle(o)
	}
}
