package room

import (
	"sync"
	"sync/atomic"

	"github.com/perchws/perch/internal/ledger"
)

// Payer names the user or address that pays for memory of rooms, as the program tells them apart. The zero Payer is
// nobody.
//
// All histories together are bounded (Config.MaxHistoryTotal). If they are larger, the payer who has the most loses
// messages, so that nobody can have the history of others dropped. A room that the program has made to stay (Options
// with neither a TTL nor a Payer) pays for its own history, and loses none as long as other rooms have some.
type Payer [16]byte

// histories counts the bytes of all histories, and who pays for them.
type histories struct {
	most  int64        // immutable
	bytes atomic.Int64 // of all

	mu      sync.Mutex // short; taken after a room's
	payers  map[Payer]*payer
	passing *ledger.Pool[*payer] // histories of rooms that may go
	staying *ledger.Pool[*payer] // of rooms that stay
}

// payer is a Payer, or a room that pays for itself, and its part of the histories.
type payer struct {
	key     Payer // zero: a room that pays for itself
	pool    *ledger.Pool[*payer]
	share   ledger.Share[*payer]
	charges []*charge
	looked  int // the charge at which victim begins next time
}

// charge is a payer's part of one room's history. It changes under the locks of the room and of the histories.
type charge struct {
	payer *payer
	room  *Room
	bytes int
	place int // in payer.charges
}

// chargeCost is the size of a payer and its charge, without the messages.
const chargeCost = 320

func newHistories(most int64) histories {
	return histories{
		most: most, payers: make(map[Payer]*payer),
		passing: ledger.NewPool[*payer](-1), staying: ledger.NewPool[*payer](-1),
	}
}

// stays reports whether the room is one of the program's own.
func (o *Options) stays() bool { return o.TTL <= 0 && o.Payer == Payer{} }

// chargeOf returns the charge for a message of by in the room. Both locks are held.
func (hs *histories) chargeOf(r *Room, by Payer) *charge {
	o := &r.settings.Load().Options
	switch {
	case o.stays():
		by = Payer{}
	case by == (Payer{}):
		by = o.Payer
	}
	if c := r.charges[by]; c != nil {
		return c
	}
	p := hs.payers[by]
	if p == nil {
		p = &payer{key: by, pool: hs.passing}
		if o.stays() {
			p.pool = hs.staying
		}
		p.share.Owner = p
		if by != (Payer{}) {
			hs.payers[by] = p
		}
	}
	c := &charge{payer: p, room: r, place: len(p.charges)}
	p.charges = append(p.charges, c)
	if r.charges == nil {
		r.charges = make(map[Payer]*charge)
	}
	r.charges[by] = c
	hs.pay(c, chargeCost)
	return c
}

// pay adds n bytes to a charge. Both locks are held.
func (hs *histories) pay(c *charge, n int) {
	c.bytes += n
	hs.bytes.Add(int64(n))
	c.payer.pool.Add(&c.payer.share, int64(n))
}

// refund takes n bytes from a charge, and drops a charge without bytes.
func (hs *histories) refund(c *charge, n int) {
	if hs.pay(c, -n); c.bytes == chargeCost {
		hs.pay(c, -chargeCost)
		hs.drop(c)
	}
}

// drop removes a charge.
func (hs *histories) drop(c *charge) {
	p := c.payer
	delete(c.room.charges, p.key)
	last := p.charges[len(p.charges)-1]
	p.charges[c.place], last.place = last, c.place
	p.charges[len(p.charges)-1] = nil
	if p.charges = p.charges[:len(p.charges)-1]; len(p.charges) == 0 && p.key != (Payer{}) {
		delete(hs.payers, p.key)
	}
}

// Shares tells how the memory of all histories is divided.
type Shares struct {
	Bytes   int64 // of all histories
	Limit   int64 // Config.MaxHistoryTotal
	Payers  int   // of rooms that are not the program's own; a room that pays for itself counts as one
	Largest int64 // the share of one of the largest of these payers: no other pays for twice as much
}

// Shares returns the figures, all of one moment. Any goroutine may call it.
func (h *Hub) Shares() Shares {
	hs := &h.histories
	hs.mu.Lock()
	defer hs.mu.Unlock()
	s := hs.passing.Stats()
	return Shares{Bytes: hs.bytes.Load(), Limit: hs.most, Payers: s.Keys, Largest: s.Largest}
}
