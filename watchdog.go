//go:build linux

package perch

import (
	"bytes"
	"log/slog"
	"runtime"
	"slices"
	"time"
)

// patience is how long a loop may take to answer before its callback is called stuck.
const patience = time.Second

// ask posts p to every loop and waits until all have carried it out, for as long as
// patience. It returns those that have not. It must not be called on a loop.
func (srv *Server) ask(p post) (stuck []*loop) {
	if !srv.launched.Load() {
		return nil
	}
	asked := make(map[*loop]chan struct{}, len(srv.loops))
	for _, l := range srv.loops {
		p.done = make(chan struct{})
		if l.post(p, nil) == nil {
			asked[l] = p.done
		}
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	over := false
	for _, l := range srv.loops {
		if done := asked[l]; done != nil && !l.answers(done, late.C, &over) {
			stuck = append(stuck, l)
		}
	}
	return stuck
}

// answers waits for done, unless the time is over. A loop that has ended is no longer
// waited for.
func (l *loop) answers(done chan struct{}, late <-chan time.Time, over *bool) bool {
	if !*over {
		select {
		case <-done:
			return true
		case <-l.srv.ended:
			return true
		case <-late:
			*over = true
		}
	}
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// watch tells of callbacks that block their loop, each once, while they do. A loop
// that sleeps is left in peace: it costs an idle server nothing but this goroutine.
func (srv *Server) watch() {
	type probe struct {
		done chan struct{} // nil: none is under way
		told bool
	}
	probes := make([]probe, len(srv.loops))
	for tick := time.NewTicker(patience); ; {
		select {
		case <-srv.ended:
			tick.Stop()
			return
		case <-tick.C:
		}
		var stuck []*loop
		for i, l := range srv.loops {
			p := &probes[i]
			if p.done != nil {
				select {
				case <-p.done:
					*p = probe{}
				default:
					if !p.told {
						p.told = true
						stuck = append(stuck, l)
					}
					continue
				}
			}
			if !l.poller.Sleeping() {
				done := make(chan struct{})
				if l.post(post{kind: postSnapshot, done: done}, nil) == nil {
					p.done = done
				}
			}
		}
		srv.nameStuck(stuck)
	}
}

// nameStuck logs where these loops are, and returns how many they are.
func (srv *Server) nameStuck(loops []*loop) int {
	if len(loops) == 0 {
		return 0
	}
	traces := allStacks()
	for _, l := range loops {
		srv.log.LogAttrs(srv.ctx, slog.LevelError, "a callback blocks its loop",
			slog.Int("loop", l.id), slog.Duration("longer_than", patience), slog.String("stack", stackOf(traces, l.goroutine)))
	}
	return len(loops)
}

// maxStacks bounds the trace of all goroutines, in bytes.
const maxStacks = 4 << 20

// allStacks are the stacks of all goroutines.
func allStacks() []byte {
	for n := 64 << 10; ; n *= 4 {
		b := make([]byte, n)
		if k := runtime.Stack(b, true); k < n || n >= maxStacks {
			return b[:k]
		}
	}
}

// goroutineID is the beginning of the calling goroutine's stack trace, "goroutine 7 ".
func goroutineID() string {
	var b [64]byte
	line := b[:runtime.Stack(b[:], false)]
	if i := bytes.IndexByte(line, '['); i > 0 {
		line = line[:i]
	}
	return string(line)
}

// stackOf finds one goroutine's stack among all.
func stackOf(traces []byte, goroutine string) string {
	blocks := bytes.Split(traces, []byte("\n\n"))
	i := slices.IndexFunc(blocks, func(b []byte) bool { return bytes.HasPrefix(b, []byte(goroutine)) })
	if i < 0 {
		return "not known"
	}
	return string(blocks[i])
}
