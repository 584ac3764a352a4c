package room

import (
	"container/list"
	"sync"
)

// inquiries are questions to the broker that it has not answered yet, the oldest first. Config.MaxWaitingTotal bounds
// their number.
type inquiries struct {
	mu   sync.Mutex
	open list.List // of *inquiry
	over error     // not nil: the hub has ended
}

type inquiry struct {
	due  int64 // 0: there is no limit
	fail func(error)
	at   *list.Element // under inquiries.mu; nil: it is over
}

// inquire asks the broker by ask, and calls then once: with its answer, or with ErrQueueFull, ErrTimeout, ErrBroker or
// ErrClosed. No lock is held.
func inquire[T any](h *Hub, name string, ask func(answer func(T, error)), then func(T, error)) {
	var none T
	q := &inquiry{due: h.due(), fail: func(err error) { then(none, err) }}
	if err := h.inquiries.note(h, q); err != nil {
		q.fail(err)
		return
	}
	ok := h.cfg.call(name, func() {
		ask(func(v T, err error) {
			switch {
			case !h.inquiries.settled(h, q):
			case err != nil:
				q.fail(unavailable(err))
			default:
				then(v, nil)
			}
		})
	})
	if !ok && h.inquiries.settled(h, q) {
		q.fail(ErrBroker)
	}
}

// note lists an inquiry. Errors: ErrQueueFull, the reason why the hub has ended.
func (all *inquiries) note(h *Hub, q *inquiry) error {
	if !h.reserveWaits(waitCost) {
		return ErrQueueFull
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.over != nil {
		h.waitingBytes.Add(-waitCost)
		return all.over
	}
	q.at = all.open.PushBack(q)
	return nil
}

// settled ends an inquiry; false: it is over already.
func (all *inquiries) settled(h *Hub, q *inquiry) bool {
	all.mu.Lock()
	defer all.mu.Unlock()
	if q.at == nil {
		return false
	}
	all.open.Remove(q.at)
	q.at = nil
	h.waitingBytes.Add(-waitCost)
	return true
}

// overdue gives up the inquiries that the broker should have answered before now. With why it gives up all,
// later ones too.
func (all *inquiries) overdue(h *Hub, now int64, why error) {
	var late []*inquiry
	all.mu.Lock()
	if why != nil {
		all.over = why
	}
	for e := all.open.Front(); e != nil; e = e.Next() {
		q := e.Value.(*inquiry)
		if why == nil && (q.due == 0 || now < q.due) {
			break // later ones are due later
		}
		late = append(late, q)
	}
	all.mu.Unlock()
	for _, q := range late {
		if all.settled(h, q) {
			q.fail(orTimeout(why))
		}
	}
}
