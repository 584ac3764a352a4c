//go:build linux

package perch

import "github.com/perchws/perch/room"

// roomLoop is a loop as a room.Loop. Any goroutine may call its methods.
type roomLoop struct{ l *loop }

// Post gives the loop a delivery.
func (r roomLoop) Post(d *room.Delivery) error {
	return r.l.enqueue(&post{kind: postRoom, delivery: d}, nil, false)
}

// Do runs f as a callback of a connection. Calls of rooms are not counted like those of the application: rooms bound
// how many wait for them.
func (r roomLoop) Do(m room.Member, f func()) error {
	return r.l.put(post{kind: postDo, slot: m.Slot, gen: m.Gen, do: func(Conn) { f() }}, nil)
}

// Close closes a connection.
func (r roomLoop) Close(m room.Member, code CloseCode, reason string) error {
	return Ref{r.l, m.Slot, m.Gen}.Close(code, reason)
}

// Name returns the ID of a connection.
func (r roomLoop) Name(m room.Member) string { return Ref{r.l, m.Slot, m.Gen}.ID().String() }
