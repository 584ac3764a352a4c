//go:build linux

package perch

import (
	"bytes"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// kind is which handler serves the connection of a run of FuzzClose.
type kind byte

const (
	onLoop   kind = iota
	dropping      // with OnGap
	blocking      // on the worker pool
	dialled       // we are the client
	kinds
)

// play is one run: a connection, its peer, and what both of them do.
type play struct {
	*driven
	kind   kind
	peer   *peer
	route  *Route
	room   *room.Room
	masked bool // what the peer sends
	opened atomic.Int32
	closed atomic.Int32
	held   []byte // the rest of a frame that was cut
}

// timeouts are such that a silent peer is rid of within deadline.
const deadline = 3 * time.Minute

func newPlay(t *testing.T, k kind) *play {
	y := &play{kind: k, masked: k != dialled}
	cfg := Config{MaxOutput: 64 << 10, MaxMessageSize: 100 << 10, MaxFragments: 20, Workers: 1, Rate: unlimitedRate}
	y.driven = drive(t, cfg, func(srv *Server) {
		switch k {
		case onLoop, dropping, dialled:
			y.route = srv.Handle("/ws", y.handler())
		case blocking:
			y.route = srv.HandleBlocking("/ws", BlockingHandler{
				OnOpen:    func(Ref, *Request) { y.opened.Add(1) },
				OnMessage: func(c Ref, op Opcode, p []byte) { y.obey(c, op, p) },
				OnClose:   func(Ref, *CloseError) { y.closed.Add(1) },
			})
		}
	})
	y.room, _ = y.srv.rooms.Create("room", room.Options{})
	y.peer = y.join(4096)
	return y
}

// unlimitedRate lets the script say as much as it likes.
var unlimitedRate = Rate{Messages: -1, Burst: -1, Bytes: -1}

func (y *play) handler() Handler {
	h := Handler{
		OnOpen:    func(Conn, *Request) { y.opened.Add(1) },
		OnMessage: func(c Conn, op Opcode, p []byte) { y.obey(c, op, p) },
		OnPong:    func(c Conn, _ time.Duration) { c.SendText("pong") },
		OnDrain:   func(c Conn) { c.SendText("drained") },
		OnClose: func(c Conn, err *CloseError) {
			y.closed.Add(1)
			if c.Send(Text, nil) != ErrClosed || c.Close(CloseNormal, "") != ErrClosed {
				y.t.Error("a closed connection takes a message")
			}
			if err.Code == CloseNormal {
				panic("in OnClose")
			}
		},
	}
	if y.kind == dropping {
		h.OnGap = func(c Conn, n int) {
			if n <= 0 {
				y.t.Errorf("a gap of %d", n)
			}
			c.SendText("gap")
		}
	}
	return h
}

// sender is what Conn and Ref have in common.
type sender interface {
	Send(Opcode, []byte) error
	Close(CloseCode, string) error
}

// obey does what a message says.
func (y *play) obey(c sender, op Opcode, p []byte) {
	switch p = append(p, 0); p[0] & 7 {
	case 0, 1:
		c.Send(op, p[:len(p)-1])
	case 2:
		c.Send(Binary, make([]byte, 40<<10))
	case 3:
		c.Close(CloseNormal, "asked to")
	case 4:
		c.Send(Text, nil)
		c.Close(4000, "")
		c.Close(4001, "twice")
		c.Send(Text, nil)
	case 5:
		c.Close(CloseGoingAway, "")
		panic("closing")
	case 6:
		panic("asked to")
	}
}

// handshake lets the peer ask, or answer if we are the client.
func (y *play) handshake() {
	if y.kind != dialled {
		y.peer.send(wstest.Request("test", "/ws"))
		return
	}
	// The slot that join made becomes a dialled one: as dial and connect leave it.
	s := y.l.slab.at(y.peer.slot)
	if s.state != stateHandshake || s.flags&flagClient != 0 {
		return
	}
	route, err := y.srv.dialRoute(y.handler())
	if err != nil {
		y.t.Fatal(err)
	}
	y.route = route
	dial := newDialing(route, handshake.NewKey())
	s.state = stateConnecting
	s.setRoute(route.index)
	s.flags |= flagClient | flagOut
	y.l.slab.thaw(s).dial = dial
	y.l.poller.Mod(int(s.fd), y.l.token(y.peer.slot, s), interestOf(s.flags))
	y.turn()
	y.peer.send(wstest.Switching(dial.key))
}

// frame has the peer send one frame, or cut it and hold the rest back.
func (y *play) frame(h frame.Header, p []byte, cut int) {
	h.Masked, h.Key, h.Length = y.masked, 0x0A0B0C0D, int64(len(p))
	b := append(frame.AppendHeader(nil, h), p...)
	if h.Masked {
		frame.Mask(b[len(b)-len(p):], h.Key, 0)
	}
	b = append(y.held, b...)
	cut = min(cut, len(b))
	y.held = bytes.Clone(b[len(b)-cut:])
	y.peer.send(b[:len(b)-cut])
}

// closePayloads are legal and illegal ones.
var closePayloads = [][]byte{nil, {3}, {3, 232}, {3, 233, 'x'}, {3, 237}, {3, 232, 0xFF}, {15, 160}, {0, 0}}

// step does what two bytes of a script say.
func (y *play) step(op, arg byte) {
	n := int(arg)
	switch op % 24 {
	case 0, 1:
		y.frame(frame.Header{Fin: true, Opcode: Binary}, bytes.Repeat([]byte{arg}, 1+n/8), 0)
	case 2:
		y.frame(frame.Header{Fin: true, Opcode: Text}, []byte{arg, arg & 0x7F}, n%5)
	case 3:
		y.frame(frame.Header{Fin: true, Opcode: frame.OpPing}, make([]byte, n%126), 0)
	case 4:
		y.frame(frame.Header{Fin: true, Opcode: frame.OpPong}, make([]byte, n%126), 0)
	case 5, 6:
		y.frame(frame.Header{Fin: true, Opcode: frame.OpClose}, closePayloads[n%len(closePayloads)], n>>6)
	case 7: // against the rules, most of them
		y.frame(frame.Header{Fin: arg&1 == 0, Rsv: arg & 7, Opcode: Opcode(arg >> 4)}, []byte("?"), 0)
	case 8:
		y.frame(frame.Header{Opcode: Binary}, make([]byte, n*10), 0)
	case 9:
		y.frame(frame.Header{Fin: arg&1 == 0, Opcode: frame.OpContinuation}, make([]byte, n*100), 0)
	case 10:
		y.peer.send(y.held)
		y.held = nil
	case 11:
		if y.peer.fd >= 0 {
			unix.Shutdown(y.peer.fd, unix.SHUT_WR)
		}
	case 12:
		if arg < 64 {
			y.peer.close()
		}
	case 13:
		y.peer.read()
	case 14:
		y.pass(time.Duration(n) * 40 * time.Millisecond)
		y.turn()
	case 15:
		y.peer.conn().Close(CloseCode(1000+n), "by the application")
	case 16:
		y.peer.conn().Send(Binary, make([]byte, n*300))
	case 17:
		y.peer.conn().Join(y.room, room.JoinOptions{}) // if it is open, and not in it
		y.room.Send(room.Frames{Prepare(Text, make([]byte, n*100))}, room.ClassMessage)
	case 18:
		y.peer.conn().Ref().Do(func(c Conn) { y.obey(c, Text, []byte{arg}) })
	case 19:
		y.peer.conn().Ref().Close(4002, "from elsewhere")
	case 20:
		if arg < 24 {
			y.l.shutdown()
		}
	case 21:
		if arg < 8 {
			y.l.abortAll()
		}
	case 22:
		y.handshake()
	default:
		y.turn()
	}
}

// check is true between any two steps.
func (y *play) check() {
	y.t.Helper()
	var queued int64
	y.l.each(func(i uint32, s *slot) {
		if c := y.l.slab.coldOf(s); c != nil {
			queued += int64(c.out.Queued())
		}
	})
	if queued != y.l.outgoing.queued {
		y.t.Fatalf("%d bytes are queued, %d counted", queued, y.l.outgoing.queued)
	}
	if y.l.cork.of != noSlot || y.l.calling.current != noSlot || len(y.l.cork.buf) != 0 {
		y.t.Fatalf("the cork is left behind: of %d, %d bytes", y.l.cork.of, len(y.l.cork.buf))
	}
}

// finish leaves a silent peer alone until it is rid of.
func (y *play) finish() {
	y.t.Helper()
	for left := deadline; left > 0 && y.l.slab.live > 0; left -= time.Second {
		y.peer.read()
		y.turn()
		y.pass(time.Second)
		y.check()
	}
	if y.kind == blocking { // the handlers take real time
		wstest.Eventually(y.t, "nothing is left", func() bool { y.turn(); return y.l.slab.live == 0 })
	}
	if y.l.slab.live > 0 {
		y.t.Fatalf("a silent peer is still there after %v: state %v", deadline, y.peer.state())
	}
	y.turn() // the account of the last one
	y.gone()
	want := y.opened.Load()
	if y.kind == dialled && y.l.stats.Opened == 0 {
		want = y.closed.Load() // of a failed dial OnClose tells, without OnOpen
	}
	if y.opened.Load() > 1 || y.closed.Load() != want {
		y.t.Errorf("OnOpen was called %d times, OnClose %d", y.opened.Load(), y.closed.Load())
	}
	y.heard()
}

// heard checks what the peer was sent: frames, a close frame last.
func (y *play) heard() {
	y.t.Helper()
	y.peer.read()
	b := y.peer.got
	if i := bytes.Index(b, []byte("\r\n\r\n")); i >= 0 && (bytes.HasPrefix(b, []byte("HTTP/1.1 101 ")) || bytes.HasPrefix(b, []byte("GET "))) {
		y.peer.got = b[i+4:]
	} else {
		return // refused, or never asked
	}
	for closed := false; len(y.peer.got) > 0; {
		h, _, ok := y.peer.next()
		if closed {
			y.t.Fatalf("a frame behind the close frame: %v", h)
		}
		if !ok {
			return // cut off
		}
		if h.Masked == y.masked {
			y.t.Fatalf("masked: %v", h.Masked)
		}
		closed = h.Opcode == frame.OpClose
	}
}

// FuzzClose plays random scripts on a whole loop. In race builds an event that the table of
// package closing does not allow panics (step); in all of them every connection must
// come to its end, once, with nothing left.
func FuzzClose(f *testing.F) {
	open := []byte{22, 0, 23, 0, 23, 0}
	for k := range byte(kinds) {
		for _, script := range [][]byte{
			{},
			{5, 2, 23, 0},                      // the peer closes
			{15, 0, 23, 0, 13, 0, 5, 2, 23, 0}, // we do, it answers
			{15, 0, 5, 2, 23, 0},               // both at once
			{7, 0x30, 23, 0, 13, 0},            // a reserved opcode
			{0, 6, 23, 0, 13, 0},               // a panic
			{0, 5, 0, 5, 23, 0, 5, 2, 23, 0},   // a panic behind a close
			{11, 0, 23, 0},                     // FIN
			{12, 0, 23, 0},                     // gone
			{16, 255, 16, 255, 16, 255, 23, 0, 11, 0, 23, 0}, // FIN, and output is left
			{0, 2, 0, 2, 0, 2, 5, 2, 23, 0, 13, 0, 23, 0, 13, 0, 23, 0},
			{16, 255, 16, 255, 23, 0, 15, 0, 23, 0, 13, 0, 5, 2, 23, 0},
			{17, 255, 17, 255, 17, 255, 17, 255, 23, 0, 17, 255, 23, 0, 13, 0, 23, 0},
			{8, 9, 23, 0, 14, 255, 14, 255, 9, 0, 23, 0},
			{2, 3, 23, 0, 14, 250, 10, 0, 23, 0},
			{3, 9, 23, 0, 20, 0, 23, 0, 13, 0, 5, 3, 23, 0},
			{18, 6, 19, 0, 23, 0},
			{21, 0, 23, 0},
			{0, 3, 12, 0, 23, 0},
			{5, 1, 23, 0}, {5, 5, 23, 0}, {5, 4, 23, 0},
		} {
			f.Add(k, append(bytes.Clone(open), script...))
			f.Add(k, script)
		}
	}
	f.Fuzz(func(t *testing.T, k byte, script []byte) {
		y := newPlay(t, kind(k%byte(kinds)))
		for i := 0; i+1 < len(script) && i < 200; i += 2 {
			y.step(script[i], script[i+1])
			y.check()
		}
		y.finish()
	})
}
