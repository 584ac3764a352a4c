//go:build linux

package perch

import (
	"context"
	"log/slog"
)

// logGuard is the handler of a user's Logger: its code, which may panic. That costs a
// line.
type logGuard struct{ to slog.Handler }

// guarded is log with a guard, nil the default of Config.
func guarded(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(logGuard{errorsOnly{}})
	}
	if _, ok := log.Handler().(logGuard); ok {
		return log
	}
	return slog.New(logGuard{log.Handler()})
}

// Enabled implements slog.Handler.
func (g logGuard) Enabled(ctx context.Context, level slog.Level) (ok bool) {
	defer func() { recover() }()
	return g.to.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (g logGuard) Handle(ctx context.Context, r slog.Record) (err error) {
	defer func() { recover() }()
	return g.to.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (g logGuard) WithAttrs(a []slog.Attr) (h slog.Handler) {
	h = g
	defer func() { recover() }()
	return logGuard{g.to.WithAttrs(a)}
}

// WithGroup implements slog.Handler.
func (g logGuard) WithGroup(name string) (h slog.Handler) {
	h = g
	defer func() { recover() }()
	return logGuard{g.to.WithGroup(name)}
}

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
