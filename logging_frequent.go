//go:build linux

package perch

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"log/slog"
	"runtime"
)

// frequent is a kind of line that may be due often, because a peer, or a handler, can
// bring it about at will. Refused upgrades and slow ticks have tallies of their own.
type frequent int

const (
	frequentAccept   frequent = iota // out of descriptors
	frequentAnswer                   // OnUpgrade's answer cannot be sent
	frequentReserved                 // nor can the one to a request for a reserved path
	frequentHTTP                     // what net/http has to say
	frequentPanic                    // the first of panicKinds
	frequentKinds    = int(frequentPanic) + panicKinds
)

// panicKinds is how many kinds of panics there are: by the hash of their stacks, so that
// one that comes again and again does not hide another for long.
const panicKinds = 16

// frequentMore is what the line for those left out says.
var frequentMore = [frequentPanic + 1]struct {
	message string
	level   slog.Level
}{
	frequentAccept:   {"accepting paused again", slog.LevelWarn},
	frequentAnswer:   {"more answers of OnUpgrade that are none", slog.LevelError},
	frequentReserved: {"more requests for reserved paths without an answer", slog.LevelError},
	frequentHTTP:     {"more lines of net/http", slog.LevelWarn},
	frequentPanic:    {"more panics", slog.LevelError},
}

// newFrequent makes the tally of a server's frequent lines.
func newFrequent(srv *Server) *tally {
	return newTally(srv.clock, frequentKinds, tallyLines, 1, tallyInterval, func(kind int, left unsaid) {
		more := frequentMore[min(frequent(kind), frequentPanic)]
		srv.log.LogAttrs(srv.ctx, more.level, more.message, slog.Uint64("count", left.count))
	})
}

// often writes a line that may be due often, unless there were many. Any goroutine.
func (srv *Server) often(kind frequent, level slog.Level, message string, attrs ...slog.Attr) {
	if srv.log.Enabled(srv.ctx, level) && srv.frequent.take(int(kind), 0) {
		srv.log.LogAttrs(srv.ctx, level, message, attrs...)
	}
}

// panicKind is the kind of the panic, or Goexit, that the calling deferred function
// handles.
func panicKind() frequent {
	var stack [32]uintptr
	h := fnv.New32a()
	for _, pc := range stack[:runtime.Callers(2, stack[:])] {
		h.Write(binary.NativeEndian.AppendUint64(nil, uint64(pc)))
	}
	return frequentPanic + frequent(h.Sum32()%panicKinds)
}

// httpLog is where net/http writes its lines.
type httpLog struct{ srv *Server }

// Write implements io.Writer: p is one line.
func (w httpLog) Write(p []byte) (int, error) {
	w.srv.often(frequentHTTP, slog.LevelWarn, string(bytes.TrimSpace(p)))
	return len(p), nil
}
