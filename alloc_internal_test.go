//go:build linux

package perch

import (
	"bytes"
	"testing"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/closing"
	"github.com/perchws/perch/internal/owner"
	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// TestEchoAllocations: on the echo path nothing is allocated for a message, in
// whatever pieces it comes.
func TestEchoAllocations(t *testing.T) {
	if owner.Enabled {
		t.Skip("the race detector allocates")
	}
	masked := func(h frame.Header, p []byte) []byte {
		h.Masked, h.Key, h.Length = true, 0x01020304, int64(len(p))
		b := append(frame.AppendHeader(nil, h), p...)
		frame.Mask(b[len(b)-len(p):], h.Key, 0)
		return b
	}
	small := masked(frame.Header{Fin: true, Opcode: Text}, bytes.Repeat([]byte{'x'}, 128))
	large := masked(frame.Header{Fin: true, Opcode: Binary}, make([]byte, 16<<10))
	first := masked(frame.Header{Opcode: Text}, make([]byte, 1000))
	last := masked(frame.Header{Fin: true, Opcode: frame.OpContinuation}, make([]byte, 1000))
	ping := masked(frame.Header{Fin: true, Opcode: frame.OpPing}, []byte("12345678"))
	for _, tt := range []struct {
		name   string
		pieces [][]byte // each arrives in a tick of its own
		answer int      // bytes
	}{
		{"128 bytes", [][]byte{small}, 2 + 2 + 128},
		{"16 pipelined", [][]byte{bytes.Repeat(small, 16)}, 16 * (2 + 2 + 128)},
		{"16 KiB", [][]byte{large}, 4 + 16<<10},
		{"header cut", [][]byte{small[:3], small[3:]}, 2 + 2 + 128},
		{"payload cut", [][]byte{large[:9000], large[9000:]}, 4 + 16<<10},
		{"fragments", [][]byte{first, ping, last}, 2 + 8 + 4 + 2000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := drive(t, Config{Rate: unlimitedRate}, func(srv *Server) {
				srv.Handle("/ws", Handler{OnMessage: func(c Conn, op Opcode, p []byte) { c.Send(op, p) }})
			})
			p := d.open(0)
			buf := make([]byte, 64<<10)
			got := 0
			round := func() {
				for _, b := range tt.pieces {
					p.send(b)
					d.turn()
				}
				for {
					n, e := sock.Recv(p.fd, buf)
					if e != 0 || n == 0 {
						return
					}
					got += n
				}
			}
			for range 50 { // the pools fill
				round()
			}
			got = 0
			const runs = 500
			if n := testing.AllocsPerRun(runs, round); n != 0 {
				t.Errorf("%v allocations for a message", n)
			}
			if want := (runs + 1) * tt.answer; got != want {
				t.Errorf("%d bytes came back, want %d", got, want)
			}
		})
	}
}

// TestBroadcastAllocations: a message to a room allocates nothing for a receiver.
func TestBroadcastAllocations(t *testing.T) {
	if owner.Enabled {
		t.Skip("the race detector allocates")
	}
	d := drive(t, Config{}, func(srv *Server) { srv.Handle("/ws", Handler{}) })
	const members = 20
	var peers []*peer
	for range members {
		peers = append(peers, d.open(0))
	}
	r := d.audience()
	message := Prepare(Text, make([]byte, 128))
	buf := make([]byte, 1024)
	round := func() {
		for range 3 {
			r.Send(room.Frames{message}, room.ClassMessage)
		}
		d.turn()
		for _, p := range peers {
			if n, _ := sock.Recv(p.fd, buf); n != 3*len(message.Bytes()) {
				t.Fatalf("a member gets %d bytes, want %d", n, 3*len(message.Bytes()))
			}
		}
	}
	for range 20 {
		round()
	}
	if n := testing.AllocsPerRun(200, round); n > 6 { // a delivery, and the list of its loops
		t.Errorf("%v allocations for 3 messages to %d members", n, members)
	}
}

// TestConnectionAllocations bounds what a connection leaves to the collector
// from its request to its end: the request's parser, header and cause.
func TestConnectionAllocations(t *testing.T) {
	if owner.Enabled {
		t.Skip("the race detector allocates")
	}
	d := drive(t, Config{}, func(srv *Server) { srv.Handle("/ws", Handler{}) })
	request := wstest.Request("test", "/ws")
	bye := frame.AppendMaskedFrame(nil, frame.OpClose, frame.AppendClose(nil, CloseNormal, ""), 7)
	var fds [2]int
	round := func() {
		fds = pair(t)
		d.srv.connections.Add(1)
		if _, _, err := d.l.adopt(fds[0], closing.Accepted, flagIn); err != nil {
			t.Fatal(err)
		}
		sock.Send(fds[1], request)
		d.turn()
		sock.Send(fds[1], bye)
		d.turn()
		sock.Close(fds[1])
	}
	for range 2 * chunkSize {
		round()
	}
	base := testing.AllocsPerRun(100, func() {
		fds = pair(t)
		sock.Close(fds[0])
		sock.Close(fds[1])
	})
	n := testing.AllocsPerRun(500, round) - base
	t.Logf("%v allocations from request to close", n)
	if n > 4 {
		t.Errorf("%v allocations from request to close, want 4 at the most", n)
	}
	d.turn()
	d.gone()
}
