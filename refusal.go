//go:build linux

package perch

import (
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/internal/closing"
)

// Refusal is why a client did not get the WebSocket connection that it came for. Each
// is counted in Stats.Refusals, and leaves a line in the log with the client's address,
// what it was answered, path (never the query, which may have a token), host and origin;
// of many of one kind and status only the first few in ten seconds, and a line with the number of
// the others.
type Refusal uint8

// The kinds of refusals.
const (
	RefusedRequest   Refusal = iota // the request is at fault: 400, 405, 426 for another version, 431, 505
	RefusedPlainHTTP                // it is no upgrade, but for a path of WebSocket alone (426), or for none (404)
	RefusedPath                     // an upgrade for a path of nobody's: 404, or what Config.HTTP answers
	RefusedOrigin                   // a page of an origin that is not allowed: 403
	RefusedLimit                    // a limit on connections: 503, 429, or reset
	RefusedTimeout                  // HandshakeTimeout: 408, or closed before there could be an answer
	RefusedByHandler                // OnUpgrade has refused
	RefusedFault                    // a fault of ours, or of OnUpgrade's: 500
	RefusedStopping                 // the server is going away: 503
	RefusedTLS                      // no TLS, or a handshake that has failed; for Route.Upgrade, ErrTLS
	RefusedProxy                    // no good PROXY header
	RefusedHijack                   // ErrHijack, of Route.Upgrade
	refusalKinds
)

// RefusalKinds is how many kinds there are.
const RefusalKinds = int(refusalKinds)

// refusalKind says of each kind its name, and how loudly the log says it: a warning is
// for what those who run the server may have to change.
var refusalKind = [RefusalKinds]struct {
	name  string
	level slog.Level
}{
	RefusedRequest:   {"request", slog.LevelInfo},
	RefusedPlainHTTP: {"plain_http", slog.LevelDebug},
	RefusedPath:      {"path", slog.LevelInfo},
	RefusedOrigin:    {"origin", slog.LevelWarn},
	RefusedLimit:     {"limit", slog.LevelWarn},
	RefusedTimeout:   {"timeout", slog.LevelInfo},
	RefusedByHandler: {"handler", slog.LevelInfo},
	RefusedFault:     {"fault", slog.LevelWarn}, // what was at fault has a line of its own, an error
	RefusedStopping:  {"stopping", slog.LevelInfo},
	RefusedTLS:       {"tls", slog.LevelInfo},
	RefusedProxy:     {"proxy", slog.LevelWarn},
	RefusedHijack:    {"hijack", slog.LevelWarn},
}

// String is the kind as logs and metrics name it.
func (r Refusal) String() string {
	if int(r) < RefusalKinds {
		return refusalKind[r].name
	}
	return "unknown"
}

// refused is one refusal.
type refused struct {
	kind    Refusal
	status  int // of the answer; 0: none can be given
	reason  string
	header  http.Header   // of the answer
	request *Request      // nil: none was read, or it cannot be
	http    *http.Request // the same, as net/http has parsed it
	peer    netip.Addr    // the client, where request and http do not say
	quiet   bool          // it has asked for nothing: browsers connect ahead, and checks of a port do
}

// level is how loudly the log says it.
func (r *refused) level() slog.Level {
	if r.quiet {
		return slog.LevelDebug
	}
	return refusalKind[r.kind].level
}

// refusals are all of a server.
type refusals struct {
	counts [RefusalKinds]atomic.Uint64
	lines  *tally // its kinds: see lineKind
}

func newRefusals(srv *Server) refusals {
	kinds := RefusalKinds * len(refusalStatus)
	return refusals{lines: newTally(srv.clock, kinds, tallyLines, 1, tallyInterval, func(kind int, left unsaid) {
		of := refusalKind[kind/len(refusalStatus)]
		attrs := []slog.Attr{slog.String("kind", of.name), slog.Uint64("count", left.count)}
		if status := refusalStatus[kind%len(refusalStatus)]; status != 0 {
			attrs = append(attrs, slog.Int("status", status))
		}
		srv.log.LogAttrs(srv.ctx, of.level, "more upgrades refused", attrs...)
	})}
}

// refusalStatus are the answers that have lines of their own. The first stands for no
// answer, and for what an application answers beyond these.
var refusalStatus = [...]int{0, 400, 401, 403, 404, 405, 408, 413, 426, 429, 431, 500, 501, 503, 505}

// lineKind is the kind of the refusal's line: one by kind and status, so that many of one
// do not hide another.
func (r *refused) lineKind() int {
	return int(r.kind)*len(refusalStatus) + max(slices.Index(refusalStatus[:], r.status), 0)
}

// note counts a refusal, and writes its line unless there are many. Any goroutine.
func (srv *Server) note(r *refused) {
	srv.refusals.counts[r.kind].Add(1)
	level := r.level()
	if !srv.log.Enabled(srv.ctx, level) || !srv.refusals.lines.take(r.lineKind(), 0) {
		return
	}
	attrs := []slog.Attr{slog.String("kind", r.kind.String())}
	path, host, origin, peer := "", "", "", r.peer
	switch {
	case r.request != nil:
		head := r.request.head
		path, host, origin, peer = string(head.Path()), string(head.Host()), r.request.Origin(), r.request.RemoteAddr()
	case r.http != nil:
		path, host, origin, peer = r.http.URL.EscapedPath(), r.http.Host, r.http.Header.Get("Origin"), srv.ClientAddr(r.http)
	}
	if peer.IsValid() && peer != unixPeer {
		attrs = append(attrs, slog.String("remote", peer.String()))
	}
	if r.status != 0 {
		attrs = append(attrs, slog.Int("status", r.status))
	}
	attrs = append(attrs, slog.String("reason", shown(r.reason)))
	if r.request != nil || r.http != nil {
		attrs = append(attrs, slog.String("path", shown(path)), slog.String("host", shown(host)))
	}
	if origin != "" {
		attrs = append(attrs, slog.String("origin", shown(origin)))
	}
	srv.log.LogAttrs(srv.ctx, level, "upgrade refused", attrs...)
}

// shownBytes is how much of what a client may have sent a line of the log shows.
const shownBytes = 256

// shown is s, or the beginning of it.
func shown(s string) string {
	if len(s) > shownBytes {
		return s[:shownBytes] + "…"
	}
	return s
}

// refuse answers with an HTTP error and ends the connection so that the client
// can read it.
func (l *loop) refuse(i uint32, s *slot, r refused) {
	l.own.Check()
	l.step(i, s, closing.Refused, why{refusal: &r})
}

// append appends the answer.
func (r *refused) append(dst []byte) []byte {
	return handshake.AppendError(dst, r.status, r.reason, r.header)
}

// noteOf notes the refusal of a connection.
func (l *loop) noteOf(i uint32, s *slot, r *refused) {
	l.own.Check()
	if r.request == nil && !r.peer.IsValid() && s.fd >= 0 && l.srv.log.Enabled(l.srv.ctx, r.level()) {
		r.peer = l.peerAddr(i, s).Addr()
	}
	l.srv.note(r)
}
