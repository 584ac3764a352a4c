package room

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/perchws/perch/frame"
)

// Message is what is published to a room. Payload and Except are copied before
// Publish returns.
type Message struct {
	Op      frame.Opcode // 0: text
	Payload []byte
	Except  []Member    // connections that do not get it: its sender's, mostly
	Taken   func(n int) // told, on a loop, how many connections' queues took it; nil: nobody asks
}

// Receipt is what a publisher learns.
type Receipt struct {
	Position     // of the message
	Members  int // at that moment
}

// order is a publish under way: it goes with the Publication, which comes back.
type order struct {
	room    *Room
	except  exclusion
	taken   func(int)
	done    func(Receipt, error)
	receipt Receipt
	cost    int64     // that it has taken of the budget, until it is placed
	placed  bool      // it has come back
	over    *Delivery // it was for nobody
	settled atomic.Bool
}

// Publish sends a message to all members and keeps it in the history. done is
// called once, with the receipt as soon as the message has its place in the
// order; with the Memory broker before Publish returns. It may be nil. Members
// get the message by the end of their loop's turn, all in the same order.
//
// Errors: ErrQueueFull when loops do not keep up with the room, or with all that is on
// its way to them, ErrNotFound when the room is
// deleted, ErrBroker when the broker panics, those of the broker; of the message frame.ErrNotData (it is neither text
// nor binary) and, without Config.Encode, frame.ErrNotText (it is text and not
// UTF-8). A message with an error has no place in the order: nobody gets it.
func (r *Room) Publish(m Message, done func(Receipt, error)) {
	o := &order{room: r, except: excluding(m.Except), taken: m.Taken, done: done}
	r.pending.Add(1)
	if err := r.accept(&m); err != nil {
		o.settle(err)
		return
	}
	if o.cost = r.hub.take(len(m.Payload)); o.cost == 0 {
		o.settle(ErrQueueFull)
		return
	}
	r.order(o, Publication{Op: m.Op, Payload: m.Payload, order: o})
	if most := r.hub.cfg.MaxHistoryTotal; r.hub.historyBytes.Load()-most > most/8 { // else the next sweep will do
		r.hub.trim()
	}
}

// order hands a message to the broker, whose code may be the application's.
func (r *Room) order(o *order, p Publication) {
	returned := false
	defer func() {
		if !returned {
			o.settle(ErrBroker)
		}
	}()
	returned = r.hub.cfg.call("Broker.Publish", func() { r.topic.Publish(p) })
}

// accept judges a message, which is counted in pending already.
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

func (o *order) settle(err error) {
	if o.settled.Swap(true) {
		return
	}
	defer func() {
		if o.done != nil {
			o.room.hub.cfg.call("Publish's done", func() { o.done(o.receipt, err) })
		}
	}()
	if !o.placed {
		o.room.pending.Add(-1)
		o.room.hub.give(o.cost)
		if err == nil {
			err = ErrNotFound // deleted meanwhile
		}
	}
	if o.over != nil {
		o.over.finish()
	}
}

// open takes the room to where the broker has it. What came after that may have
// been delivered already.
func (r *Room) open(t Topic, at Opening) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.topic = t
	if r.at.Epoch != "" { // Reset was quicker
		return
	}
	early := r.history
	r.history = history{}
	r.hub.historyBytes.Add(-int64(early.bytes))
	for _, p := range at.History {
		r.keep(p.Offset, r.encode(p))
	}
	for i, f := range early.ring[early.head:] {
		r.keep(early.first+uint64(i), f)
	}
	r.at = Position{at.Epoch, max(at.Offset, r.at.Offset)}
}

// Deliver implements Subscriber: the broker calls it, and nobody else.
func (r *Room) Deliver(p Publication) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	var f Frames
	now := time.Now()                     // until Now has returned
	defer func() { r.enter(p, f, now) }() // whatever the functions of Config do
	f[0] = r.encode(p)
	for d := Dialect(1); d < Dialects; d++ {
		if r.on.speak(d) {
			f[d] = r.translate(d, f[0])
		}
	}
	now = r.hub.cfg.Now()
}

// enter keeps the message of an offset and posts it to the members. What a function of
// Config has not made, having ended its goroutine, is what it would have been made of.
// r.mu is held.
func (r *Room) enter(p Publication, f Frames, now time.Time) {
	if f[0] == nil {
		f[0] = prepare(p.Op, p.Payload)
	}
	for d := Dialect(1); d < Dialects; d++ {
		if f[d] == nil && r.on.speak(d) {
			f[d] = f[0]
		}
	}
	r.keep(p.Offset, f[0])
	r.at.Offset = p.Offset
	r.latest.Store(now.UnixNano())
	d := &Delivery{hub: r.hub, frames: f, room: r, kept: true}
	if o := p.order; o != nil {
		d.queued, d.done, d.cost = true, o.taken, o.cost
		d.except = o.except
		o.placed, o.receipt = true, Receipt{r.at, r.count()}
		r.hub.published.Add(1)
	}
	if d.post(r.on.loops()) && p.order != nil {
		p.order.over = d
	}
}

// Reset implements Subscriber.
func (r *Room) Reset(at Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hub.historyBytes.Add(-int64(r.history.clear()))
	r.at = at
}

func (r *Room) encode(p Publication) *frame.Prepared {
	return prepare(p.Op, r.hub.cfg.Encode(nil, r.id, p.Offset, p.Payload))
}

// prepare is frame.Prepare for what has its place in the order already, and must be
// sent: from another node, or made by a function of Config. Text is mended, as
// encoding/json mends it.
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

// keep puts the message of an offset into the history. r.mu is held.
func (r *Room) keep(offset uint64, f *frame.Prepared) {
	c := &r.hub.cfg
	r.hub.historyBytes.Add(int64(r.history.push(offset, f, c.MaxHistory, c.MaxHistoryBytes)))
}

func (r *Room) translate(d Dialect, f *frame.Prepared) *frame.Prepared {
	return prepare(f.Opcode(), r.hub.cfg.Translate(nil, d, r.id, f.Payload()))
}

// Send sends a message without an offset, which no history keeps. By its class
// it may be left out for members that do not keep up. Members see what one
// goroutine publishes and sends in that order. Errors: ErrNotFound when the room
// is deleted, ErrQueueFull when loops do not keep up, f.Err.
func (r *Room) Send(f Frames, class Class, except ...Member) error {
	if err := f.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrNotFound
	}
	return r.send(f, class, except)
}

// send posts f to the members. r.mu is held. Error: ErrQueueFull.
func (r *Room) send(f Frames, class Class, except []Member) error {
	if f == (Frames{}) || len(r.on) == 0 {
		return nil
	}
	cost := r.hub.take(f.size())
	if cost == 0 {
		return ErrQueueFull
	}
	r.hub.post(&Delivery{hub: r.hub, room: r, frames: f, class: class, except: excluding(except), cost: cost}, r.on.loops())
	return nil
}

// post posts a delivery that nobody waits for.
func (h *Hub) post(d *Delivery, loops []uint32) {
	if d.post(loops) {
		d.finish()
	}
}
