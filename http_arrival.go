//go:build linux

package perch

import (
	"github.com/perchws/perch/internal/closing"
	"github.com/perchws/perch/internal/sock"
)

// takeoverArrived opens a connection whose upgrade was decided about outside. Its socket is in the pair.
func (l *loop) takeoverArrived(t *takeover) {
	l.own.Check()
	fd, ok := sock.Receive(l.http.pair)
	if !ok {
		l.stats.AcceptErrors++
		l.srv.uncount(t.counted)
		l.srv.note(&refused{kind: RefusedLimit, reason: "no descriptor was free for it", request: t.request})
		t.route.abandon(&t.response, ErrNeverOpened)
		return
	}
	i, s, err := uint32(0), (*slot)(nil), ErrShutdown
	flags := flagIn
	if t.tls != nil {
		t.tls.ToLoop(&l.tls.sealed)
		flags |= flagTLS
	}
	if !l.life.stopping {
		i, s, err = l.adopt(fd, closing.TakenOver, flags)
	}
	if err != nil {
		l.refuseTakeover(fd, t, err)
		return
	}
	l.kernel.SetBuffers(fd, l.srv.cfg.SendBuffer, l.srv.cfg.ReceiveBuffer) // it has had others
	l.doing.on(i)
	l.slab.counted.Set(i, t.counted)
	l.slab.proxied.Set(i, t.peer)
	l.stats.TakenOver++
	s.setRoute(t.route.index)
	defer l.recovered()
	if t.tls != nil {
		t.tls.stripped = false
		l.slab.tls.Set(i, t.tls)
		if len(l.tls.sealed.B) > 0 {
			l.sendRecords(i, s)
		}
		if s.state == stateClosed { // the client is gone
			t.route.abandon(&t.response, because(ErrNeverOpened, l.slab.coldOf(s).cause))
			return
		}
	}
	n := copy(l.input.buf, t.rest)
	l.answer(i, s, t.route, t.request, []byte(t.key), t.response, l.input.buf[:n])
	if t.tls != nil && s.state.Reads() && s.state != stateLingering {
		l.openRecords(i, s, t.tls, nil) // what has come with the request: no event would tell
	}
}

// refuseTakeover answers a connection that has no slot, and closes it.
func (l *loop) refuseTakeover(fd int, t *takeover, err error) {
	l.own.Check()
	no := stopping(t.request)
	b := no.append(nil)
	if t.tls != nil {
		l.srv.guard(tlsCallbackPanicked, "", func() {
			t.tls.conn.Write(b)
			t.tls.conn.CloseWrite()
		})
		b = l.tls.sealed.Drain()
	}
	l.srv.note(no)
	t.route.abandon(&t.response, because(ErrNeverOpened, err))
	l.sockets.only(fd).Send(fd, b) // it is no connection of the loop's
	l.kernel.Close(fd)
	l.srv.uncount(t.counted)
}
