//go:build linux

package perch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/spawn"
)

// maxLogged bounds the records that wait for a Logger that does not keep up.
const maxLogged = 1024

// logQueue hands what the engine logs to the Logger of the configuration, on a
// goroutine that lives only while something waits. The Logger's handler is code
// of the user's: it may block, panic, or write to a descriptor that means
// something else on a loop's thread. All of that costs log lines at most.
type logQueue struct {
	// Immutable.
	clock clock.Clock
	spawn *spawn.Spawner

	mu      sync.Mutex
	records []logRecord
	lost    uint64        // since the last line that said so
	all     uint64        // lost since the start
	written chan struct{} // closed when nothing waits any more; nil: nothing does
}

type logRecord struct {
	to     slog.Handler
	record slog.Record
}

// logHandler is a slog.Handler in front of a queue. It never blocks.
type logHandler struct {
	queue *logQueue
	to    slog.Handler
}

// Enabled implements slog.Handler. The user's own is asked later: it is the
// user's code too.
func (h logHandler) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (h logHandler) Handle(_ context.Context, r slog.Record) error {
	h.queue.put(logRecord{h.to, r.Clone()})
	return nil
}

// WithAttrs implements slog.Handler.
func (h logHandler) WithAttrs(a []slog.Attr) slog.Handler {
	return logHandler{h.queue, h.to.WithAttrs(a)}
}

// WithGroup implements slog.Handler.
func (h logHandler) WithGroup(name string) slog.Handler {
	return logHandler{h.queue, h.to.WithGroup(name)}
}

func (q *logQueue) put(r logRecord) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.records) == maxLogged {
		q.lost++
		q.all++
		return
	}
	q.records = append(q.records, r)
	if q.written == nil {
		q.written = make(chan struct{})
		q.spawn.Go(spawn.Log, q.write)
	}
}

// next takes the records that wait; false: there are none, and nobody writes any
// more.
func (q *logQueue) next() ([]logRecord, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.records
	q.records = nil
	if len(all) == 0 {
		close(q.written)
		q.written = nil
		return nil, false
	}
	if q.lost > 0 {
		r := slog.NewRecord(q.clock.Wall(), slog.LevelWarn, "log lines lost: the Logger does not keep up", 0)
		r.AddAttrs(slog.Uint64("lines", q.lost))
		all = append(all, logRecord{all[0].to, r})
		q.lost = 0
	}
	return all, true
}

// write is the goroutine.
func (q *logQueue) write() {
	var all []logRecord
	returned := false
	defer func() {
		if !returned { // the handler has called runtime.Goexit: the next goroutine goes on behind that record
			q.mu.Lock()
			q.records = append(all, q.records...)
			q.mu.Unlock()
			q.spawn.Go(spawn.Log, q.write)
		}
	}()
	for ok := true; ok; {
		for len(all) > 0 {
			r := all[0]
			all = all[1:]
			q.hand(r)
		}
		all, ok = q.next()
	}
	returned = true
}

// hand calls the user's handler.
func (q *logQueue) hand(r logRecord) {
	handled := false
	defer func() {
		if !handled {
			recover()
			q.mu.Lock()
			q.all++
			q.mu.Unlock()
		}
	}()
	ctx := context.Background()
	if r.to.Enabled(ctx, r.record.Level) {
		r.to.Handle(ctx, r.record)
	}
	handled = true
}

// flush waits until everything is written, or for so long.
func (q *logQueue) flush(most time.Duration) {
	q.mu.Lock()
	written := q.written
	q.mu.Unlock()
	if written == nil {
		return
	}
	late, stop := clock.After(q.clock, most)
	defer stop()
	select {
	case <-written:
	case <-late:
	}
}

// dropped is the number of records that the Logger has not got, since the start.
func (q *logQueue) dropped() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.all
}
