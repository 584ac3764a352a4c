//go:build linux

package perch_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/wstest"
)

// stalledHandler is a slog.Handler whose reader is gone.
type stalledHandler struct {
	journal
	entered, release chan struct{}
}

func (h *stalledHandler) Handle(ctx context.Context, r slog.Record) error {
	select {
	case h.entered <- struct{}{}:
	default:
	}
	<-h.release
	return h.journal.Handle(ctx, r)
}

// A Logger that does not return holds up nobody: lines wait, up to a bound, then they
// are counted, and the log says how many it has lost.
func TestStalledLogger(t *testing.T) {
	const clients = 1500 // more than the lines that wait
	h := &stalledHandler{entered: make(chan struct{}, 1), release: make(chan struct{})}
	srv := startRoute(t, perch.Config{Loops: 1, Logger: slog.New(h), NewConnectionsPerSecond: -1}, perch.Handler{
		// What is logged each time, with no tally that leaves it out.
		OnOpen: func(c perch.Conn, _ *perch.Request) { c.Close(perch.CloseNormal, "") },
	})
	for range clients {
		srv.LogLine("planted")
	}
	wstest.Receive(t, "the handler to stall", h.entered)
	s := awaitStats(t, srv, "lines are lost", func(s *perch.Stats) bool { return s.LogsLost > 0 })
	c := dial(t, srv)
	c.AnswerClose(perch.CloseNormal)
	c.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	promptly(t, "Shutdown", func() error { return srv.Shutdown(ctx) })
	if err := promptly(t, "Wait", srv.Wait); err != nil && !errors.Is(err, perch.ErrServerClosed) {
		t.Errorf("Wait: %v", err)
	}
	close(h.release)
	srv.FlushLog(wstest.DefaultTimeout)
	lost := h.find("log lines lost")
	if len(lost) == 0 || uint64(len(h.find("planted")))+s.LogsLost != clients {
		t.Errorf("%d lines written, %d lost; told %d times", len(h.find("planted")), s.LogsLost, len(lost))
	}
}
