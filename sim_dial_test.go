//go:build linux

package perch_test

import (
	"bytes"
	"context"

	"github.com/perchws/perch"
)

// simDialled is a connection of the simulated server with itself: one of its loops dials,
// sends messages, and wants each of them back.
type simDialled struct {
	run    *simRun
	left   int    // messages that are still to be sent
	sent   []byte // the last one, which is to come back
	opened bool
}

// dial begins one.
func (r *simRun) dial() {
	d := &simDialled{run: r, left: 1 + r.random.IntN(5)}
	r.dialled++
	h := perch.Handler{OnOpen: d.open, OnMessage: d.message, OnClose: d.close}
	err := r.Server.Dial(context.Background(), "ws://"+simAddr.String()+"/echo", h)
	if err != nil { // the server is full, or ends
		r.dialled--
		r.lost++
	}
}

func (d *simDialled) open(c perch.Conn, _ *perch.Request) {
	d.opened = true
	d.next(c)
}

// next sends a message, half of which is random, or closes the connection.
func (d *simDialled) next(c perch.Conn) {
	if d.left == 0 {
		c.Close(perch.CloseNormal, "that was all")
		return
	}
	d.left--
	n := d.run.random.IntN(3000)
	d.sent = append(d.sent[:0], bytes.Repeat([]byte("perch"), n/5)...)
	for range n {
		d.sent = append(d.sent, byte(d.run.random.Uint32()))
	}
	c.Send(perch.Binary, d.sent)
}

func (d *simDialled) message(c perch.Conn, op perch.Opcode, p []byte) {
	if op != perch.Binary || !bytes.Equal(p, d.sent) {
		d.run.fault("the echo of %d bytes is %d bytes, of kind %v, and not the same", len(d.sent), len(p), op)
	}
	d.next(c)
}

func (d *simDialled) close(_ perch.Conn, err *perch.CloseError) {
	d.run.dialled--
	switch {
	case !d.opened:
		d.run.lost++
	case d.left > 0 && !d.run.ending:
		d.run.fault("a dialled connection has ended with %d messages to be sent: %v", d.left, err)
	}
}
