//go:build linux

package perch

import (
	"errors"
	"fmt"
	"net"
)

// Start listens, starts the loops and returns. While they run GOMAXPROCS is higher
// by their number, because each keeps its P through short sleeps; what Go's runtime
// decides meanwhile, because the CPUs it may use have changed, is followed. A program
// that sets GOMAXPROCS itself does so before Start; see also Config.KeepGOMAXPROCS.
// Errors: of the configuration, of listening (another server on the
// address), of the system; ErrServerClosed after Shutdown or Close, which may have come first.
func (srv *Server) Start() error {
	defer srv.lines.flush(patience) // warnings come before what the caller says next
	srv.mu.Lock()
	defer srv.mu.Unlock()
	switch {
	case srv.stopped:
		return ErrServerClosed
	case srv.started:
		return errors.New("perch: started before")
	}
	if srv.attempt.err != nil {
		srv.attempt = newAttempt()
	}
	if err := srv.begin(); err != nil {
		srv.attempt.err = err
		close(srv.attempt.failed)
		return err
	}
	return nil
}

// begin is Start, with srv.mu held.
func (srv *Server) begin() error {
	if srv.bad != nil {
		return srv.bad
	}
	if err := srv.prepare(); err != nil { // nothing is under way yet: it may be tried again
		return fmt.Errorf("perch: %w", err)
	}
	srv.started = true
	if err := srv.launch(); err != nil {
		srv.err = fmt.Errorf("perch: %w", err)
		srv.running.Store(false)
		srv.public.Store(nil)
		srv.stopLoops(postAbort)
		return srv.err
	}
	return nil
}

// attempt is one call of Start, the last one or the next.
type attempt struct {
	failed chan struct{}
	err    error // written before failed is closed
}

func newAttempt() *attempt { return &attempt{failed: make(chan struct{})} }

// Wait returns when all loops have ended: nil after Shutdown or Close, else the
// error of the loop that failed. Before Start it waits for that too: it returns the
// error of a Start that fails, and ErrServerClosed if Shutdown or Close was first. After
// a Start that has failed it returns that error at once, until the next. ErrOnLoop on a
// loop, which would wait for itself; a callback on a worker may wait for ever.
func (srv *Server) Wait() error {
	if srv.onLoop() {
		return ErrOnLoop
	}
	defer srv.lines.flush(patience) // for programs that end then
	srv.mu.Lock()
	attempt := srv.attempt
	srv.mu.Unlock()
	select {
	case <-srv.ended:
	default:
		select {
		case <-srv.ended:
		case <-attempt.failed:
			return attempt.err
		}
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.err
}

// ListenAndServe is Start and Wait. As that of net/http it never returns nil: after
// Shutdown or Close the error is ErrServerClosed.
func (srv *Server) ListenAndServe() error {
	if err := srv.Start(); err != nil {
		return err
	}
	if err := srv.Wait(); err != nil {
		return err
	}
	return ErrServerClosed
}

// Addr is the address that Start has listened on; nil before that. Any goroutine.
func (srv *Server) Addr() net.Addr {
	if a := srv.public.Load(); a != nil {
		return *a
	}
	return nil
}

// listens is the address that is being listened on.
func (srv *Server) listens() net.Addr {
	if srv.shared != nil {
		return srv.shared.addr
	}
	return net.TCPAddrFromAddrPort(srv.addr)
}

// stop reports whether there is something to stop. A Start that is still to come
// fails.
func (srv *Server) stop() bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.running.Store(false)
	if !srv.started && !srv.stopped {
		srv.err = ErrServerClosed
		close(srv.ended)
	}
	srv.stopped = true
	return srv.started && len(srv.loops) > 0
}
