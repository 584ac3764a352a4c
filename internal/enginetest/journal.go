//go:build linux

package enginetest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/perchws/perch/internal/wstest"
)

// Buffer keeps the text that a logger writes to it. Any goroutine.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// CountOf is the sum of the counts of lines.
func CountOf(lines []slog.Record) (sum int) {
	for _, r := range lines {
		var n int
		fmt.Sscan(Attr(r, "count"), &n)
		sum += n
	}
	return sum
}

// Journal is a slog.Handler that keeps what is logged. Any goroutine.
type Journal struct {
	mu      sync.Mutex
	records []slog.Record
}

// Logger logs to j.
func (j *Journal) Logger() *slog.Logger { return slog.New(j) }

func (j *Journal) Enabled(context.Context, slog.Level) bool { return true }

func (j *Journal) WithAttrs([]slog.Attr) slog.Handler { return j }

func (j *Journal) WithGroup(string) slog.Handler { return j }

func (j *Journal) Handle(_ context.Context, r slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.records = append(j.records, r.Clone())
	return nil
}

// Find returns the records whose message contains text, of all that servers of this process
// have logged before. A server logs on a goroutine of its own, which ends when nothing waits
// to be written: Find waits for that end.
func (j *Journal) Find(text string) []slog.Record {
	for end := time.Now().Add(wstest.DefaultTimeout); writing() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(j.records), func(r slog.Record) bool { return !strings.Contains(r.Message, text) })
}

// Attr is the value of an attribute of r as text, "" if it has none.
func Attr(r slog.Record, key string) (value string) {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == key {
			value = a.Value.String()
		}
		return a.Key != key
	})
	return value
}

// writer is in the stack of the goroutine that writes the log, and of one that adds to it.
const writer = "perch.(*logQueue)."

// starting is at the top of the stack of a goroutine that has not begun what it was started for: to write, perhaps.
const starting = "]:\ngithub.com/perchws/perch/internal/spawn.(*Spawner).Go.func1("

// writing reports whether a server of this process has lines that are not written yet.
func writing() bool {
	buf := make([]byte, 64<<10)
	for {
		if n := runtime.Stack(buf, true); n < len(buf) {
			return bytes.Contains(buf[:n], []byte(writer)) || bytes.Contains(buf[:n], []byte(starting))
		}
		buf = make([]byte, 2*len(buf))
	}
}
