//go:build linux

package perch

import (
	"context"
	"sync"

	"github.com/perchws/perch/internal/procs"
	"github.com/perchws/perch/internal/sock"
)

// Shutdown stops accepting, closes every connection with 1001 behind what is
// queued for it, and waits for their closing handshakes, for plain HTTP
// requests and for OnClose of blocking handlers. When ctx ends, what is left is
// reset and its error returned. Not to be called on a loop.
func (srv *Server) Shutdown(ctx context.Context) error {
	if !srv.stop() {
		return nil
	}
	srv.stopLoops(postShutdown)
	if srv.web != nil {
		srv.web.quiesce()
	}
	select {
	case <-srv.ended:
		return nil
	case <-ctx.Done():
	}
	srv.abort()
	if srv.onLoops() == 0 { // else handlers still block on workers: nobody waits for them
		<-srv.ended
	}
	return ctx.Err()
}

// onLoops is how many connections are not with net/http.
func (srv *Server) onLoops() int64 {
	n := srv.connections.Load()
	if srv.web != nil {
		n -= srv.web.inside.Load()
	}
	return n
}

// Close resets every connection and ends the loops. OnClose is called for all,
// but of blocking handlers perhaps after Close has returned. Not to be called on
// a loop.
func (srv *Server) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	srv.Shutdown(ctx)
	return nil
}

// abort resets every connection, and returns when that is done.
func (srv *Server) abort() {
	srv.hurry()
	var all []chan struct{}
	for _, l := range srv.loops {
		done := make(chan struct{})
		if l.post(post{kind: postAbort, done: done}, nil) == nil {
			all = append(all, done)
		}
	}
	for _, done := range all {
		select {
		case <-done:
		case <-srv.ended:
		}
	}
}

// stop reports whether there is something to stop.
func (srv *Server) stop() bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.running.Store(false)
	return srv.started && len(srv.loops) > 0
}

func (srv *Server) stopLoops(kind postKind) {
	for _, l := range srv.loops {
		l.post(post{kind: kind}, nil)
	}
}

// wait follows the loops to their end and releases what they shared.
func (srv *Server) wait(down *sync.WaitGroup) {
	down.Wait()
	if !srv.cfg.KeepGOMAXPROCS {
		procs.Add(-len(srv.loops))
	}
	srv.running.Store(false)
	srv.release()
}

// release lets go of what the loops shared; none of them runs any more.
func (srv *Server) release() {
	for _, l := range srv.loops {
		if l.way != nil {
			sock.Close(l.pair)
		}
	}
	if srv.web != nil {
		srv.web.finish(srv.patience)
	}
	for _, l := range srv.loops {
		if l.way != nil {
			l.way.outer.Close()
		}
		l.poller.Close()
	}
	if srv.shared != nil {
		srv.shared.close()
	}
	srv.rooms.Close()
	close(srv.ended)
	if srv.workers != nil {
		srv.workers.Close() // handlers may still be running: nobody waits for them
	}
}
