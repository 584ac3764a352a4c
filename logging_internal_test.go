//go:build linux

package perch

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/perchws/perch/internal/wstest"
)

// stalledHandler is a slog.Handler that does not return before it is released. It counts
// the lines by their text.
type stalledHandler struct {
	entered, release chan struct{}

	mu    sync.Mutex
	lines map[string]int
}

func (h *stalledHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h *stalledHandler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *stalledHandler) WithGroup(string) slog.Handler            { return h }
func (h *stalledHandler) Handle(_ context.Context, r slog.Record) error {
	select {
	case h.entered <- struct{}{}:
	default:
	}
	<-h.release
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines[r.Message]++
	return nil
}

// A Logger that does not return holds up nobody: lines wait, up to a bound, then they
// are counted, and the log says how many it has lost.
func TestStalledLogger(t *testing.T) {
	const lines = maxLogged + 500
	h := &stalledHandler{entered: make(chan struct{}, 1), release: make(chan struct{}), lines: make(map[string]int)}
	wstest.NoLeaks(t)
	srv := New(Config{Addr: "127.0.0.1:0", Loops: 1, Logger: slog.New(h)})
	srv.Handle("/ws", Handler{OnOpen: func(c Conn, _ *Request) { c.Close(CloseNormal, "") }})
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	for range lines {
		srv.log.LogAttrs(srv.ctx, slog.LevelWarn, "planted")
	}
	wstest.Receive(t, "the handler to stall", h.entered)
	lost := srv.Stats().LogsLost
	if lost == 0 {
		t.Error("no line is lost")
	}
	c := wstest.Dial(t, srv.Addr().String(), "/ws")
	c.AnswerClose(CloseNormal)
	c.Close()
	ended := make(chan error, 2)
	go func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		srv.Shutdown(ctx)
		ended <- srv.Wait()
	}()
	if err := wstest.Receive(t, "the end of the server", ended); err != nil && !errors.Is(err, ErrServerClosed) {
		t.Errorf("Wait: %v", err)
	}
	close(h.release)
	srv.lines.flush(time.Minute)
	h.mu.Lock()
	defer h.mu.Unlock()
	told := h.lines["log lines lost: the Logger does not keep up"]
	if told == 0 || uint64(h.lines["planted"])+lost != lines {
		t.Errorf("%d lines written, %d lost; told %d times", h.lines["planted"], lost, told)
	}
}
