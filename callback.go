//go:build linux

package perch

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/perchws/perch/internal/closing"
)

// Functions of the user may panic, or call runtime.Goexit (t.Fatal does). Both are logged with their stack, are counted
// in Stats.Panics, and end at most the connection that they were called for:
//
//	on a loop       recovered, deferred where l.calling.current is set; callClose; for a tls.Config readRecords
//	on a worker     work.call; pool.Workers replaces a goroutine that has ended
//	elsewhere       guard: upgrades within net/http, TLS handshakes
//	for rooms       package room, which tells Config.Panicked
//	for logs        logQueue
//
// runtime.Goexit cannot be stopped: it unwinds the whole goroutine. The loop's work for other connections goes on in
// deferred calls and in the next tick, and the loop itself in drive.

// errGoexit is the text that is logged for a Goexit.
const errGoexit = "runtime.Goexit: the callback has ended its goroutine"

// notePanic logs a panic, or a Goexit if p is nil. It is called last in a deferred function, because even the text of p
// is the user's code. Of many panics from one place the first few are logged, then the number of the others.
func (srv *Server) notePanic(message, id string, p any) {
	if !srv.frequent.take(int(panicKind()), 0) {
		return
	}
	stack := string(debug.Stack())
	text := errGoexit
	if p != nil {
		text = fmt.Sprintf("a %T whose text panics", p)
	}
	defer func() {
		recover()
		attrs := []slog.Attr{slog.String("error", text), slog.String("stack", stack)}
		if id != "" {
			attrs = append(attrs, slog.String("connection_id", id))
		}
		srv.log.LogAttrs(srv.ctx, slog.LevelError, message, attrs...)
	}()
	if p != nil {
		text = fmt.Sprint(p)
	}
}

const handlerPanicked = "handler panicked"

// guard calls f, a function of the user, on a goroutine that is not a loop's. ok: f has returned. After runtime.Goexit
// guard does not return itself.
func (srv *Server) guard(message, id string, f func()) (ok bool) {
	defer func() {
		if !ok {
			srv.outside.panics.Add(1)
			srv.notePanic(message, id, recover())
		}
	}()
	f()
	return true
}

// recovered turns the panic of a callback into the end of its connection, with 1011. It is deferred around callbacks;
// l.calling.current is the connection whose callback runs. After runtime.Goexit the goroutine continues to unwind.
func (l *loop) recovered() {
	l.own.Check()
	p := recover()
	if l.calling.current == noSlot {
		if p != nil { // not of a handler: a fault of the engine must not be hidden
			panic(p)
		}
		return
	}
	i := l.calling.current
	s := l.slab.at(i)
	l.calling.end()
	l.stats.Panics++
	defer l.srv.notePanic(handlerPanicked, l.conn(i, s).ID().String(), p)
	if !l.input.asm.Idle() {
		l.input.asmBuf.B = l.input.asm.Take()
		l.freshAssembler(l.input.asmBuf)
	}
	if s.state == stateHandshake { // a response may have begun
		l.cork.of = noSlot
	}
	l.step(i, s, closing.Panicked, why{ // no more input may be parsed: the rest of it is lost
		err:     &CloseError{Code: CloseInternalError, Reason: "internal error", Err: ErrPanic},
		refusal: &refused{kind: RefusedFault, status: http.StatusInternalServerError, reason: "internal server error"},
	})
	l.cork.of = noSlot
	if len(l.cork.buf) > 0 {
		l.flushCork(i, s)
	}
	if s.state != stateClosed && s.cold != 0 {
		l.settle(i, s)
	}
}

// callDo runs a posted function as a callback of the connection.
func (l *loop) callDo(i uint32, s *slot, f func(Conn)) {
	l.own.Check()
	defer l.recovered()
	l.calling.begin(i, s)
	f(l.conn(i, s))
	l.calling.end()
}

// callClose calls OnClose. After a panic in it nothing is left to close. c is the zero Conn for a dial that found no
// slot.
func (l *loop) callClose(c Conn, f func(Conn, *CloseError), cause *CloseError) {
	l.own.Check()
	returned := false
	defer func() {
		l.calling.end()
		if !returned {
			l.stats.Panics++
			l.srv.notePanic(handlerPanicked, c.ID().String(), recover())
		}
	}()
	if c.l != nil {
		l.calling.last(c.slot)
	}
	f(c, cause)
	returned = true
}

// crypto/tls calls functions of the tls.Config on the loop too: Rand, Time, and the ClientSessionCache of a connection
// that we have dialled. After a panic in one of them the records cannot be used any more.

// readRecords calls Read of a connection's TLS.
func (l *loop) readRecords(i uint32, s *slot, t *tlsConn, p []byte) (n int, err error) {
	l.own.Check()
	returned := false
	defer func() {
		if !returned {
			err = l.tlsPanicked(i, s, recover())
		}
	}()
	n, err = t.conn.Read(p)
	returned = true
	return n, err
}

// writeRecords calls Write of a connection's TLS.
func (l *loop) writeRecords(i uint32, s *slot, t *tlsConn, p []byte) (err error) {
	l.own.Check()
	returned := false
	defer func() {
		if !returned {
			err = l.tlsPanicked(i, s, recover())
		}
	}()
	_, err = t.conn.Write(p)
	returned = true
	return err
}

// closeRecords calls CloseWrite of a connection's TLS.
func (l *loop) closeRecords(i uint32, s *slot, t *tlsConn) (err error) {
	l.own.Check()
	returned := false
	defer func() {
		if !returned {
			err = l.tlsPanicked(i, s, recover())
		}
	}()
	err = t.conn.CloseWrite()
	returned = true
	return err
}

const tlsCallbackPanicked = "callback of the TLS configuration panicked"

func (l *loop) tlsPanicked(i uint32, s *slot, p any) error {
	l.own.Check()
	l.stats.Panics++
	l.tls.sealed.Drain()
	defer l.srv.notePanic(tlsCallbackPanicked, l.conn(i, s).ID().String(), p)
	l.step(i, s, closing.Broken, why{err: cut(ErrPanic)})
	return ErrPanic
}
