//go:build linux

package perch

import (
	"context"
	"log/slog"
)

// errorsOnly is what a Config without a Logger logs: errors, which are faults of the
// application's own code for the most part, to slog.Default() as it is then.
type errorsOnly struct{}

func (errorsOnly) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError && slog.Default().Enabled(ctx, level)
}

func (errorsOnly) Handle(ctx context.Context, r slog.Record) error {
	return slog.Default().Handler().Handle(ctx, r)
}

func (e errorsOnly) WithAttrs([]slog.Attr) slog.Handler { return e }
func (e errorsOnly) WithGroup(string) slog.Handler      { return e }
