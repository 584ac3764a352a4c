//go:build linux

package perch

import (
	"bytes"
	"log/slog"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perchws/perch/internal/clock"
)

// patience is how long a loop may take to answer before its callback is called stuck.
const patience = time.Second

// watchdog finds callbacks that block their loop, while they do. It looks once a
// second for as long as loops have something to do, and rests while all of them sleep:
// the next tick wakes it. So an idle server pays nothing for it.
type watchdog struct {
	armed atomic.Bool // it will look

	mu   sync.Mutex
	stop func() bool // the next look; nil before the first
	over bool
}

// watched is what the watchdog knows of a loop.
type watched struct {
	goroutine atomic.Int64 // its number in stack traces
	began     atomic.Int64 // when the tick under way began, or the last one; as the clock tells it
	stuck     atomic.Int64 // began of the tick that the log was told about; 0: none
	looked    int64        // began at the last look, 0: it slept. Under watchdog.mu
}

// arm has the watchdog look.
func (srv *Server) arm() {
	dog := &srv.dog
	if !dog.armed.CompareAndSwap(false, true) {
		return
	}
	dog.mu.Lock()
	defer dog.mu.Unlock()
	if !dog.over {
		dog.stop = srv.clock.AfterFunc(patience, srv.look)
	}
}

// look names the loops that are in the tick in which the last look has found them.
func (srv *Server) look() {
	dog := &srv.dog
	dog.mu.Lock()
	defer dog.mu.Unlock()
	if dog.over {
		return
	}
	active := false
	for _, l := range srv.loops {
		began := l.visible.watched.began.Load()
		if !l.awake() {
			l.visible.watched.looked = 0
			continue
		}
		active = true
		if began == l.visible.watched.looked {
			l.nameStuck(began)
		}
		l.visible.watched.looked = began
	}
	if !active {
		dog.armed.Store(false)
		for _, l := range srv.loops { // one that has woken meanwhile may have found it armed
			active = active || l.awake()
		}
		if !active || !dog.armed.CompareAndSwap(false, true) {
			return
		}
	}
	dog.stop = srv.clock.AfterFunc(patience, srv.look)
}

// endWatch ends it: the loops have ended.
func (srv *Server) endWatch() {
	srv.dog.mu.Lock()
	defer srv.dog.mu.Unlock()
	srv.dog.over = true
	if srv.dog.stop != nil {
		srv.dog.stop()
	}
}

// awake reports that the loop is in a tick. Any goroutine.
func (l *loop) awake() bool { return l.thread.tid.Load() != 0 && !l.poller.Sleeping() }

// isStuck reports that the loop is still in a tick that the log was told about. Any
// goroutine.
func (l *loop) isStuck() bool {
	began := l.visible.watched.began.Load()
	return began != 0 && began == l.visible.watched.stuck.Load() && l.awake()
}

// nameStuck logs, once, that the tick which began then does not end, and where it is. Any
// goroutine.
func (l *loop) nameStuck(began int64) {
	if l.visible.watched.stuck.Swap(began) == began {
		return
	}
	attrs := []slog.Attr{slog.Int("loop", l.id), slog.Duration("for", time.Duration(l.srv.clock.Now()-began).Round(time.Millisecond))}
	if id := l.currentID(); id != (ID{}) {
		attrs = append(attrs, slog.String("connection_id", id.String()))
	}
	attrs = append(attrs, slog.String("stack", stackOf(l.visible.watched.goroutine.Load())))
	if l.visible.watched.began.Load() == began { // else it has gone on, and this is of something else
		l.srv.log.LogAttrs(l.srv.ctx, slog.LevelError, "a callback blocks its loop", attrs...)
	}
}

// currentID is the connection whose callback runs, as far as another goroutine can
// know. Any goroutine. The loop writes current without an atomic, which every callback would pay for;
// it is one word, and was written before the callback began to block.
//
//go:norace
func (l *loop) currentID() ID {
	i := l.calling.current
	if i == noSlot {
		return ID{}
	}
	s := l.slab.find(i)
	if s == nil {
		return ID{}
	}
	return l.conn(i, s).ID()
}

// ask posts p to every loop and waits until all have carried it out, for as long as
// patience. It returns those that have not: the log has been told where they are. Of
// counters a loop that is known to be stuck is not asked again. It must not be called on
// a loop.
func (srv *Server) ask(p post) (stuck []*loop) {
	if !srv.launched.Load() {
		return nil
	}
	asked := make([]chan struct{}, len(srv.loops))
	for i, l := range srv.loops {
		if p.kind == postSnapshot && l.isStuck() {
			stuck = append(stuck, l)
			continue
		}
		p.done = make(chan struct{})
		if l.put(p, nil) == nil {
			asked[i] = p.done
		}
	}
	late, stop := clock.After(srv.clock, patience)
	defer stop()
	over := false
	for i, l := range srv.loops {
		if done := asked[i]; done != nil && !l.answers(done, late, &over) {
			stuck = append(stuck, l)
			if l.awake() {
				l.nameStuck(l.visible.watched.began.Load())
			}
		}
	}
	return stuck
}

// answers waits for done, unless the time is over. A loop that has ended is no longer
// waited for. Any goroutine but a loop's.
func (l *loop) answers(done chan struct{}, late <-chan struct{}, over *bool) bool {
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

// goroutineID is the calling goroutine's number in stack traces.
func goroutineID() int64 {
	var b [64]byte
	id, _ := strconv.ParseInt(string(bytes.Fields(b[:runtime.Stack(b[:], false)])[1]), 10, 64)
	return id
}

// maxStacks bounds the trace of all goroutines, in bytes.
const maxStacks = 16 << 20

// stackOf is another goroutine's stack. The world stops for as long as it takes to
// write down those of all.
func stackOf(id int64) string {
	begin := []byte("goroutine " + strconv.FormatInt(id, 10) + " ")
	for size := 64 << 10; size <= maxStacks; size *= 4 {
		b := make([]byte, size)
		n := runtime.Stack(b, true)
		for one := range bytes.SplitSeq(b[:n], []byte("\n\n")) {
			if bytes.HasPrefix(one, begin) && (n < size || bytes.Contains(one, []byte("\ncreated by "))) {
				return string(one)
			}
		}
		if n < size {
			break
		}
	}
	return "not found among the first goroutines"
}
