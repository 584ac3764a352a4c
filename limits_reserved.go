//go:build linux

package perch

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/internal/closing"
	"github.com/perchws/perch/internal/spawn"
)

// reservedPath is a path of Config.Reserved: Config.HTTP answers its requests at any load. Such requests share nothing
// with others but the loop: they have no place among the connections, none in net/http, and no descriptor but their
// own. The handler runs on a goroutine and writes into memory; the loop sends the answer.
type reservedPath struct {
	srv *Server // immutable

	mu      sync.Mutex
	running int
	waiting []*probe
}

const (
	reservedAtOnce  = 16      // requests of one path whose handlers run at a time
	reservedWaiting = 1024    // requests of one path that wait for that
	reservedBody    = 8 << 20 // bytes of an answer
)

// probe is one request for a reserved path.
type probe struct {
	ref  Ref
	head []byte
	peer string               // as http.Request.RemoteAddr
	tls  *tls.ConnectionState // nil: none
}

// reservedPaths makes the table of Config.Reserved.
func reservedPaths(srv *Server) map[string]*reservedPath {
	paths := make(map[string]*reservedPath, len(srv.cfg.Reserved))
	for _, path := range srv.cfg.Reserved {
		paths[path] = &reservedPath{srv: srv}
	}
	return paths
}

// checkReserved checks Config.Reserved.
func checkReserved(c *Config) error {
	for _, path := range c.Reserved {
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#{} ") {
			return fmt.Errorf("Reserved: %q is not a path", path)
		}
	}
	if len(c.Reserved) > 0 && c.HTTP == nil {
		return errors.New("Reserved: there is no HTTP to answer")
	}
	return nil
}

// reservedFor returns the reserved path that a request is for; nil: none.
func (srv *Server) reservedFor(head handshake.Head) *reservedPath {
	if len(srv.reserved) == 0 || head.IsUpgrade() {
		return nil
	}
	switch string(head.Method()) {
	case http.MethodGet, http.MethodHead:
		return srv.reserved[string(head.Path())]
	}
	return nil
}

// serveReserved starts the answer to a request for a reserved path. The connection ends with the answer.
func (l *loop) serveReserved(i uint32, s *slot, path *reservedPath, r *Request) {
	l.own.Check()
	p := &probe{ref: l.conn(i, s).Ref(), head: bytes.Clone(r.head.Raw()), peer: "@"}
	if peer := l.peerAddr(i, s); peer.IsValid() {
		p.peer = peer.String()
	}
	if r.secure != nil {
		state := r.secure.ConnectionState()
		p.tls = &state
	}
	l.slab.thaw(s).refusal = nil // it is not refused any more
	l.step(i, s, closing.Deferred, why{})
	if !path.enqueue(p) {
		l.refuseBusy(i, s, r, http.StatusServiceUnavailable, "too many requests under way")
	}
}

// enqueue lets a request be answered, now or later. false: too many wait already.
func (path *reservedPath) enqueue(p *probe) bool {
	path.mu.Lock()
	defer path.mu.Unlock()
	switch {
	case path.running < reservedAtOnce:
		path.running++
		path.srv.spawn.Go(spawn.Reserved, func() { path.work(p) })
	case len(path.waiting) < reservedWaiting:
		path.waiting = append(path.waiting, p)
	default:
		return false
	}
	return true
}

// work runs on a goroutine, and answers requests as long as some wait.
func (path *reservedPath) work(p *probe) {
	for p != nil {
		b := path.answer(p)
		l := p.ref.l
		_ = l.put(post{kind: postReserved, slot: p.ref.slot, gen: p.ref.gen, do: func(c Conn) {
			l.answerReserved(c.slot, l.slab.at(c.slot), b)
		}}, nil) // an error: the loop has ended, and the connection with it
		p = path.next()
	}
}

// next is the request that has waited longest; nil: none waits.
func (path *reservedPath) next() *probe {
	path.mu.Lock()
	defer path.mu.Unlock()
	for len(path.waiting) > 0 {
		p := path.waiting[0]
		path.waiting[0] = nil
		if path.waiting = path.waiting[1:]; !p.ref.Closed() {
			return p
		}
	}
	path.waiting = nil
	path.running--
	return nil
}

// answer is the whole response to a request.
func (path *reservedPath) answer(p *probe) (response []byte) {
	failed := func(why string, attrs ...slog.Attr) []byte {
		path.srv.often(frequentReserved, slog.LevelError, why, attrs...)
		return handshake.AppendError(nil, http.StatusInternalServerError, "internal server error", nil)
	}
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(p.head)))
	if err != nil { // the loop's parser is stricter
		return handshake.AppendError(nil, http.StatusBadRequest, "bad request", nil)
	}
	req.Body, req.ContentLength, req.TransferEncoding = http.NoBody, 0, nil
	req.RemoteAddr, req.TLS = p.peer, p.tls
	answer := gathered{header: make(http.Header)}
	done := make(chan []byte, 1)
	path.srv.spawn.Go(spawn.Reserved, func() { // a goroutine of its own, because a handler may end it (runtime.Goexit)
		var b []byte
		defer func() {
			if v := recover(); v != nil {
				path.srv.outside.panics.Add(1)
				b = failed("handler panicked", slog.Any("error", v), slog.String("stack", string(debug.Stack())))
			} else if b == nil {
				b = failed("handler of a reserved path ended its goroutine", slog.String("path", req.URL.Path))
			}
			done <- b
		}()
		path.srv.cfg.HTTP.ServeHTTP(&answer, req)
		if b, err = answer.response(req, path.srv.clock.Wall()); err != nil {
			b = failed("answer of a reserved path cannot be sent", slog.String("path", req.URL.Path), slog.String("error", err.Error()))
		}
	})
	return <-done
}

// answerReserved sends the response to a request for a reserved path.
func (l *loop) answerReserved(i uint32, s *slot, b []byte) {
	l.own.Check()
	if s.state != stateDeciding { // the connection has ended meanwhile
		return
	}
	l.step(i, s, closing.Answered, why{})
	out := &l.slab.thaw(s).out
	out.Started(l.coarse)
	l.queued(i, s, out, out.ShareRaw(b)) // the response is not a frame, and must not be cut
}

// gathered is a ResponseWriter that keeps a whole answer.
type gathered struct {
	header http.Header
	sent   http.Header // header as it was at WriteHeader
	status int
	body   []byte
}

var errReservedBody = fmt.Errorf("perch: the answer of a reserved path has more than %d bytes", reservedBody)

// Header implements http.ResponseWriter.
func (g *gathered) Header() http.Header { return g.header }

// WriteHeader implements http.ResponseWriter.
func (g *gathered) WriteHeader(status int) {
	if g.status == 0 && status >= 200 {
		g.status, g.sent = status, g.header.Clone()
	}
}

// Write implements http.ResponseWriter.
func (g *gathered) Write(p []byte) (int, error) {
	g.WriteHeader(http.StatusOK)
	if len(g.body)+len(p) > reservedBody {
		return 0, errReservedBody
	}
	g.body = append(g.body, p...)
	return len(p), nil
}

// response is the written answer as bytes for the connection.
func (g *gathered) response(req *http.Request, now time.Time) ([]byte, error) {
	g.WriteHeader(http.StatusOK)
	h := g.sent
	h.Del("Content-Length")
	if len(g.body) > 0 && h.Get("Content-Type") == "" && h.Get("Content-Encoding") == "" {
		h.Set("Content-Type", http.DetectContentType(g.body))
	}
	if h.Get("Date") == "" {
		h.Set("Date", now.UTC().Format(http.TimeFormat))
	}
	resp := http.Response{
		StatusCode: g.status, ProtoMajor: 1, ProtoMinor: 1, Request: req, Header: h, Close: true,
		ContentLength: int64(len(g.body)), Body: io.NopCloser(bytes.NewReader(g.body)),
	}
	var b bytes.Buffer
	err := resp.Write(&b)
	return b.Bytes(), err
}
