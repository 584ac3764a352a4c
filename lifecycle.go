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
	srv.mu.Lock()
	defer srv.mu.Unlock()
	switch {
	case srv.bad != nil:
		return srv.bad
	case srv.stopped:
		return ErrServerClosed
	case srv.started:
		return errors.New("perch: started before")
	}
	if err := srv.prepare(); err != nil { // nothing is under way yet: it may be tried again
		return fmt.Errorf("perch: %w", err)
	}
	srv.started = true
	if err := srv.launch(); err != nil {
		srv.err = fmt.Errorf("perch: %w", err)
		srv.running.Store(false)
		srv.stopLoops(postAbort)
		return srv.err
	}
	addr := srv.listens()
	srv.public.Store(&addr)
	return nil
}

// Wait returns when all loops have ended: nil after Shutdown or Close, else the
// error of the loop that failed, or of the Start that did. Before Start it waits for
// that too; ErrServerClosed if Shutdown or Close was first. ErrOnLoop on a loop, which
// would wait for itself.
func (srv *Server) Wait() error {
	if srv.onLoop() {
		return ErrOnLoop
	}
	<-srv.ended
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.err
}

// ListenAndServe is Start and Wait.
func (srv *Server) ListenAndServe() error {
	if err := srv.Start(); err != nil {
		return err
	}
	return srv.Wait()
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
