package room

import (
	"bytes"
	"container/list"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/perchws/perch/frame"
)

// Message is a message to be published. Payload and Except are copied before Publish returns.
type Message struct {
	Op      frame.Opcode // 0: text
	Payload []byte
	Except  []Member    // connections that do not get it, such as its sender
	Taken   func(n int) // called on a loop with the number of connections whose queues took it; may be nil
	Once    *Once       // the name of the message, for a broker that keeps names; nil: it has none
	Payer   Payer       // the payer for its place in the history
}

// Receipt is the answer to a publish.
type Receipt struct {
	Position       // of the message
	Members  int   // members at that moment
	First    *Once // not nil: the broker knew Message.Once, and the receipt is that of the message published first
}

// order is a publish under way: it travels inside the Publication.
type order struct {
	room    *Room
	except  exclusion
	taken   func(int)
	done    func(Receipt, error)
	at      Position // of the message, once it is placed
	members int32    // members at that moment
	state   atomic.Uint32
	cost    int64         // reserved bytes of the budget, until the message is placed
	way     *Delivery     // the delivery to the loops, once it is placed
	flight  *list.Element // in Room.flights, under Room.mu; nil: it is not there
}

// Events of an order: bits of its state.
const (
	orderPlaced  = 1 << iota // Deliver was called with it: at, members and way are set
	orderFlying              // the broker has taken it and not settled it at once
	orderSettled             // its publisher was told
)

// Publish sends a message to all members and keeps it in the history. done may be nil. It is called once: with the
// receipt as soon as the message has its place in the order, or with an error. With a broker that answers at once, as
// Memory does, it is called before Publish returns; else on any goroutine, such as the broker's own, so it must not
// block. Members get the message by the end of their loop's turn, all in the same order. Messages that one goroutine
// publishes to a room keep their order.
//
// Errors: ErrQueueFull when loops or the broker do not keep up with the room, or with all messages on their way,
// ErrNotFound when the room is deleted, ErrBroker when the broker panics, ErrTimeout when it does not answer in time,
// other ErrUnavailable of the broker; of the message frame.ErrNotData (it is neither text nor binary) and, without
// Config.Encode, frame.ErrNotText (it is text and not UTF-8). A message with an error has no place in the order, and
// nobody gets it. After ErrTimeout, ErrBroker and ErrUnavailable, though, it may still get one.
func (r *Room) Publish(m Message, done func(Receipt, error)) {
	o := &order{room: r, except: excluding(m.Except), taken: m.Taken, done: done}
	r.pending.Add(1)
	if err := r.accept(&m); err != nil {
		o.settle(Outcome{Err: err})
		return
	}
	if o.cost = r.hub.reserve(len(m.Payload)); o.cost == 0 {
		o.settle(Outcome{Err: ErrQueueFull})
		return
	}
	p := Publication{Op: m.Op, Payload: m.Payload, Once: m.Once, Payer: m.Payer, order: o}
	if r.opening.Load() && r.publishLater(p) {
		return
	}
	r.order(p)
	if hs := &r.hub.histories; hs.bytes.Load()-hs.most > hs.most/8 { // else the next Sweep is soon enough
		r.hub.trim()
	}
}

// order hands a message to the broker, which may be code of the application.
func (r *Room) order(p Publication) {
	o := p.order
	returned := false
	defer func() {
		switch {
		case !returned:
			o.settle(Outcome{Err: ErrBroker})
		case o.state.Load()&orderSettled == 0:
			r.fly(o)
		}
	}()
	returned = r.hub.cfg.call("Broker.Publish", func() { r.topic.Publish(p) })
}

// accept checks a message, which already counts in pending.
func (r *Room) accept(m *Message) error {
	if m.Op == 0 {
		m.Op = frame.OpText
	}
	switch {
	case r.pending.Load() > int64(r.hub.cfg.MaxQueue):
		return ErrQueueFull
	case !m.Op.IsData():
		return fmt.Errorf("%w: %v", frame.ErrNotData, m.Op)
	case m.Op == frame.OpText && r.hub.verbatim && !frame.ValidUTF8(m.Payload):
		return frame.ErrNotText
	}
	return nil
}

// settle tells the publisher, once. It may run while Deliver handles the same order on another goroutine: a broker
// may settle and deliver at the same time.
func (o *order) settle(out Outcome) {
	was := o.state.Or(orderSettled)
	if was&orderSettled != 0 {
		return
	}
	r := o.room
	if was&orderFlying != 0 {
		r.land(o)
	}
	receipt, err := Receipt{Position: out.Position, First: out.First}, out.Err
	defer func() {
		if o.done != nil {
			r.hub.cfg.call("Publish's done", func() { o.done(receipt, err) })
		}
	}()
	if was&orderPlaced != 0 {
		receipt.Position, receipt.Members, err = o.at, int(o.members), nil
		if o.way.left.Add(-1) == 0 {
			o.way.finish()
		}
		return
	}
	r.pending.Add(-1)
	r.hub.release(o.cost)
	switch {
	case err != nil:
		err = unavailable(err)
	case out.Epoch != "":
		receipt.Members = r.Count()
	default:
		err = ErrNotFound // the room was deleted meanwhile
	}
}

// place notes that Deliver was called with the order, and that d is its delivery, which does not finish before
// settle. If the publisher was told before, d is a message like any other. r.mu is held.
func (o *order) place(d *Delivery, at Position, members int) {
	was := o.state.Load()
	if was&(orderPlaced|orderSettled) != 0 {
		return
	}
	o.at, o.members, o.way = at, int32(members), d
	d.queued, d.done, d.cost = true, o.taken, o.cost
	d.left.Add(1)
	for !o.state.CompareAndSwap(was, was|orderPlaced) {
		if was = o.state.Load(); was&orderSettled != 0 {
			d.queued, d.done, d.cost = false, nil, 0
			d.left.Add(-1)
			return
		}
	}
}

// Deliver implements Subscriber: only the broker calls it.
func (r *Room) Deliver(p Publication) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || p.Offset <= r.at.Offset { // or the message comes a second time
		return
	}
	var f Frames
	now := r.hub.cfg.Clock.Wall()         // until Now has returned
	defer func() { r.enter(p, f, now) }() // also if a function of Config does not return
	f[0] = r.encode(p)
	for d := Dialect(1); d < Dialects; d++ {
		if r.on.speak(d) {
			f[d] = r.translate(d, f[0])
		}
	}
	now = r.hub.cfg.Now()
}

// enter keeps the message of an offset and posts it to the members. If a function of Config has ended its goroutine
// without a result, the message goes out unchanged. r.mu is held.
func (r *Room) enter(p Publication, f Frames, now time.Time) {
	if f[0] == nil {
		f[0] = prepare(p.Op, p.Payload)
	}
	for d := Dialect(1); d < Dialects; d++ {
		if f[d] == nil && r.on.speak(d) {
			f[d] = f[0]
		}
	}
	r.hub.histories.keep(r, p.Offset, f[0], p.Payer)
	r.at.Offset = p.Offset
	r.latest.Store(now.UnixNano())
	d := &Delivery{hub: r.hub, frames: f, room: r, kept: true}
	loops := r.on.loops()
	d.left.Store(int32(len(loops)))
	if o := p.order; o != nil {
		d.except = o.except
		r.hub.published.Add(1)
		o.place(d, r.at, r.count())
	}
	if gone := d.hand(loops); gone > 0 && d.left.Add(-gone) == 0 {
		d.done = nil // the loops have ended, and our locks are held
		d.finish()
	}
}

func (r *Room) encode(p Publication) *frame.Prepared {
	return prepare(p.Op, r.hub.cfg.Encode(nil, r.id, p.Offset, p.Payload))
}

// prepare is frame.Prepare for a message that already has its place in the order and must be sent: one of another
// node, or made by a function of Config. Text that is not UTF-8 is mended, as encoding/json does it.
func prepare(op frame.Opcode, b []byte) *frame.Prepared {
	if !op.IsData() {
		op = frame.OpBinary
	}
	f := frame.Prepare(op, b)
	if f.Err() != nil {
		f = frame.Prepare(op, bytes.ToValidUTF8(b, []byte("\uFFFD")))
	}
	return f
}

func (r *Room) translate(d Dialect, f *frame.Prepared) *frame.Prepared {
	return prepare(f.Opcode(), r.hub.cfg.Translate(nil, d, r.id, f.Payload()))
}

// Send sends a message without an offset, which no history keeps. By its class it may be left out for members that do
// not keep up. Members see the messages that one goroutine publishes and sends in that order. Errors: ErrNotFound
// when the room is deleted, ErrQueueFull when loops do not keep up, f.Err.
func (r *Room) Send(f Frames, class Class, except ...Member) error {
	if err := f.Err(); err != nil {
		return err
	}
	if err := r.sendHere(f, class, except); err != nil {
		return err
	}
	if r.opening.Load() {
		return nil // no node has a member that it could be for
	}
	if relay, ok := r.topic.(Relay); ok {
		r.hub.cfg.call("Broker.Relay", func() { relay.Relay(f, class) })
	}
	return nil
}

// sendHere sends f to the members on this node.
func (r *Room) sendHere(f Frames, class Class, except []Member) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrNotFound
	}
	return r.send(f, class, except)
}

// Relayed implements Subscriber.
func (r *Room) Relayed(f Frames, class Class) {
	if f.Err() == nil {
		_ = r.sendHere(f, class, nil) // it may be lost
	}
}

// send posts f to the members. r.mu is held. Error: ErrQueueFull.
func (r *Room) send(f Frames, class Class, except []Member) error {
	if f == (Frames{}) || len(r.on) == 0 {
		return nil
	}
	cost := r.hub.reserve(f.size())
	if cost == 0 {
		return ErrQueueFull
	}
	d := &Delivery{hub: r.hub, room: r, frames: f, class: class, except: excluding(except), cost: cost}
	r.hub.post(d, r.on.loops())
	return nil
}

// post posts a delivery for which nothing waits.
func (h *Hub) post(d *Delivery, loops []uint32) {
	if d.post(loops) {
		d.finish()
	}
}
