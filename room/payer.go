package room

import (
	"sync"
	"sync/atomic"

	"github.com/perchws/perch/internal/ledger"
)

// Payer names who pays for what rooms keep: a user or an address, as the program tells them apart. The zero Payer is
// nobody.
//
// All histories together are bounded (Config.MaxHistoryTotal). If they are more, the payer who has the most loses
// messages, so that nobody can have the history of others dropped. A room that the program has made to stay (Options
// with neither a TTL nor a Payer) pays for its own history, and keeps it as long as there are others.
type Payer [16]byte

// histories counts what the histories of all rooms take, and who pays for it.
type histories struct {
	most  int64        // immutable
	bytes atomic.Int64 // of all

	mu      sync.Mutex // short; taken after a room's
	payers  map[Payer]*payer
	passing *ledger.Pool[*payer] // of rooms that go, and of those who fill them
	staying *ledger.Pool[*payer] // of rooms that stay
}

// payer is a Payer, or a room, with something in histories.
type payer struct {
	key     Payer // zero: of a room that pays for itself
	pool    *ledger.Pool[*payer]
	share   ledger.Share[*payer]
	charges []*charge
	looked  int // of charges, by victim: the next time it goes on from there
}

// charge is what somebody pays for in one room. It changes with the locks of the room and of the histories held.
type charge struct {
	payer *payer
	room  *Room
	bytes int
	place int // in payer.charges
}

// chargeCost is what a payer and its charge take, beside the messages.
const chargeCost = 320

func newHistories(most int64) histories {
	return histories{
		most: most, payers: make(map[Payer]*payer),
		passing: ledger.NewPool[*payer](-1), staying: ledger.NewPool[*payer](-1),
	}
}

// stays reports that the room is the program's own.
func (o *Options) stays() bool { return o.TTL <= 0 && o.Payer == Payer{} }

// chargeOf returns who pays for a message of by's in the room. Both locks are held.
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

// pay counts n bytes more. Both locks are held.
func (hs *histories) pay(c *charge, n int) {
	c.bytes += n
	hs.bytes.Add(int64(n))
	c.payer.pool.Add(&c.payer.share, int64(n))
}

// refund counts n bytes less, and lets go of a charge for nothing.
func (hs *histories) refund(c *charge, n int) {
	if hs.pay(c, -n); c.bytes == chargeCost {
		hs.pay(c, -chargeCost)
		hs.drop(c)
	}
}

// drop forgets a charge.
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
	Payers  int   // of rooms that are not the program's own; a room that pays for itself is one
	Largest int64 // what one of these pays for who pay for most: nobody pays for twice as much
}

// Shares returns the figures, all of one moment. Any goroutine.
func (h *Hub) Shares() Shares {
	hs := &h.histories
	hs.mu.Lock()
	defer hs.mu.Unlock()
	s := hs.passing.Stats()
	return Shares{Bytes: hs.bytes.Load(), Limit: hs.most, Payers: s.Keys, Largest: s.Largest}
}
