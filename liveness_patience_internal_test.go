//go:build linux

package perch

import (
	"errors"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/closing"
	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/internal/wstest"
)

// TestMessageSizeAndRate: the rate of a server, a route or a dial lets its longest
// message through, or the error names both.
func TestMessageSizeAndRate(t *testing.T) {
	const none, refused = math.MaxInt, -1
	for _, tt := range []struct {
		server Config
		route  Settings
		bytes  int // of the route; refused: by one of the two
	}{
		{Config{}, Settings{}, 1 << 20},
		{Config{MaxMessageSize: 8 << 20}, Settings{}, 8 << 20},
		{Config{MaxMessageSize: -1}, Settings{}, none},
		{Config{MaxMessageSize: -1, Rate: Rate{Bytes: 4096}}, Settings{}, 4096},
		{Config{MaxMessageSize: 8 << 20, Rate: Rate{Bytes: -1}}, Settings{}, none},
		{Config{MaxMessageSize: 8 << 20, Rate: Rate{Bytes: 8 << 20}}, Settings{}, 8 << 20},
		{Config{MaxMessageSize: 8 << 20, Rate: Rate{Bytes: 8<<20 - 1}}, Settings{}, refused},
		{Config{Rate: Rate{Bytes: 10}}, Settings{}, 10}, // what one read takes passes at any rate
		{Config{}, Settings{MaxMessageSize: 8 << 20}, 8 << 20},
		{Config{}, Settings{MaxMessageSize: 8 << 20, Rate: Rate{Bytes: 1 << 20}}, refused},
		{Config{MaxMessageSize: 8 << 20}, Settings{Rate: Rate{Bytes: 1 << 20}}, refused},
		{Config{MaxMessageSize: 8 << 20}, Settings{MaxMessageSize: 1 << 20, Rate: Rate{Bytes: 1 << 20}}, 1 << 20},
		{Config{}, Settings{Rate: Rate{Bytes: 10}}, 10},
	} {
		c, err := tt.server.withDefaults()
		var s Settings
		if err == nil {
			s, err = tt.route.resolve(&c)
		}
		switch {
		case tt.bytes == refused:
			if err == nil || !strings.Contains(err.Error(), "Rate.Bytes") || !strings.Contains(err.Error(), "MaxMessageSize") {
				t.Errorf("%+v in %d, %d: %v, want an error that names both", tt.route, tt.server.MaxMessageSize, tt.server.Rate.Bytes, err)
			}
		case err != nil || s.Rate.Bytes != tt.bytes:
			t.Errorf("%+v in %d, %d: %d bytes a second, %v; want %d", tt.route, tt.server.MaxMessageSize, tt.server.Rate.Bytes, s.Rate.Bytes, err, tt.bytes)
		}
	}
}

// TestDialHasNoRate: our limits are for clients of ours: a server that we have
// dialled may send as it likes, unless the dial itself says otherwise.
func TestDialHasNoRate(t *testing.T) {
	const messages = 1000
	send := func(p *peer) {
		for n := range messages {
			p.send(frame.AppendFrame(nil, Binary, make([]byte, 4<<10)))
			if n%16 == 0 {
				p.d.turn()
			}
		}
		p.d.turns(3)
	}
	got := 0
	h := Handler{OnMessage: func(Conn, Opcode, []byte) { got++ }}
	d := drive(t, Config{Rate: Rate{Messages: 10, Burst: 20, Bytes: 70 << 10}}, func(*Server) {})
	p := d.dialled(h)
	if send(p); p.state() != stateOpen || got != messages || d.l.stats.RateLimited != 0 {
		t.Errorf("%d messages of %d, state %v", got, messages, p.state())
	}
	for _, r := range []Rate{{Messages: 10, Burst: 20}, {Bytes: 70 << 10}} {
		got, h.Rate = 0, r
		before := d.l.stats.RateLimited
		p := d.dialled(h)
		if send(p); p.state() == stateOpen || d.l.stats.RateLimited != before+1 || got == 0 {
			t.Errorf("with %+v %d messages, state %v", r, got, p.state())
		}
	}
}

// TestHandshakeTimeoutIsOne: it does not begin anew with each phase.
func TestHandshakeTimeoutIsOne(t *testing.T) {
	const timeout = time.Hour // nothing real comes near it
	for from := range closing.States {
		for e := range closing.Events {
			to, _ := closing.Next(from, e, 0)
			if again := restarts(from, to); again == (from.Opening() && to.Opening()) {
				t.Errorf("%v to %v: the time begins anew: %v", from, to, again)
			}
		}
	}
	t.Run("PROXY and TLS", func(t *testing.T) {
		d := drive(t, Config{}, func(*Server) {})
		fds := pair(t)
		defer sock.Close(fds[1])
		i, s, err := d.l.adopt(fds[0], closing.ProxyAccepted, flagIn)
		if err != nil {
			t.Fatal(err)
		}
		d.srv.connections.Add(1)
		s.see(1)
		d.pass(timeout)
		d.l.clock()
		s.flags |= flagTLS
		for _, e := range []closing.Event{closing.ProxyRead, closing.Secured} {
			if d.l.step(i, s, e, why{}); s.seen() != 1 {
				t.Errorf("%v: the time of %v begins anew", e, s.state)
			}
		}
		if d.l.step(i, s, closing.Opened, why{}); s.seen() == 1 {
			t.Errorf("the time of %v does not begin", s.state)
		}
		d.l.abort(i, s, ErrShutdown)
	})
	t.Run("blocking", func(t *testing.T) {
		decide := make(chan bool)
		d := drive(t, Config{Workers: 1, HandshakeTimeout: timeout}, func(srv *Server) {
			srv.HandleBlocking("/ws", BlockingHandler{OnUpgrade: func(*Request) Response { <-decide; return Response{} }})
		})
		p := d.join(0)
		d.pass(timeout * 3 / 4)
		p.send(wstest.Request("test", "/ws"))
		d.turns(2)
		if p.state() != stateDeciding {
			t.Fatalf("state %v", p.state())
		}
		d.pass(timeout / 2)
		d.turns(2)
		p.read()
		if !strings.HasPrefix(string(p.got), "HTTP/1.1 408 ") {
			t.Errorf("state %v after one and a quarter; answered %q", p.state(), p.got)
		}
		close(decide)
		p.close()
		wstest.Eventually(t, "it is gone", func() bool { d.turn(); return p.state() == stateFree })
	})
	t.Run("dial", func(t *testing.T) {
		var cause error
		d := drive(t, Config{HandshakeTimeout: timeout}, func(*Server) {})
		p := d.connecting(Handler{OnClose: func(_ Conn, err *CloseError) { cause = err }})
		d.pass(timeout * 3 / 4)
		d.turn()
		if p.state() != stateAnswer {
			t.Fatalf("state %v", p.state())
		}
		d.pass(timeout / 2)
		d.turns(2)
		if p.state() != stateFree || !errors.Is(cause, ErrDial) || !errors.Is(cause, os.ErrDeadlineExceeded) {
			t.Errorf("state %v after one and a quarter: %v", p.state(), cause)
		}
	})
}

// TestSteadyUpload: a long message may take as long as it comes on; one that only
// drips may not, and one of the default size has MessageTimeout in all.
func TestSteadyUpload(t *testing.T) {
	const timeout = time.Hour
	whole := make([]byte, 8*messageStep)
	for _, tt := range []struct {
		name string
		step int // bytes in nearly the timeout
		ok   bool
	}{
		{"steady", messageStep + 256, true},
		{"in one piece", 2 * len(whole), true},
		{"too slow", messageStep / 4, false},
		{"a byte", 1, false},
	} {
		for _, fragments := range []int{1, 64} {
			got := 0
			d := drive(t, Config{MessageTimeout: timeout, MaxMessageSize: len(whole), PingInterval: -1}, func(srv *Server) {
				srv.Handle("/ws", Handler{OnMessage: func(_ Conn, _ Opcode, p []byte) { got = len(p) }})
			})
			p := d.open(0)
			var b []byte
			for n := range fragments {
				part := whole[n*len(whole)/fragments : (n+1)*len(whole)/fragments]
				op := frame.OpContinuation
				if n == 0 {
					op = Binary
				}
				h := frame.Header{Fin: n == fragments-1, Opcode: op, Masked: true, Key: 7, Length: int64(len(part))}
				b = append(frame.AppendHeader(b, h), make([]byte, len(part))...)
			}
			for first := true; len(b) > 0 && p.state() == stateOpen; first = false {
				n := min(tt.step, len(b))
				if first {
					n = min(n+100, len(b)) // with something of the message
				}
				p.send(b[:n])
				b = b[n:]
				d.turns(n>>16 + 2)
				if len(b) > 0 {
					d.pass(timeout * 9 / 10)
					d.turn()
				}
			}
			if tt.ok && (got != len(whole) || p.state() != stateOpen) || !tt.ok && (p.state() == stateOpen || d.l.stats.MessageTimeouts != 1) {
				t.Errorf("%s, %d fragments: %d bytes came, state %v, %d timeouts", tt.name, fragments, got, p.state(), d.l.stats.MessageTimeouts)
			}
		}
	}
}

// TestClosingUnderPressure: a peer that takes its output a little at a time has
// time to close, but relieve ends it while the process's output is at its bound.
func TestClosingUnderPressure(t *testing.T) {
	const timeout, size = time.Hour, 256 << 10
	for _, total := range []int64{size + 16<<10, 16 * size} {
		var cause *CloseError
		d := drive(t, Config{CloseTimeout: timeout, MaxOutput: 2 * size, MaxOutputTotal: total, WriteTimeout: -1, PingInterval: -1}, func(srv *Server) {
			srv.Handle("/ws", Handler{
				OnMessage: func(c Conn, _ Opcode, _ []byte) {
					c.Send(Binary, make([]byte, size))
					c.Close(CloseNormal, "")
				},
				OnClose: func(_ Conn, err *CloseError) { cause = err },
			})
		})
		p := d.open(4096)
		p.frame(Text, []byte("go"))
		d.turn()
		if p.state() != stateClosing || d.srv.output.queued.Load() < size/2 {
			t.Fatalf("state %v, %d bytes queued", p.state(), d.srv.output.queued.Load())
		}
		for range 5 {
			var b [2048]byte
			for range 4 {
				sock.Recv(p.fd, b[:])
			}
			d.turn()
			d.pass(timeout * 4 / 10)
			d.turn()
		}
		pressed := total < 2*size
		if ended := p.state() != stateClosing; ended != pressed || ended != (cause != nil) {
			t.Errorf("a bound of %d: state %v, %v", total, p.state(), cause)
		}
	}
}
