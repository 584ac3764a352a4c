package room

import (
	"cmp"
	"container/list"
	"slices"
)

// flight is a publish that the broker has taken and did not settle at once.
type flight struct {
	order *order
	due   int64 // 0: there is no limit
}

// due returns the deadline for an answer to a call that the broker gets now; 0: there is none.
func (h *Hub) due() int64 {
	if h.cfg.BrokerTimeout <= 0 {
		return 0
	}
	return after(h.cfg.Clock.Now(), h.cfg.BrokerTimeout)
}

// fly notes an order that is not settled yet.
func (r *Room) fly(o *order) {
	due := r.hub.due()
	r.mu.Lock()
	flying := o.state.Or(orderFlying)&orderSettled == 0
	if flying {
		if r.flights == nil {
			r.flights = list.New()
		}
		o.flight = r.flights.PushBack(flight{o, due})
	}
	first := flying && r.flights.Len() == 1
	r.mu.Unlock()
	if first {
		r.hub.watch(r)
	}
}

// land forgets an order that is settled.
func (r *Room) land(o *order) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o.flight != nil {
		r.flights.Remove(o.flight)
		o.flight = nil
	}
}

// watch lets Sweep watch a room until the broker has answered. When the hub has ended, which gives up everything, it
// gives up the room at once. No lock is held.
func (h *Hub) watch(r *Room) {
	h.owedMu.Lock()
	h.owed[r] = struct{}{}
	over := h.owedOver
	h.owedMu.Unlock()
	if over != nil {
		r.endOverdue(0, over)
	}
}

// overdue gives up calls that the broker should have answered before now. With why it gives up all calls, later ones
// too.
func (h *Hub) overdue(now int64, why error) {
	h.owedMu.Lock()
	if why != nil {
		h.owedOver = why
	}
	all := make([]*Room, 0, len(h.owed))
	for r := range h.owed {
		all = append(all, r)
	}
	h.owedMu.Unlock()
	slices.SortFunc(all, func(a, b *Room) int { return cmp.Compare(a.id, b.id) }) // so that it is the same order each time
	for _, r := range all {
		r.endOverdue(now, why)
	}
}

// endOverdue is overdue for one room.
func (r *Room) endOverdue(now int64, why error) {
	late, claims, failed := r.overdue(now, why != nil)
	if failed {
		r.giveUp(orTimeout(why))
	}
	for _, o := range late {
		o.settle(Outcome{Err: orTimeout(why)})
	}
	for _, w := range claims {
		w.tell(orTimeout(why))
	}
}

func orTimeout(why error) error {
	if why == nil {
		return ErrTimeout
	}
	return why
}

// overdue removes the orders and the waits for places whose time is over, and reports whether the time of the opening
// is over.
func (r *Room) overdue(now int64, all bool) (late []*order, claims []*wait, failed bool) {
	over := func(due int64) bool { return all || due != 0 && now >= due }
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.waiting
	owed := o != nil && !o.answered && o.failed == nil
	if owed {
		failed = over(o.due)
	}
	for r.flights != nil && r.flights.Len() > 0 {
		e := r.flights.Front()
		f := e.Value.(flight)
		if !over(f.due) {
			break
		}
		r.flights.Remove(e)
		f.order.flight = nil
		late = append(late, f.order)
	}
	claims, claimed := r.census.overdue(r, over)
	if owed && !failed || r.flights != nil && r.flights.Len() > 0 || claimed {
		return late, claims, failed
	}
	r.flights = nil
	r.hub.owedMu.Lock()
	defer r.hub.owedMu.Unlock()
	delete(r.hub.owed, r)
	return late, claims, failed
}
