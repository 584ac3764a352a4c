package logging

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/perchws/perch/internal/clock"
	"github.com/perchws/perch/internal/wstest"
)

func TestMain(m *testing.M) { wstest.Main(m) }

// sink is a writer that calls one function of the test for each write; after them it takes everything. Any goroutine
// may use it.
type sink struct {
	mu     sync.Mutex
	taken  bytes.Buffer
	writes chan func(p []byte) (int, error) // nil: takes all
	began  chan struct{}
}

func newSink() *sink {
	return &sink{writes: make(chan func([]byte) (int, error)), began: make(chan struct{}, 1<<16)}
}

func (s *sink) Write(p []byte) (int, error) {
	s.began <- struct{}{}
	if do := <-s.writes; do != nil {
		n, err := do(p)
		s.take(p[:n])
		return n, err
	}
	s.take(p)
	return len(p), nil
}

func (s *sink) take(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken.Write(p)
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken.String()
}

func fails(n int, err error) func([]byte) (int, error) {
	return func(p []byte) (int, error) { return min(n, len(p)), err }
}

func form(w io.Writer) slog.Handler {
	return slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
}

const lost = `{"level":"WARN","msg":"log lines were lost: the reader of the log is slow, or it cannot be written","lost":%d,"lost_in_all":%d}` + "\n"

// TestStalled: a reader that stalls blocks nobody. Lines that find the queue full are lost, and counted; the others
// are written, in order, and then a line with the number of lost ones.
func TestStalled(t *testing.T) {
	s := newSink()
	const line = "0123456789\n"
	const fit = 5
	q := NewQueue(clock.Real(), s, fit*(len(line)+perLine), form)
	for i := range 20 {
		fmt.Fprintf(q, "%010d\n", i)
	}
	wstest.Receive(t, "the first write", s.began)
	if n := q.Lost(); n != 15 {
		t.Fatalf("%d lines lost, want 15", n)
	}
	close(s.writes) // the reader goes on
	wstest.Eventually(t, "the report", func() bool { return strings.Contains(s.String(), "lost") })
	var want strings.Builder
	for i := range fit {
		fmt.Fprintf(&want, "%010d\n", i)
	}
	fmt.Fprintf(&want, lost, 15, 15)
	fmt.Fprint(q, "after\n")
	want.WriteString("after\n")
	if !q.Close(wstest.DefaultTimeout) || s.String() != want.String() {
		t.Errorf("written:\n%swant:\n%s", s, &want)
	}
	fmt.Fprint(q, "too late\n")
	if n := q.Lost(); n != 16 {
		t.Errorf("%d lines lost, want 16: the queue is closed", n)
	}
}

// TestBroken: a line that cannot be written is lost, and the next one that can be written is on a line of its own.
func TestBroken(t *testing.T) {
	for _, err := range []error{syscall.ENOSPC, syscall.EPIPE, syscall.EIO, syscall.EBADF, os.ErrClosed, io.ErrShortWrite, errors.New("other")} {
		t.Run(err.Error(), func(t *testing.T) {
			s := newSink()
			q := NewQueue(clock.Real(), s, DefaultMaxBytes, form)
			for _, step := range []struct {
				line  string
				does  []func([]byte) (int, error)
				after string // the output from then on
			}{
				{"one\n", []func([]byte) (int, error){nil}, "one\n"},
				{"two\n", []func([]byte) (int, error){fails(0, err), fails(0, err)}, "one\n"},     // the report fails too
				{"three\n", []func([]byte) (int, error){fails(2, err), fails(0, err)}, "one\nth"}, // written in part
				{"four\n", []func([]byte) (int, error){nil, nil}, "one\nth\nfour\n" + fmt.Sprintf(lost, 2, 2)},
				{"five\n", []func([]byte) (int, error){nil}, "one\nth\nfour\n" + fmt.Sprintf(lost, 2, 2) + "five\n"},
			} {
				fmt.Fprint(q, step.line)
				for _, do := range step.does {
					select {
					case s.writes <- do:
					case <-time.After(wstest.DefaultTimeout):
						t.Fatalf("%q: no write", step.line)
					}
				}
				wstest.Eventually(t, "what is written", func() bool { return s.String() == step.after })
			}
			if !q.Close(wstest.DefaultTimeout) || q.Lost() != 2 {
				t.Errorf("%d lines lost, want 2", q.Lost())
			}
		})
	}
}

// TestNonBlocking: another process made the pipe non-blocking. The queue waits for it, and loses no byte.
func TestNonBlocking(t *testing.T) {
	s := newSink()
	q := NewQueue(clock.Real(), s, DefaultMaxBytes, form)
	fmt.Fprint(q, "hello\n")
	s.writes <- fails(2, syscall.EAGAIN)
	s.writes <- fails(0, syscall.EAGAIN)
	s.writes <- nil
	if !q.Close(wstest.DefaultTimeout) || s.String() != "hello\n" || q.Lost() != 0 {
		t.Errorf("written %q, %d lost", s, q.Lost())
	}
}

// TestLongLine: a line that finds the queue empty is taken, however long it is; otherwise the bound counts.
func TestLongLine(t *testing.T) {
	s := newSink()
	q := NewQueue(clock.Real(), s, 100, form)
	long := strings.Repeat("x", 1<<20) + "\n"
	fmt.Fprint(q, long)
	fmt.Fprint(q, "y\n")
	if n := q.Lost(); n != 1 {
		t.Errorf("%d lost, want 1", n)
	}
	close(s.writes)
	if !q.Close(wstest.DefaultTimeout) || s.String() != long+fmt.Sprintf(lost, 1, 1) {
		t.Errorf("written %d bytes", len(s.String()))
	}
}

// TestCloseIsBounded: a reader that never comes back does not delay the end of the process.
func TestCloseIsBounded(t *testing.T) {
	s := newSink()
	q := NewQueue(clock.Real(), s, DefaultMaxBytes, form)
	fmt.Fprint(q, "x\n")
	wstest.Receive(t, "the write", s.began)
	if q.Close(time.Millisecond) {
		t.Error("Close reports success, but the line is not written")
	}
	Print(clock.Real(), s, "y", time.Millisecond) // returns
	close(s.writes)
	if !q.Close(wstest.DefaultTimeout) {
		t.Error("Close reports failure")
	}
	wstest.Eventually(t, "both are written", func() bool { return len(s.String()) == 3 })
}

// TestManyWriters: every line is whole, and is either written or counted.
func TestManyWriters(t *testing.T) {
	s := newSink()
	close(s.writes)
	q := NewQueue(clock.Real(), s, 4096, form)
	log := slog.New(form(q))
	const writers, each = 8, 500
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				log.Info("line", "writer", w, "number", i)
			}
		})
	}
	all.Wait()
	if !q.Close(wstest.DefaultTimeout) {
		t.Fatal("Close reports failure")
	}
	written := 0
	for line := range strings.Lines(s.String()) {
		if strings.HasPrefix(line, `{"level":"INFO","msg":"line","writer":`) && strings.HasSuffix(line, "}\n") {
			written++
		} else if !strings.Contains(line, "lines were lost") {
			t.Fatalf("line %q", line)
		}
	}
	if n := uint64(written) + q.Lost(); n != writers*each {
		t.Errorf("%d written and %d lost, want %d in all", written, q.Lost(), writers*each)
	}
}
