//go:build linux

package perch

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

// TestPausedClose: a connection that reading has stopped for is closed by
// us. The peer takes everything and answers: the answer must be read.
func TestPausedClose(t *testing.T) {
	var cause *CloseError
	d := drive(t, Config{MaxOutput: 64 << 10}, func(srv *Server) {
		srv.Handle("/ws", Handler{OnClose: func(_ Conn, err *CloseError) { cause = err }})
	})
	p := d.open(4096)
	for range 6 {
		p.conn().Send(Binary, make([]byte, 10<<10))
	}
	d.turn()
	if s := d.l.slab.at(p.slot); s.flags&flagPaused == 0 {
		t.Fatal("not paused: the test shows nothing")
	}
	p.frame(Text, []byte("kept while paused")) // before the answer, so in front of it
	p.conn().Close(CloseNormal, "bye")
	for range 200 {
		p.read()
		d.turn()
	}
	p.frame(frame.OpClose, frame.AppendClose(nil, CloseNormal, ""))
	d.turns(5)
	if cause == nil {
		t.Fatalf("the peer's answer is not read: state %v", p.state())
	}
	if cause.Code != CloseNormal || cause.Err != nil {
		t.Errorf("cause %v", cause)
	}
	d.gone()
}

// TestPanicWhileClosing: a handler that panics after it has closed must not
// make us read the rest of the input at the wrong place.
func TestPanicWhileClosing(t *testing.T) {
	var cause *CloseError
	d := drive(t, Config{}, func(srv *Server) {
		srv.Handle("/ws", Handler{
			OnMessage: func(c Conn, _ Opcode, p []byte) {
				c.Close(CloseNormal, "")
				panic("after close")
			},
			OnClose: func(_ Conn, err *CloseError) { cause = err },
		})
	})
	p := d.open(0)
	b := frame.AppendMaskedFrame(nil, Text, []byte("x"), 1)
	b = frame.AppendMaskedFrame(b, Binary, make([]byte, 1000), 1)
	p.send(b[:len(b)-600])
	d.turns(2)
	p.send(b[len(b)-600:])
	p.frame(frame.OpClose, frame.AppendClose(nil, CloseNormal, ""))
	p.close()
	d.turns(4)
	if cause == nil || cause.Code != CloseNormal || cause.Err != nil {
		t.Errorf("cause %v, want an ordinary close", cause)
	}
	if n := d.l.stats.ProtocolErrors; n != 0 {
		t.Errorf("%d protocol errors counted", n)
	}
	d.gone()
}

// TestTinyMaxOutput: with the smallest queue every message still gets through.
func TestTinyMaxOutput(t *testing.T) {
	d := drive(t, Config{MaxOutput: 1}, func(srv *Server) {
		srv.Handle("/ws", Handler{OnMessage: func(c Conn, op Opcode, p []byte) { c.Send(op, p) }})
	})
	p := d.open(0)
	for n := range 10 {
		// More than the cork takes, so that it goes through the outbox.
		want := bytes.Repeat([]byte{byte(n)}, 64<<10)
		p.frame(Binary, want)
		for range 8 {
			d.turn()
			p.read()
		}
		if _, got, ok := p.next(); !ok || !bytes.Equal(got, want) {
			t.Fatalf("message %d is not echoed: state %v, flags %b", n, p.state(), d.l.slab.at(p.slot).flags)
		}
	}
}

// TestDecidedAfterShutdown: an upgrade that a worker accepts when the server is
// going away already is refused, not opened behind its back.
func TestDecidedAfterShutdown(t *testing.T) {
	deciding, decide := make(chan bool), make(chan bool)
	d := drive(t, Config{Workers: 1}, func(srv *Server) {
		srv.HandleBlocking("/ws", BlockingHandler{OnUpgrade: func(*Request) Response {
			deciding <- true
			<-decide
			return Response{}
		}})
	})
	p := d.join(0)
	p.send(wstest.Request("test", "/ws"))
	d.turn()
	wstest.Receive(t, "OnUpgrade", deciding)
	d.l.shutdown()
	decide <- true
	wstest.Eventually(t, "the peer is answered", func() bool { d.turn(); p.read(); return len(p.got) > 0 })
	if !bytes.HasPrefix(p.got, []byte("HTTP/1.1 503 ")) {
		t.Fatalf("the peer reads %.60q, want 503", p.got)
	}
	p.close()
	wstest.Eventually(t, "the loop has stopped", func() bool { d.turn(); return d.l.life.stopped })
	d.gone()
}

// TestStall: after a stop of the whole process nobody is found dead who had no
// chance to answer a ping.
func TestStall(t *testing.T) {
	var cause *CloseError
	d := drive(t, Config{PingInterval: 30 * time.Second, PingTimeout: 60 * time.Second}, func(srv *Server) {
		srv.Handle("/ws", Handler{OnClose: func(_ Conn, err *CloseError) { cause = err }})
	})
	p := d.open(0)
	d.pass(10 * time.Minute)
	d.turns(3)
	p.read()
	h, payload, ok := p.next()
	if !ok || h.Opcode != frame.OpPing {
		t.Fatalf("the peer reads %v, want a ping; closed: %v", h, cause)
	}
	d.pass(20 * time.Second)
	p.frame(frame.OpPong, payload)
	d.turns(3)
	if p.state() != stateOpen {
		t.Fatalf("state %v after the pong: %v", p.state(), cause)
	}
	d.pass(35 * time.Second)
	d.turns(2)
	d.pass(35 * time.Second)
	d.turns(2)
	if p.state() == stateOpen || d.l.stats.HeartbeatTimeouts != 1 {
		t.Errorf("state %v of a silent connection", p.state())
	}
	p.close()
	d.turns(3)
	if cause == nil || cause.Code != CloseHeartbeatTimeout || !errors.Is(cause, ErrHeartbeat) {
		t.Errorf("cause %v", cause)
	}
	d.gone()
}

// TestKeptAnswer: what the peer sent while reading had stopped is kept, and its
// answer to our close may be in there. Nothing comes after it that would make
// us look again.
func TestKeptAnswer(t *testing.T) {
	answer := frame.AppendMaskedFrame(nil, Text, []byte("x"), 7)
	answer = frame.AppendMaskedFrame(answer, frame.OpClose, frame.AppendClose(nil, CloseNormal, ""), 7)
	var cause *CloseError
	closed := func(err *CloseError) { cause = err }
	check := func(t *testing.T, d *driven, p *peer) {
		t.Helper()
		wstest.Eventually(t, "the answer is read", func() bool { p.read(); d.turn(); return p.state() == stateFree })
		if cause.Code != CloseNormal || cause.Err != nil {
			t.Errorf("cause %v", cause)
		}
		d.gone()
	}
	t.Run("paused", func(t *testing.T) {
		d := drive(t, Config{MaxOutput: 64 << 10}, func(srv *Server) {
			srv.Handle("/ws", Handler{
				OnMessage: func(c Conn, op Opcode, p []byte) { c.Send(Binary, make([]byte, 80<<10)) },
				OnClose:   func(_ Conn, err *CloseError) { closed(err) },
			})
		})
		p := d.open(4096)
		p.send(answer)
		d.turn()
		if s := d.l.slab.at(p.slot); s.flags&flagPaused == 0 || d.l.slab.coldOf(s).in == nil {
			t.Fatal("not paused with input kept: the test shows nothing")
		}
		p.conn().Close(CloseNormal, "bye")
		check(t, d, p)
	})
	t.Run("lagging", func(t *testing.T) {
		running, finish := make(chan bool, 1), make(chan bool)
		done := make(chan bool, 1)
		d := drive(t, Config{Workers: 1, Rate: Rate{Messages: -1}}, func(srv *Server) {
			srv.HandleBlocking("/ws", BlockingHandler{
				OnMessage: func(c Ref, op Opcode, p []byte) {
					select {
					case running <- true:
						<-finish
						c.Close(CloseNormal, "bye")
					default:
					}
				},
				OnClose: func(_ Ref, err *CloseError) { closed(err); done <- true },
			})
		})
		p := d.open(0)
		var b []byte
		for range lagMessages {
			b = frame.AppendMaskedFrame(b, Text, []byte("x"), 7)
		}
		p.send(append(b, answer...))
		d.turn()
		s := d.l.slab.at(p.slot)
		shows := s.flags&flagLags != 0 && d.l.slab.coldOf(s).in != nil
		finish <- true
		if !shows {
			t.Fatal("not lagging with input kept: the test shows nothing")
		}
		wstest.Eventually(t, "OnClose", func() bool { d.turn(); return len(done) > 0 })
		check(t, d, p)
	})
}
