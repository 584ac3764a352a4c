//go:build !race

package room

// serial is empty: race builds alone look at the order of deliveries.
type serial struct{}

func (serial) next() serial     { return serial{} }
func (serial) passed(*Delivery) {}
