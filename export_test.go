//go:build linux

package perch

import (
	"log/slog"
	"time"
)

// IdleHTTP is how many plain HTTP connections net/http has found idle: clients
// have their responses a moment earlier.
func (srv *Server) IdleHTTP() int {
	srv.web.mu.Lock()
	defer srv.web.mu.Unlock()
	return srv.web.idle.Len()
}

// FlushLog waits until the Logger has what was logged before, or for so long.
func (srv *Server) FlushLog(most time.Duration) { srv.lines.flush(most) }

// LogLine logs a line as the engine does.
func (srv *Server) LogLine(msg string) { srv.log.LogAttrs(srv.ctx, slog.LevelWarn, msg) }
