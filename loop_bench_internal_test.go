//go:build linux

package perch

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/closing"
	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// The benchmarks turn one loop by hand and are their own clients, through
// socket pairs: they show what a change does to the engine, not what a network
// does. Both ends' system calls are in the figures.

// BenchmarkEcho is one message of every connection for each tick.
func BenchmarkEcho(b *testing.B) {
	for _, bb := range []struct{ conns, size int }{{1, 128}, {100, 128}, {100, 4 << 10}} {
		b.Run(fmt.Sprintf("%dx%d", bb.conns, bb.size), func(b *testing.B) {
			d := drive(b, Config{Rate: unlimitedRate, MaxConnections: bb.conns}, func(srv *Server) {
				srv.Handle("/ws", Handler{OnMessage: func(c Conn, op Opcode, p []byte) { c.Send(op, p) }})
			})
			var peers []*peer
			for range bb.conns {
				peers = append(peers, d.open(0))
			}
			message := frame.AppendMaskedFrame(nil, Binary, make([]byte, bb.size), 7)
			buf := make([]byte, 2*bb.size+frame.MaxHeaderSize)
			want := len(frame.AppendFrame(nil, Binary, make([]byte, bb.size)))
			b.SetBytes(int64(bb.size))
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += bb.conns {
				for _, p := range peers {
					sock.Send(p.fd, message)
				}
				d.turn()
				for _, p := range peers {
					if n, e := sock.Recv(p.fd, buf); n != want {
						b.Fatalf("%d bytes, %v", n, e)
					}
				}
			}
		})
	}
}

// BenchmarkAccept is a connection from its first byte to its end, without TCP.
func BenchmarkAccept(b *testing.B) {
	d := drive(b, Config{}, func(srv *Server) { srv.Handle("/ws", Handler{}) })
	request := wstest.Request("test", "/ws")
	bye := frame.AppendMaskedFrame(nil, frame.OpClose, frame.AppendClose(nil, CloseNormal, ""), 7)
	buf := make([]byte, 1024)
	b.ReportAllocs()
	for b.Loop() {
		fds := pair(b)
		d.srv.connections.Add(1)
		if _, _, err := d.l.adopt(fds[0], closing.Accepted, flagIn); err != nil {
			b.Fatal(err)
		}
		sock.Send(fds[1], request)
		d.turn()
		sock.Send(fds[1], bye)
		d.turn()
		if n, _ := sock.Recv(fds[1], buf); !bytes.HasPrefix(buf[:n], []byte("HTTP/1.1 101 ")) {
			b.Fatalf("answered %q", buf[:n])
		}
		sock.Close(fds[1])
	}
}

// BenchmarkBroadcast counts deliveries.
func BenchmarkBroadcast(b *testing.B) {
	const members = 200
	for _, burst := range []int{1, 4} {
		b.Run(fmt.Sprintf("%d-a-tick", burst), func(b *testing.B) {
			d := drive(b, Config{MaxConnections: members}, func(srv *Server) { srv.Handle("/ws", Handler{}) })
			var peers []*peer
			for range members {
				peers = append(peers, d.open(0))
			}
			r := d.audience()
			message := Prepare(Text, make([]byte, 128))
			buf := make([]byte, 4<<10)
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += members * burst {
				for range burst {
					r.Send(room.Frames{message}, room.ClassMessage)
				}
				d.turn()
				for _, p := range peers {
					if n, _ := sock.Recv(p.fd, buf); n != burst*len(message.Bytes()) {
						b.Fatalf("%d bytes", n)
					}
				}
			}
		})
	}
}

// BenchmarkMailbox is a message sent through a Ref, posted and carried out; the
// connection's queue is emptied without a system call.
func BenchmarkMailbox(b *testing.B) {
	d := drive(b, Config{MaxOutput: -1}, func(srv *Server) { srv.Handle("/ws", Handler{}) })
	p := d.open(0)
	ref := p.conn().Ref()
	message := make([]byte, 128)
	b.ReportAllocs()
	const batch = 256
	for n := 0; b.Loop(); n++ {
		if err := ref.Send(Text, message); err != nil {
			b.Fatal(err)
		}
		if n%batch == batch-1 {
			d.l.drainMailbox()
			c := d.l.slab.thaw(d.l.slab.at(p.slot))
			d.l.outgoing.add(-c.out.Queued())
			c.out.Reset(&d.l.bufs)
		}
	}
	d.l.drainMailbox()
}

// BenchmarkPipelined is the engine's own time for a message of 16 that came in one
// read: parsed, handed over, answered into the cork; no system call.
func BenchmarkPipelined(b *testing.B) {
	d := drive(b, Config{Rate: unlimitedRate, MaxConnections: 1}, func(srv *Server) {
		srv.Handle("/ws", Handler{OnMessage: func(c Conn, op Opcode, p []byte) { c.Send(op, p) }})
	})
	d.open(0)
	l := d.l
	s := l.slab.at(0)
	r := l.routeOf(s)
	var input []byte
	for range 16 {
		input = frame.AppendMaskedFrame(input, Binary, make([]byte, 128), 0) // key 0: unmasked it is the same
	}
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += 16 {
		l.cork.of, l.cork.slot = 0, s
		if rest, err := l.wholeMessages(r, input); len(rest) > 0 || err != nil {
			b.Fatal(len(rest), err)
		}
		l.cork.buf = l.cork.buf[:0]
	}
	l.cork.of = noSlot
}
