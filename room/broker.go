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
//   - A node gets all publications that come after the opening it was given. Of earlier ones it gets in
//     Opening.History the latest ones that the broker still has.
//   - When the order cannot be continued (data was lost) every node is told by Reset, before it gets anything of the
//     new epoch.
//   - A room that was deleted, or whose history is lost, has another epoch when it
//     is opened again.
//   - Calls of one node about one room are carried out in the order in which they were made: a room that is opened
//     after it was closed is a new one.
//
// Answers of different rooms may come in any order. The hub protects itself from a broker that breaks the contract: a
// second answer is ignored. If an answer does not come within Config.BrokerTimeout, the hub goes on with ErrTimeout,
// and closes the Topic if it still comes later.
type Broker interface {
	// Open begins to follow a room. If there is none it is made with the options create, or the answer is ErrNotFound
	// if create is nil. opened is called once, before Open returns or later, on any goroutine, with no lock held.
	// Deliver and Reset may be called before opened.
	Open(room string, create *Options, s Subscriber, opened func(Topic, Opening, error))
}

// Opening describes the room that was found, or made.
type Opening struct {
	Position
	Options Options       // the room's; the zero value: those that the caller asked for
	Created time.Time     // when the room was made; zero: now
	Made    bool          // made by this call of Open
	History []Publication // the latest ones that the broker has, up to Position, in order
	Members int           // over all nodes, if the Topic is a Census
}

// Topic is one node's access to one room's order. Any goroutine. No method blocks.
type Topic interface {
	// Publish takes p into the order. Every node gets it, with its offset, by Deliver; the node that published it
	// gets the very same p. p.Settle tells the publisher. The publisher may reuse p.Payload when Publish has
	// returned: a broker that needs it for longer copies it.
	Publish(p Publication)

	// Close ends the following of the room. Nothing is delivered after it returns. Messages that were published
	// before are still settled. reason is a text for people, if the room is Deleted.
	Close(how Ending, reason string)
}

// Relay is a further interface of the Topic, for brokers of several nodes: it brings messages without an offset
// (typing, comings and goings) to the members on other nodes. Such a message may be lost. Memory's Topic does not
// have it: all members are on this node.
type Relay interface {
	// Relay brings f to every other node that follows the room, by Relayed. Any goroutine may call it. It does not
	// block.
	Relay(f Frames, class Class)
}

// Ending says what happens to a room that one node no longer follows.
type Ending uint8

const (
	Left    Ending = iota // the room goes on for others, and its history is kept for later if the broker can
	Expired               // the room had no members on this node for Options.TTL: it ends, unless another node follows it
	Deleted               // it ends for all nodes, order, history and options
)

// Subscriber is a node's side of a room. Its methods are called one at a time,
// in order, perhaps with the broker's locks held. They do not block, and do not call the broker.
type Subscriber interface {
	Deliver(p Publication)
	Reset(at Position)
	// Changed tells the room's new options.
	Changed(o Options)
	// Relayed brings a message that another node has sent by Relay.
	Relayed(f Frames, class Class)
	// Members tells how many members the room has now over all nodes, and which users have come and gone since the last
	// call, or since the room was opened. Connections without a user change the number alone. Only a Topic that is a
	// Census calls it.
	Members(total int, came, went []Visitor)
	// Forgotten tells that no visitor of this node has a place any more, because its lease has ended, and that there is
	// a new lease: the room enters its visitors again, whatever its bound is. others is the number of members on other
	// nodes. An earlier Enter is not answered after this call, except with an error. Only a Topic that is a Census calls
	// it.
	Forgotten(others int)
	// Removed tells that the room was deleted on another node. No call follows, and the topic need not be closed.
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

// Once names a message, so that a publisher that does not know whether it has its place can publish it again. A
// broker that keeps names for a while gives a message whose Key it knows no second place in the order: it answers
// with the first one (Outcome.First). Memory keeps none.
type Once struct {
	Key     [16]byte // of the publisher's choice, the same for the same message
	Content [16]byte // a hash of the message, which tells two messages of one key apart
	ID      string   // for the publisher, which gets it back in Outcome.First
	At      time.Time
}

// Outcome is a broker's answer to a publish. The zero value says that the message was delivered on this node. (A field
// that says how safe the message is then is still to come.)
type Outcome struct {
	Position       // of the message; not needed once it was delivered
	First    *Once // the message was published before under the same key: Position and First are those of the first one
	Err      error // the message has no place in the order, or this is not known: ErrTimeout
}

// Settle gives the publisher the outcome. The broker calls it once, on any goroutine, with no lock held; after
// Deliver on this node, if it can.
func (p Publication) Settle(o Outcome) {
	if p.order != nil {
		p.order.settle(o)
	}
}
