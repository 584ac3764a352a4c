//go:build linux

package perch

import (
	"bytes"
	"errors"
	"testing"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/sock"
	"golang.org/x/sys/unix"
)

// TestSendPeerGone: the peer is gone, which a full cork finds out in the middle of a callback. From then on nothing is
// sent, and the program is told.
func TestSendPeerGone(t *testing.T) {
	for _, how := range []string{"Send", "SendPrepared"} {
		t.Run(how, func(t *testing.T) {
			var p *peer
			var errs []error
			var ended *CloseError
			message := make([]byte, 40<<10)
			prepared := Prepare(Binary, message)
			d := drive(t, Config{}, func(srv *Server) {
				srv.Handle("/ws", Handler{
					OnMessage: func(c Conn, _ Opcode, _ []byte) {
						c.Send(Binary, message) // into the cork
						p.close()
						for range 3 {
							if how == "Send" {
								errs = append(errs, c.Send(Binary, message))
							} else {
								errs = append(errs, c.SendPrepared(prepared))
							}
						}
					},
					OnClose: func(_ Conn, err *CloseError) { ended = err },
				})
			})
			p = d.open(0)
			p.frame(Text, []byte("go"))
			d.turns(2)
			for i, err := range errs {
				if !errors.Is(err, ErrClosed) {
					t.Errorf("message %d: %v, want ErrClosed", i, err)
				}
			}
			if len(errs) != 3 || ended == nil || ended.Code != frame.CloseAbnormal || d.l.stats.MessagesSent != 1 {
				t.Errorf("%d answers, closed with %v, %d messages sent", len(errs), ended, d.l.stats.MessagesSent)
			}
			d.gone()
		})
	}
}

// TestPongBehindClose: a ping comes when the cork is full and the process may queue nothing more. The connection is
// given up for that, and the close frame is its last: no pong follows it.
func TestPongBehindClose(t *testing.T) {
	d := drive(t, Config{MaxOutput: 8 << 10, MaxOutputTotal: 64 << 10}, func(srv *Server) {
		srv.Handle("/ws", Handler{OnMessage: func(c Conn, op Opcode, _ []byte) {
			for c.l.cork.room() > frame.MaxHeaderSize+100 {
				c.Send(op, make([]byte, 90))
			}
			c.Send(op, make([]byte, c.l.cork.room()-frame.MaxHeaderSize)) // full
		}})
	})
	p := d.open(0)
	d.srv.output.queued.Store(64 << 10)
	full := &fullKernel{Kernel: d.l.kernel, takes: 10}
	d.l.sockets.kernel = full
	p.send(append(frame.AppendMaskedFrame(nil, Binary, []byte("go"), 7), frame.AppendMaskedFrame(nil, frame.OpPing, bytes.Repeat([]byte("p"), 125), 7)...))
	d.turn()
	d.srv.output.queued.Store(d.l.outgoing.reported)
	full.takes = 1 << 30
	if s := p.state(); s != stateFailing && s != stateLingering {
		t.Fatalf("state %v: it was not given up", s)
	}
	var last Opcode
	for range 100 {
		p.read()
		for h, _, ok := p.next(); ok; h, _, ok = p.next() {
			last = h.Opcode
		}
		d.turn()
	}
	if last != frame.OpClose {
		t.Errorf("the last frame is a %v", last)
	}
}

// fullKernel is a kernel whose sockets have room for so many bytes.
type fullKernel struct {
	sock.Kernel
	takes int
}

func (k *fullKernel) Send(fd int, b []byte) (int, unix.Errno) {
	b = b[:min(len(b), k.takes)]
	if k.takes -= len(b); len(b) == 0 {
		return 0, unix.EAGAIN
	}
	return k.Kernel.Send(fd, b)
}
