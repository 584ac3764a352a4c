package wire

import "net"

// Output is what crypto/tls has written for the connection that a loop is busy with. A loop has one for all of its
// wires, and empties it before it turns to another.
type Output struct {
	B []byte // records

	// Check panics if the caller is not the loop; nil: nobody checks.
	Check func()
}

// Drain empties the output. The slice is good until the next Write of any of
// the wires.
func (o *Output) Drain() []byte {
	b := o.B
	o.B = b[:0]
	return b
}

// check is free of cost where nobody checks.
func (o *Output) check() {
	if o.Check != nil {
		o.Check()
	}
}

func (o *Output) write(p []byte) (int, error) {
	o.check()
	o.B = append(o.B, p...)
	return len(p), nil
}

// drained is the type of ErrDrained. crypto/tls gives a connection up for any error of a Read that does not say
// Temporary.
type drained struct{}

func (drained) Error() string   { return "perch: no more input yet" }
func (drained) Timeout() bool   { return true }
func (drained) Temporary() bool { return true }

// ErrDrained ends a Read on a loop that would have to wait. crypto/tls returns it as it is and, as it is temporary,
// goes on with the next Read where it was.
var ErrDrained net.Error = drained{}

// SetInput makes b what the next Reads take; nil takes it away again. b stays the caller's. Of the loop.
func (w *Wire) SetInput(b []byte) {
	w.out.check()
	w.in = b
}

// readInput is Read on a loop.
func (w *Wire) readInput(p []byte) (int, error) {
	w.out.check()
	if len(w.in) == 0 {
		return 0, ErrDrained
	}
	n := copy(p, w.in)
	w.in = w.in[n:]
	return n, nil
}
