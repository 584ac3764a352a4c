package logging

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/spawn"
)

const (
	// DefaultMaxBytes is how much may wait for a slow reader: some thousand lines.
	DefaultMaxBytes = 1 << 20

	perLine = 64                    // bytes that a line takes without its text, about
	pause   = 10 * time.Millisecond // before a full pipe is tried again
)

// Queue is an io.Writer that takes lines and never waits. Any goroutine may write. Make one with NewQueue, and Close
// it at the end.
type Queue struct {
	// Immutable after NewQueue.
	clock clock.Clock
	spawn spawn.Spawner
	out   io.Writer
	most  int

	// Atomic: any goroutine.
	lost atomic.Uint64

	mu      sync.Mutex // guards the fields below
	wake    sync.Cond  // lines or closed has changed
	lines   [][]byte   // lines that wait
	waiting int        // their bytes, and those of lines that are being written
	closed  bool

	// Owned by the goroutine.
	report slog.Handler // writes into line
	line   bytes.Buffer
	told   uint64 // how many of lost were reported
	torn   bool   // the last line was written in part
}

// NewQueue makes a Queue in front of out, which need not be safe for concurrent use. most bounds the bytes that wait;
// but a line that finds the queue empty may have any length. form makes the handler for the lines that report losses,
// in the form of the loggers.
func NewQueue(c clock.Clock, out io.Writer, most int, form func(io.Writer) slog.Handler) *Queue {
	q := &Queue{clock: c, out: out, most: most}
	q.wake.L = &q.mu
	q.report = form(&q.line)
	q.spawn.Go(spawn.Log, q.run)
	return q
}

// Write takes one line, with its line end. It never waits and never fails: if the queue is full or closed the line is
// lost. p is copied.
func (q *Queue) Write(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	size := len(p) + perLine
	if q.closed || q.waiting > 0 && q.waiting+size > q.most {
		q.lost.Add(1)
		return len(p), nil
	}
	q.lines = append(q.lines, bytes.Clone(p))
	q.waiting += size
	q.wake.Signal()
	return len(p), nil
}

// Lost is the number of lines that were not written, or not whole.
func (q *Queue) Lost() uint64 { return q.lost.Load() }

// Close takes no more lines, and waits at most limit until the lines in the queue are written. It reports whether
// they are. It does not wait longer for a writer that hangs.
func (q *Queue) Close(limit time.Duration) bool {
	q.mu.Lock()
	q.closed = true
	q.wake.Signal()
	q.mu.Unlock()
	late, stop := clock.After(q.clock, limit)
	defer stop()
	select {
	case <-q.spawn.Gone(spawn.Log):
		return true
	case <-late:
		return false
	}
}

func (q *Queue) run() {
	for {
		q.mu.Lock()
		for len(q.lines) == 0 && !q.closed {
			q.wake.Wait()
		}
		lines := q.lines
		q.lines = nil
		q.mu.Unlock()
		if len(lines) == 0 {
			return
		}
		for _, line := range lines {
			if !q.write(line) {
				q.lost.Add(1)
			}
			q.mu.Lock()
			q.waiting -= len(line) + perLine
			q.mu.Unlock()
		}
		q.tell()
	}
}

// write writes a line. After a line that was cut it begins a new one.
func (q *Queue) write(line []byte) bool {
	if q.torn {
		line = append([]byte("\n"), line...)
	}
	for rest := line; ; {
		n, err := q.out.Write(rest)
		rest = rest[n:]
		switch {
		case err == nil:
			q.torn = false
			return true
		case errors.Is(err, syscall.EAGAIN): // a process that shares the pipe has made it non-blocking
			passed, _ := clock.After(q.clock, pause)
			<-passed
			continue
		case len(rest) < len(line):
			q.torn = true
		}
		return false
	}
}

// tell writes how many lines were lost since the last report.
func (q *Queue) tell() {
	lost := q.lost.Load()
	if lost == q.told {
		return
	}
	r := slog.NewRecord(q.clock.Wall(), slog.LevelWarn, "log lines were lost: the reader of the log is slow, or it cannot be written", 0)
	r.AddAttrs(slog.Uint64("lost", lost-q.told), slog.Uint64("lost_in_all", lost))
	q.line.Reset()
	if q.report.Handle(context.Background(), r) == nil && q.write(q.line.Bytes()) {
		q.told = lost
	}
}

// Print writes text to out, and waits for that at most limit: the last words of a process must not delay its end.
func Print(c clock.Clock, out io.Writer, text string, limit time.Duration) {
	var spawner spawn.Spawner
	spawner.Go(spawn.Log, func() { _, _ = io.WriteString(out, text) })
	late, stop := clock.After(c, limit)
	defer stop()
	select {
	case <-spawner.Gone(spawn.Log):
	case <-late:
	}
}
