//go:build linux

package enginetest

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/wstest"
)

func TestMain(m *testing.M) { wstest.Main(m) }

// heldHandler is a Journal that does not take a line before it is released.
type heldHandler struct {
	Journal
	once             sync.Once
	entered, release chan struct{}
}

func (h *heldHandler) Handle(ctx context.Context, r slog.Record) error {
	h.once.Do(func() { close(h.entered) })
	<-h.release
	return h.Journal.Handle(ctx, r)
}

// Find waits for lines that a server has logged and that the Logger does not have yet: a test
// that finds too few lines, or none, means it.
func TestFindWaits(t *testing.T) {
	h := &heldHandler{entered: make(chan struct{}), release: make(chan struct{})}
	srv := StartRoute(t, perch.Config{Logger: slog.New(h), Origins: []string{"*"}}, Echo())
	<-h.entered
	if !writing() {
		t.Error("a server whose line is being written is not seen to write")
	}
	go close(h.release)
	if n := len(h.Find("every origin is allowed")); n != 1 {
		t.Errorf("%d lines, want 1", n)
	}
	srv.Close()
}
