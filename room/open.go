package room

import (
	"errors"

	"github.com/perchws/perch/internal/ledger"
)

// errWaiting says that a call waits for the broker. It never leaves the package.
var errWaiting = errors.New("room: waiting for the broker")

// Create makes a room, which is there until Delete, unless Options.TTL says
// otherwise. It waits for the broker, as Open does. Errors: those of Open, ErrExists.
func (h *Hub) Create(id string, o Options) (*Room, error) {
	r, made, err := h.Open(id, &o)
	if err == nil && !made {
		return nil, ErrExists
	}
	return r, err
}

// Open finds the room of an id, on whichever node it was made, or makes it with the options create; nil: it makes
// none. made: this call has made it. It waits for the broker. With Memory, which answers at once, event loops may
// call it; with other brokers they call [Shards.Open]. Errors: ErrID, ErrNotFound if there is no such room and create
// is nil, *AlikeError, ErrTooMany, ErrClosed, ErrQueueFull, and ErrUnavailable, which also wraps the broker's errors.
func (h *Hub) Open(id string, create *Options) (r *Room, made bool, err error) {
	for {
		w := &wait{create: create, over: make(chan struct{})}
		r, made, err = h.open(id, w)
		if err == errWaiting {
			w.block()
			r, err = w.room, w.err
			made = w.hasMade(r)
		}
		if err != nil {
			r = nil
		}
		if !w.again(err) {
			return r, made && err == nil, err
		}
	}
}

// again reports that Open must try again: it wanted to make the room, but waited for another call that only looked
// for it.
func (w *wait) again(err error) bool {
	return w.create != nil && !w.first && errors.Is(err, ErrNotFound)
}

// block waits for the end of a goroutine's wait. It has a deadline of its own: the hub gives up overdue rooms only
// once it is attached to loops.
func (w *wait) block() {
	if limit := w.room.hub.cfg.BrokerTimeout; limit > 0 {
		stop := w.room.hub.cfg.Clock.AfterFunc(limit, func() { w.room.giveUp(ErrTimeout) })
		defer stop()
	}
	<-w.over
}

// open is Open, except that w may wait: then the error is errWaiting.
func (h *Hub) open(id string, w *wait) (r *Room, made bool, err error) {
	if err := CheckID(id); err != nil {
		return nil, false, err
	}
	if there := h.Room(id); there != nil {
		return h.join(there, w, nil)
	}
	o := Options{Name: id}
	if w.create != nil {
		o = *w.create
		if o.Name == "" {
			o.Name = id
		}
	}
	now := h.cfg.Now()
	r = &Room{hub: h, id: id, created: now, users: make(map[*User]presence), waiting: &opening{}}
	r.looks = h.looks(id, o.Name)
	r.settings.Store(&settings{o, now})
	r.opening.Store(true)
	if there, err := h.mayOpen(r, w.create != nil); there != nil || err != nil {
		return h.join(there, w, err)
	}
	w.first = true
	h.ask(r, w, &o)
	if failed := r.failed(); failed != nil {
		return nil, false, failed
	}
	if there, err := h.list(r, w.create != nil); there != nil || err != nil { // another call was quicker
		how := Expired
		if there != nil {
			how = Left
		}
		w.first, w.made = false, r.abandon(how)
		return h.join(there, w, err)
	}
	if r.failed() == nil && r.Closed() { // another call found it through the broker, and deleted it, before it was listed
		h.unlist(r)
		return nil, false, ErrNotFound
	}
	switch err = r.await(w); {
	case err == errWaiting:
		h.watch(r)
		return r, false, err
	case err != nil:
		r.giveUp(err)
		h.unlist(r)
		return nil, false, err
	}
	return r, w.hasMade(r), err
}

// hasMade reports whether r, which is open, was made by w's call. That holds also if another call has listed r. It
// does not hold if the room that w has made is gone already and r is the next one of its id.
func (w *wait) hasMade(r *Room) bool {
	return w.first && r.made || w.made != "" && w.made == r.Position().Epoch
}

// join lets w wait for a room that is listed, if it is not open.
func (h *Hub) join(there *Room, w *wait, err error) (*Room, bool, error) {
	if there == nil || err != nil {
		return nil, false, err
	}
	if err = there.await(w); err != nil && err != errWaiting {
		if there.failed() != nil { // it has failed just now
			h.unlist(there)
		}
		return nil, false, err
	}
	return there, err == nil && w.hasMade(there), err
}

// ask asks the broker, which may be code of the application.
func (h *Hub) ask(r *Room, w *wait, o *Options) {
	returned := false
	defer func() {
		if !returned {
			r.abandon(Left)
		}
	}()
	r.waiting.due = h.due()
	if w.create == nil {
		o = nil
	}
	h.cfg.Broker.Open(r.id, o, r, r.answer)
	returned = true
}

// failed returns why the room could not be opened; nil: it is open, or this is not known yet.
func (r *Room) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == nil {
		return nil
	}
	return r.waiting.failed
}

// list makes the room known, unless there is one of its id.
func (h *Hub) list(r *Room, create bool) (there *Room, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if there, err := h.mayOpenLocked(r, create); there != nil || err != nil {
		return there, err
	}
	maker := r.Options().Payer
	if h.makers.Take(ledger.Key(maker), 1) != nil {
		return nil, ErrTooMany
	}
	r.maker = maker
	h.rooms[r.id] = r
	r.listed = len(h.listed)
	h.listed = append(h.listed, r)
	h.listLooks(r)
	h.start()
	return nil, nil
}

// listLooks lists a public room under its looks, except those that other rooms have. h.mu is held.
func (h *Hub) listLooks(r *Room) {
	if r.Options().Private {
		return
	}
	for _, l := range r.looks {
		if h.alike[l] == nil {
			h.alike[l] = r
		}
	}
}

func (h *Hub) unlistLooks(r *Room) {
	for _, l := range r.looks {
		if h.alike[l] == r {
			delete(h.alike, l)
		}
	}
}

// relist lists a room again after its options have changed.
func (h *Hub) relist(r *Room, looks []uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unlistLooks(r)
	r.looks = looks
	if h.rooms[r.id] == r {
		h.listLooks(r)
	}
}

func (h *Hub) unlist(r *Room) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rooms[r.id] == r {
		delete(h.rooms, r.id)
		last := h.listed[len(h.listed)-1]
		h.listed[r.listed], last.listed = last, r.listed
		h.listed[len(h.listed)-1] = nil
		h.listed = h.listed[:len(h.listed)-1]
		h.makers.Add(ledger.Key(r.maker), -1)
	}
	h.unlistLooks(r)
}

func (h *Hub) mayOpen(r *Room, create bool) (there *Room, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mayOpenLocked(r, create)
}

// mayOpenLocked returns the room that has r's id already, or the error that forbids r. A room that another node has
// made may look like others; a new one may not.
func (h *Hub) mayOpenLocked(r *Room, create bool) (there *Room, err error) {
	switch there := h.rooms[r.id]; {
	case h.closed:
		return nil, ErrClosed
	case there != nil:
		return there, nil
	case create && h.alikeLocked(r.looks) != nil:
		return nil, &AlikeError{h.alikeLocked(r.looks)}
	case len(h.rooms) >= h.cfg.MaxRooms:
		return nil, ErrTooMany
	}
	return nil, nil
}
