//go:build race

package room

import "fmt"

// serial numbers a room's deliveries in the order in which they were posted, so that race builds notice a loop that
// carries them out in another order.
type serial struct{ n uint64 }

// next is the number of the next delivery. The room's lock is held.
func (s *serial) next() serial {
	s.n++
	return *s
}

// passed notes that a loop carries out delivery d of a room.
func (s *serial) passed(d *Delivery) {
	if d.serial.n <= s.n {
		panic(fmt.Sprintf("room %q: delivery %d is carried out after %d", d.room.id, d.serial.n, s.n))
	}
	*s = d.serial
}
