//go:build linux

package perch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/closing"
	"github.com/perchws/perch/internal/procs"
	"github.com/perchws/perch/internal/sock"
	"github.com/perchws/perch/internal/spawn"
)

// Shutdown stops accepting, closes every connection with 1001 behind what is queued for
// it, and waits for their closing handshakes, for plain HTTP requests and for OnClose
// of blocking handlers. A peer that takes its queued output, however slowly, has until
// ctx ends; then the connections that are left are reset, and a *ShutdownError counts
// them and their unsent bytes. A peer that takes nothing for CloseTimeout is reset
// before that, and is in the *ShutdownError too. A callback that does not return is
// waited for until ctx ends and a second more; the error says so, the log names it with
// its stack, and its loop ends when it returns. Called before Start, it makes Start
// fail. On a loop, which would wait for itself, it only begins all that and returns
// ErrOnLoop. Called in a callback on a worker it waits for that callback too: let ctx
// end.
func (srv *Server) Shutdown(ctx context.Context) error {
	if !srv.stop() {
		return nil
	}
	srv.stopLoops(postShutdown)
	onLoop := srv.onLoop()
	switch {
	case srv.web == nil:
	case onLoop:
		srv.spawn.Go(spawn.HTTP, srv.web.quiesce) // it closes descriptors: see web.makeRoom
	default:
		srv.web.quiesce()
	}
	if onLoop {
		return ErrOnLoop
	}
	select {
	case <-srv.ended: // whatever ctx says
		return srv.late.error(ErrCloseTimeout)
	default:
	}
	select {
	case <-srv.ended:
		return srv.late.error(ErrCloseTimeout)
	case <-ctx.Done():
	}
	if srv.web != nil {
		srv.cut.connections.Add(srv.web.inside.Load())
	}
	stuck := srv.abort()
	if stuck == 0 && onLoops(srv) == 0 { // else handlers still block on workers: nobody waits for them
		late, stop := clock.After(srv.clock, patience)
		defer stop()
		select {
		case <-srv.ended:
		case <-late: // a callback of the end
			stuck = len(srv.ask(post{kind: postSnapshot}))
		}
	}
	srv.cut.connections.Add(srv.late.connections.Load())
	srv.cut.bytes.Add(srv.late.bytes.Load())
	return &ShutdownError{srv.cut.connections.Load(), srv.cut.bytes.Load(), stuck, ctx.Err()}
}

// ShutdownError says what Shutdown has cut off.
type ShutdownError struct {
	Connections int64 // that were reset, or broken off in a plain HTTP request
	Unsent      int64 // bytes queued on them, or sent and not taken by their peers
	Stuck       int   // loops that are blocked in a callback, whose connections are not counted
	Err         error // of the context, or ErrCloseTimeout
}

// Error implements error.
func (e *ShutdownError) Error() string {
	s := fmt.Sprintf("perch: shutdown has cut off %d connections with %d bytes unsent: %v", e.Connections, e.Unsent, e.Err)
	if e.Stuck > 0 {
		s += fmt.Sprintf("; %d loops are blocked in a callback", e.Stuck)
	}
	return s
}

// Unwrap returns the cause.
func (e *ShutdownError) Unwrap() error { return e.Err }

// cutCount counts connections that were cut off, and the bytes that their peers
// did not get. Any goroutine.
type cutCount struct{ connections, bytes atomic.Int64 }

// note counts one with n bytes, if it has missed any.
func (c *cutCount) note(n int) {
	if n > 0 {
		c.connections.Add(1)
		c.bytes.Add(int64(n))
	}
}

// error is nil if there were none.
func (c *cutCount) error(cause error) error {
	if n := c.connections.Load(); n > 0 {
		return &ShutdownError{n, c.bytes.Load(), 0, cause}
	}
	return nil
}

// onLoops is how many connections are not with net/http.
func onLoops(srv *Server) int64 {
	n := srv.connections.Load()
	if srv.web != nil {
		n -= srv.web.inside.Load()
	}
	return n
}

// Close resets every connection and ends the loops. OnClose is called for all,
// but of blocking handlers perhaps after Close has returned. A callback that does not
// return is waited for a second: then the error is a *ShutdownError, see Shutdown. On a
// loop it only begins, and returns ErrOnLoop.
func (srv *Server) Close() error {
	if srv.onLoop() {
		if srv.stop() {
			srv.hurry()
			srv.stopLoops(postAbort)
		}
		return ErrOnLoop
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := srv.Shutdown(ctx)
	if e, ok := errors.AsType[*ShutdownError](err); ok && e.Stuck > 0 {
		return err
	}
	return nil
}

// abort resets every connection, and returns when that is done: how many loops are
// stuck instead.
func (srv *Server) abort() (stuck int) {
	srv.hurry()
	return len(srv.ask(post{kind: postAbort}))
}

func (srv *Server) stopLoops(kind postKind) {
	for _, l := range srv.loops {
		l.put(post{kind: kind}, nil)
	}
}

// wait follows the loops to their end and releases what they shared.
func (srv *Server) wait(down *sync.WaitGroup) {
	down.Wait()
	if !srv.cfg.KeepGOMAXPROCS {
		procs.Add(-len(srv.loops))
	}
	srv.running.Store(false)
	for _, lines := range []*tally{srv.refusals.lines, srv.frequent, srv.slow} {
		lines.tellAll()
	}
	srv.release()
}

// release lets go of what the loops shared; none of them runs any more.
func (srv *Server) release() {
	for _, l := range srv.loops {
		if l.http.way != nil {
			sock.Close(l.http.pair)
		}
	}
	if srv.web != nil {
		srv.web.finish(srv.patience)
	}
	for _, l := range srv.loops {
		if l.http.way != nil {
			l.http.way.outer.Close()
		}
		l.poller.Close()
	}
	if srv.shared != nil {
		srv.shared.close()
	}
	srv.endWatch()
	closed := make(chan struct{})
	srv.spawn.Go(spawn.End, func() {
		defer close(closed)
		srv.rooms.Close()
	})
	late, stop := clock.After(srv.clock, patience)
	defer stop()
	select {
	case <-closed:
	case <-late: // a function of the rooms blocks
	}
	close(srv.ended)
	if srv.workers != nil {
		srv.workers.Close() // handlers may still be running: nobody waits for them
	}
}

// shutdown sends 1001 to everyone and ends the loop when the last one is gone.
func (l *loop) shutdown() {
	l.own.Check()
	if l.life.stopping {
		return
	}
	l.life.stopping = true
	if l.srv.shared != nil {
		l.srv.shared.file.Remove() // nobody else is to come
	}
	for l.accepting.listener >= 0 && l.accepting.pausedUntil == 0 { // what waits in the queue would be reset
		before := l.stats.Accepted
		if l.accept(); l.stats.Accepted == before {
			break
		}
	}
	l.closeListener()
	l.each(func(i uint32, s *slot) {
		l.doing.on(i)
		w := why{err: cut(ErrShutdown), refusal: stopping(nil)}
		if s.state == stateOpen {
			w.err = &CloseError{Code: CloseGoingAway, Reason: goingAway, Err: ErrShutdown}
		}
		l.step(i, s, closing.Shutdown, w)
	})
}

// abortAll ends every connection, and with the last one the loop.
func (l *loop) abortAll() {
	l.own.Check()
	l.life.stopping = true
	l.closeListener()
	l.each(func(i uint32, s *slot) {
		if s.state != stateClosed {
			if n := l.unsent(s); n > 0 || s.state != stateLingering {
				l.srv.cut.connections.Add(1)
				l.srv.cut.bytes.Add(int64(n))
			}
			l.step(i, s, closing.Aborted, why{err: cut(ErrShutdown), cause: closing.ByAbort})
		}
	})
}
