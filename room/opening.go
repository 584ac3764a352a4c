package room

import (
	"bytes"
	"container/list"
	"math"
)

// opening is the state of a room before it is open: the broker has not answered yet, and calls that need the room
// wait, in order. Under Room.mu, except due.
type opening struct {
	waits    list.List // of *wait
	bytes    int64     // the cost of the waits
	due      int64     // when the broker must have answered; 0: there is no limit
	answered bool
	removed  bool  // the room was deleted on another node, for reason
	failed   error // not nil: the room cannot be opened
	reason   string
}

// wait is one call that waits until a room is open. A publisher, a connection or a goroutine makes it.
type wait struct {
	create *Options // of a call of Open that may make the room
	first  bool     // of a call of Open: it is the one that has asked the broker
	made   string   // of a call of Open: the epoch of the room that it has made, if another call was quicker to list one

	publication Publication // of a publisher, with its order

	shards *Shards // of a connection: then runs on its loop
	member Member
	then   func(error)

	claim *claim // of a connection that waits for a place

	over chan struct{} // of a goroutine: closed at the end of the wait
	err  error         // set before over is closed

	// Under Room.mu, while the call waits.
	room *Room
	at   *list.Element
	cost int64
}

// waitCost is the size of a wait without its message, in bytes.
const waitCost = 512

// queue adds w to the waits. r.mu is held, and the room is not open. Error: ErrQueueFull.
func (r *Room) queue(w *wait) error {
	h, o := r.hub, r.waiting
	cost := waitCost + int64(len(w.publication.Payload))
	if o.waits.Len() >= h.cfg.MaxWaiting || o.bytes+cost > int64(h.cfg.MaxWaitingBytes) {
		return ErrQueueFull
	}
	if !h.reserveWaits(cost) {
		return ErrQueueFull
	}
	o.bytes += cost
	w.room, w.cost, w.at = r, cost, o.waits.PushBack(w)
	return nil
}

// reserveWaits takes bytes of Config.MaxWaitingTotal; false: there are not enough left.
func (h *Hub) reserveWaits(cost int64) bool {
	if h.waitingBytes.Add(cost) > h.cfg.MaxWaitingTotal {
		h.waitingBytes.Add(-cost)
		return false
	}
	return true
}

// unqueue removes w. r.mu is held.
func (r *Room) unqueue(w *wait) {
	r.waiting.waits.Remove(w.at)
	w.at = nil
	r.waiting.bytes -= w.cost
	r.hub.waitingBytes.Add(-w.cost)
}

// cancel forgets a wait. If its answer is on its way, the loop will not find the connection.
func (w *wait) cancel() {
	if w.claim != nil {
		w.cancelClaim()
		return
	}
	w.room.mu.Lock()
	defer w.room.mu.Unlock()
	if w.at != nil {
		w.room.unqueue(w)
	}
}

// await lets w wait for the room; nil: it is open. Errors: errWaiting when w waits, ErrQueueFull, or the reason why
// the room could not be opened.
func (r *Room) await(w *wait) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch o := r.waiting; {
	case o == nil:
		return nil
	case o.failed != nil:
		return o.failed
	}
	if err := r.queue(w); err != nil {
		return err
	}
	return errWaiting
}

// publishLater lets a publication wait for the room; false: it is open.
func (r *Room) publishLater(p Publication) bool {
	p.Payload = bytes.Clone(p.Payload)
	switch err := r.await(&wait{publication: p}); err {
	case nil:
		return false
	case errWaiting:
	default:
		p.order.settle(Outcome{Err: err})
	}
	return true
}

// answer takes the broker's answer to Open. A second answer is ignored.
func (r *Room) answer(t Topic, at Opening, err error) {
	h := r.hub
	var looks []uint64
	o := *r.settings.Load()
	if err == nil && at.Options != (Options{}) {
		if at.Options.Name != o.Name {
			looks = h.looks(r.id, at.Options.Name)
		}
		o.Options = at.Options
	}
	if !at.Created.IsZero() {
		o.created = at.Created
	}
	r.mu.Lock()
	w := r.waiting
	if w == nil || w.answered {
		r.mu.Unlock()
		return
	}
	w.answered = true
	switch {
	case w.failed != nil: // the answer comes too late
		r.mu.Unlock()
		if err == nil {
			how := Left
			if at.Made {
				how = Expired
			}
			h.cfg.call("Broker.Close", func() { t.Close(how, "") })
		}
		return
	case err == nil && w.removed:
		err = ErrNotFound
	}
	if err != nil {
		r.fail(unavailable(err))
		return
	}
	r.mu.Unlock()
	defer r.flush() // also if Encode does not return
	r.adopt(t, at, &o)
	if looks != nil {
		h.relist(r, looks)
	}
}

// adopt brings the room to the position at which the broker has it. Later messages may have been delivered already.
func (r *Room) adopt(t Topic, at Opening, o *settings) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.topic, r.made = t, at.Made
	r.census = r.census.with(t, at.Members)
	r.settings.Store(o)
	if r.at.Epoch != "" { // Reset came before the answer
		return
	}
	early, first := r.history.recent(math.MaxInt, math.MaxInt), r.history.first
	var payers []Payer
	for _, c := range r.history.payers[r.history.head:] {
		payers = append(payers, c.payer.key)
	}
	r.hub.histories.empty(r)
	r.at = Position{at.Epoch, max(at.Offset, r.at.Offset)}
	for _, p := range at.History {
		r.hub.histories.keep(r, p.Offset, r.encode(p), p.Payer)
	}
	for i, f := range early {
		if offset := first + uint64(i); offset > at.Offset {
			r.hub.histories.keep(r, offset, f, payers[i])
		}
	}
}

// flush lets all waiting calls go on, in order, and opens the room when none is left.
func (r *Room) flush() {
	returned := false
	defer func() {
		if !returned { // a function of the application has called runtime.Goexit
			r.flush()
		}
	}()
	for {
		r.mu.Lock()
		first := r.waiting.waits.Front()
		if first == nil {
			break
		}
		w := first.Value.(*wait)
		r.unqueue(w)
		r.mu.Unlock()
		w.tell(nil)
	}
	removed, reason := r.waiting.removed, r.waiting.reason
	r.waiting = nil
	r.opening.Store(false)
	if !r.closed {
		r.hub.isEmpty(r)
	}
	r.mu.Unlock()
	if removed {
		r.Removed(reason)
	}
	returned = true
}

// giveUp is fail for a room about which the broker has not answered.
func (r *Room) giveUp(why error) {
	r.mu.Lock()
	if o := r.waiting; o == nil || o.answered || o.failed != nil {
		r.mu.Unlock()
		return
	}
	r.fail(why)
}

// fail ends a room that cannot be opened: all calls that wait for it get the error. r.mu is held, and released.
func (r *Room) fail(why error) {
	o := r.waiting
	o.failed = why
	r.closed = true
	r.hub.histories.empty(r)
	var all []*wait
	for e := o.waits.Front(); e != nil; e = o.waits.Front() {
		w := e.Value.(*wait)
		r.unqueue(w)
		all = append(all, w)
	}
	r.mu.Unlock()
	r.hub.unlist(r)
	for _, w := range all {
		w.tell(why)
	}
}

// abandon ends a room that could not be listed. It closes the topic that the broker has opened. made is the epoch if
// this opening had made the room; else "".
func (r *Room) abandon(how Ending) (made string) {
	r.mu.Lock()
	t := r.topic
	if r.made {
		made = r.at.Epoch
	}
	r.closed = true
	if t == nil && r.waiting.failed == nil {
		r.waiting.failed = ErrNotFound
	}
	r.mu.Unlock()
	r.hub.isGone(r)
	defer func() { // also if the broker does not return
		r.mu.Lock()
		defer r.mu.Unlock()
		r.hub.histories.empty(r)
	}()
	if t != nil {
		r.hub.cfg.call("Broker.Close", func() { t.Close(how, "") })
	}
	return made
}

// tell ends a wait: the room is open, or err says why it cannot be opened.
func (w *wait) tell(err error) {
	switch {
	case w.publication.order != nil:
		if err != nil {
			w.publication.order.settle(Outcome{Err: err})
			return
		}
		w.room.order(w.publication)
	case w.shards != nil:
		_ = w.room.hub.loops[w.member.Loop].Do(w.member, func() { // a loop that has ended has no connections
			w.shards.forget(w)
			w.then(err)
		})
	default:
		w.err = err
		close(w.over)
	}
}

// Reset implements Subscriber.
func (r *Room) Reset(at Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hub.histories.empty(r)
	r.at = at
}

// Changed implements Subscriber.
func (r *Room) Changed(o Options) {
	if o.Name == "" {
		o.Name = r.id
	}
	looks := r.hub.looks(r.id, o.Name)
	r.settings.Store(&settings{o, r.Created()})
	r.hub.relist(r, looks)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed && r.waiting == nil && r.count() == 0 {
		r.hub.isEmpty(r)
	}
}

// Removed implements Subscriber.
func (r *Room) Removed(reason string) {
	r.mu.Lock()
	if o := r.waiting; o != nil {
		o.removed, o.reason = true, reason
		r.mu.Unlock()
		return
	}
	r.mu.Unlock()
	_ = r.close(reason, func() { r.hub.unlist(r) }) // unless it is closed already
}
