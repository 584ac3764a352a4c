//go:build linux

package perch

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/internal/sock"
)

// Why an upgrade inside of net/http was refused, found with errors.Is in an
// UpgradeError. A fault of the request is a *handshake.Error.
var (
	// ErrHTTPVersion: WebSocket over HTTP/2 is not spoken here.
	ErrHTTPVersion = errors.New("perch: WebSocket needs HTTP/1.1")
	// ErrHijack: the ResponseWriter, or the connection under it, cannot be taken
	// out of net/http. A middleware or a listener has wrapped it, perhaps.
	ErrHijack = errors.New("perch: connection cannot be taken over")
	// ErrTLS: the connection's TLS is that of a listener which is not ours: see
	// TLSListener.
	ErrTLS = errors.New("perch: TLS of a foreign listener")
	// ErrTooMany: a limit on connections, or on new ones, is reached.
	ErrTooMany = errors.New("perch: too many connections")
	// ErrRejected: OnUpgrade has refused, or panicked (ErrPanic too).
	ErrRejected = errors.New("perch: rejected by OnUpgrade")
)

// UpgradeError says why Route.Upgrade has refused a request, and with what.
type UpgradeError struct {
	Status int    // of the response
	Reason string // its body
	Err    error
}

// Error implements error.
func (e *UpgradeError) Error() string {
	return fmt.Sprintf("perch: upgrade refused with status %d, %s: %v", e.Status, e.Reason, e.Err)
}

// Unwrap returns the cause.
func (e *UpgradeError) Unwrap() error { return e.Err }

// taking is an upgrade that net/http has parsed, on its way to a loop.
type taking struct {
	upgrading
	counted addrKey        // whom the connection is counted for
	peer    netip.AddrPort // as a PROXY header told it
	wire    *wire          // its TLS; nil: it has none
}

// ServeHTTP makes all of the server's routes an http.Handler, for a net/http
// server of somebody else's: see [Route.Upgrade]. What is for none of them is
// Config.HTTP's.
func (srv *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	route, matched := srv.routing.matchRequest(req)
	switch {
	case route != nil:
		route.upgrade(w, req, matched)
	case srv.cfg.HTTP != nil:
		srv.serveHTTP(w, req)
	default:
		kind := RefusedPlainHTTP
		if asksForUpgrade(req) {
			kind = RefusedPath
		}
		srv.note(&refused{kind: kind, status: http.StatusNotFound, reason: "not found", http: req})
		http.Error(w, "not found", http.StatusNotFound)
	}
}

// ServeHTTP is Upgrade for a router of any kind: the route is an http.Handler.
func (r *Route) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.upgrade(w, req, req) }

// Upgrade takes the connection of a request over from a net/http server: any
// one, with any router; the server of the route must be started, but needs no
// listener. What a client may ask, and what it is answered, is as on a listener
// of the engine's own, and all limits hold. Header fields that are set on w go
// into the response; the path values of req are those of the Request, whose
// HTTP method returns req. OnUpgrade is called on this goroutine.
//
// On success the connection belongs to one of the loops, with all that net/http
// has buffered of it, and neither w nor the connection may be used any more.
// Otherwise the request has been answered, and the error, an *UpgradeError, says
// why.
//
// Nothing may have been written to w before. The connection must be TCP or a
// unix socket as package net made it; over TLS it must have come from the engine
// or from a TLSListener.
func (r *Route) Upgrade(w http.ResponseWriter, req *http.Request) error {
	return r.upgrade(w, req, req)
}

// upgrade takes path values from matched, which may be nil.
func (r *Route) upgrade(w http.ResponseWriter, req, matched *http.Request) error {
	own, _ := req.Context().Value(webConnKey{}).(*webConn)
	if own != nil && own.web.srv != r.srv {
		own = nil // another engine's: it is as foreign as any
	}
	t, header, err := r.consider(w, req, matched, own)
	if err == nil {
		if err = r.takeOver(w, t, own); err == nil {
			return nil
		}
		r.abandon(&t.response, because(ErrNeverOpened, err))
	}
	var no *UpgradeError
	if !errors.As(err, &no) {
		no = &UpgradeError{Status: http.StatusInternalServerError, Reason: "internal server error", Err: err}
	}
	var fault *handshake.Error
	switch {
	case errors.As(err, &fault) && fault != handshake.ErrNotUpgrade: // plain HTTP is no fault
		r.srv.outside.bad.Add(1)
	case errors.Is(err, ErrTooMany):
		r.srv.outside.refused.Add(1)
	}
	if own != nil {
		own.noted = true
	}
	r.srv.note(&refused{kind: takeoverKind(no), status: no.Status, reason: reasonOf(no), http: req})
	if no.Status == http.StatusServiceUnavailable || no.Status == http.StatusTooManyRequests {
		header = retryAfter
	}
	if broken, ok := errors.AsType[*hijacked](err); ok {
		broken.conn.Write(handshake.AppendError(nil, no.Status, no.Reason, header))
		broken.conn.Close()
		if error(no) != broken.err {
			no.Err = broken.err
		}
		return no
	}
	for name, values := range header {
		for _, v := range values {
			w.Header().Add(name, v)
		}
	}
	handshake.AddDemanded(w.Header(), no.Status)
	http.Error(w, no.Reason, no.Status)
	return no
}

// takeoverKind is the kind of refusal that an error of Upgrade is.
func takeoverKind(err *UpgradeError) Refusal {
	var fault *handshake.Error
	switch {
	case errors.As(err, &fault):
		return kindOf(fault)
	case errors.Is(err, ErrHTTPVersion):
		return RefusedRequest
	case errors.Is(err, ErrTooMany):
		return RefusedLimit
	case errors.Is(err, ErrPanic):
		return RefusedFault
	case errors.Is(err, ErrRejected):
		return RefusedByHandler
	case errors.Is(err, ErrServerClosed):
		return RefusedStopping
	case errors.Is(err, ErrTLS):
		return RefusedTLS
	case errors.Is(err, ErrHijack):
		return RefusedHijack
	}
	return RefusedFault
}

// reasonOf is what the log says of err: the client is not told what is wrong with our
// own end.
func reasonOf(err *UpgradeError) string {
	if err.Status == http.StatusInternalServerError && !errors.Is(err, ErrRejected) {
		return err.Err.Error()
	}
	return err.Reason
}

// consider judges a request; header goes with a refusal by OnUpgrade.
func (r *Route) consider(w http.ResponseWriter, req, matched *http.Request, own *webConn) (t *taking, header http.Header, err error) {
	srv := r.srv
	if req.ProtoMajor != 1 {
		return nil, nil, &UpgradeError{http.StatusHTTPVersionNotSupported, "WebSocket needs HTTP/1.1", ErrHTTPVersion}
	}
	if !srv.running.Load() {
		return nil, nil, &UpgradeError{http.StatusServiceUnavailable, "server going away", ErrServerClosed}
	}
	parser := &handshake.Parser{Limits: handshake.Most} // net/http has had its own
	raw := headOf(req)
	n, err := parser.Request(raw)
	if err == nil && n != len(raw) {
		err = handshake.ErrNotUpgrade // of a Request that somebody has put together wrongly
	}
	var key []byte
	if err == nil {
		key, err = r.check(parser.Head(raw))
	}
	if fault, ok := errors.AsType[*handshake.Error](err); ok {
		return nil, nil, &UpgradeError{fault.Status, fault.Reason, err}
	}
	if !canHijack(w) {
		return nil, nil, fmt.Errorf("%w: %T is no http.Hijacker", ErrHijack, w)
	}
	request := &Request{head: parser.Head(raw), fd: -1, trusted: srv.cfg.TrustedProxies, matched: matched, http: req}
	request.addr = peerOf(req)
	request.unix = !request.addr.IsValid()
	request.chosen = handshake.SelectSubprotocol(request.head, r.settings.Subprotocols)
	resp := r.ask(request)
	if resp.refuses() {
		why := ErrRejected
		if resp.failed {
			why = fmt.Errorf("%w: %w", ErrRejected, ErrPanic)
		}
		return nil, resp.Header, &UpgradeError{srv.refusal(&resp), resp.Reason, why}
	}
	// What cannot be sent is said now; the loop does it again, and knows better.
	err = request.choose(resp.Subprotocol)
	if err == nil {
		_, err = handshake.AppendSwitching(nil, key, request.chosen, "", resp.Header)
	}
	if err != nil {
		srv.often(frequentAnswer, slog.LevelError, "OnUpgrade's response cannot be sent", slog.String("error", err.Error()))
		r.abandon(&resp, because(ErrNeverOpened, err))
		return nil, nil, err
	}
	resp.Header = merged(w.Header(), resp.Header)
	return &taking{upgrading: upgrading{route: r, request: request, key: string(key), response: resp}}, nil, nil
}

// ask calls OnUpgrade.
func (r *Route) ask(request *Request) (resp Response) {
	f := r.onUpgrade
	if r.blocking != nil {
		f = r.blocking.OnUpgrade
	}
	if f == nil {
		return resp
	}
	if !r.srv.guard(handlerPanicked, "", func() { resp = f(request) }) {
		return failedUpgrade
	}
	return resp
}

// hijacked is an error after the hijack: it is answered on the connection.
type hijacked struct {
	conn net.Conn
	err  error
}

func (e *hijacked) Error() string { return e.err.Error() }
func (e *hijacked) Unwrap() error { return e.err }

// takeOver moves the connection to a loop.
func (r *Route) takeOver(w http.ResponseWriter, t *taking, own *webConn) error {
	srv := r.srv
	if err := srv.countTaken(t, own); err != nil {
		return err
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		srv.uncountTaken(t, own)
		return fmt.Errorf("%w: %w", ErrHijack, err)
	}
	socket, raw, err := socketOf(conn)
	if err == nil {
		t.wire = wireOf(conn)
		t.rest, err = t.unread(buffered.Reader, conn)
	}
	if err == nil {
		l := srv.loops[srv.nextDial.Add(1)%uint32(len(srv.loops))]
		var below net.Conn
		if t.wire != nil {
			below = t.wire.leave(l)
		}
		if err = l.enter(raw, post{kind: postTake, taking: t}); err == nil {
			if own != nil {
				own.leave(false)
			}
			socket.Close() // our descriptor; the loop has its own
			return nil
		}
		if t.wire != nil {
			t.wire.socket = below
		}
		if errors.Is(err, ErrClosed) {
			err = &UpgradeError{http.StatusServiceUnavailable, "server going away", ErrServerClosed}
		}
	}
	srv.uncountTaken(t, own)
	return &hijacked{conn, err}
}

// countTaken counts the connection, unless it is counted already.
func (srv *Server) countTaken(t *taking, own *webConn) error {
	tooMany := func(status int, reason string) error { return &UpgradeError{status, reason, ErrTooMany} }
	if own != nil {
		t.counted, t.peer = own.key, own.peer
	} else if srv.connections.Add(1) > int64(srv.maxConnections) && !srv.makeRoom() {
		srv.connections.Add(-1)
		return tooMany(http.StatusServiceUnavailable, "too many connections")
	}
	key := t.counted
	if key == (addrKey{}) {
		key = keyOf(t.request.RemoteAddr())
	}
	if own != nil && key == t.counted { // it is no new connection, and counted
		return nil
	}
	if status, reason := srv.admit(key, own == nil, srv.clock.Now()); status != 0 {
		srv.uncountTaken(t, own)
		return tooMany(status, reason)
	}
	t.counted = key
	return nil
}

// uncountTaken takes countTaken back.
func (srv *Server) uncountTaken(t *taking, own *webConn) {
	if own == nil {
		srv.uncount(t.counted)
	} else if own.key != t.counted {
		srv.addrs.remove(t.counted)
	}
}

// take opens a connection whose upgrade was decided about outside.
func (l *loop) take(t *taking) {
	l.own.Check()
	fd, ok := sock.Receive(l.http.pair)
	if !ok {
		l.stats.AcceptErrors++
		l.srv.uncount(t.counted)
		l.srv.note(&refused{kind: RefusedLimit, reason: "no descriptor was free for it", request: t.request})
		t.route.abandon(&t.response, ErrNeverOpened)
		return
	}
	i, s, err := uint32(0), (*slot)(nil), ErrShutdown
	flags := flagIn
	if t.wire != nil {
		flags |= flagTLS
	}
	if !l.life.stopping {
		i, s, err = l.adopt(fd, stateHandshake, flags)
	}
	if err != nil {
		b := handshake.AppendError(nil, http.StatusServiceUnavailable, "server going away", retryAfter)
		if t.wire != nil {
			l.srv.guard(tlsCallbackPanicked, "", func() {
				t.wire.conn.Write(b)
				t.wire.conn.CloseWrite()
			})
			b, l.tls.sealed = l.tls.sealed, l.tls.sealed[:0]
		}
		l.srv.note(&refused{kind: RefusedStopping, status: http.StatusServiceUnavailable, reason: "server going away", request: t.request})
		t.route.abandon(&t.response, because(ErrNeverOpened, err))
		l.kernel.Send(fd, b)
		l.kernel.Close(fd)
		l.srv.uncount(t.counted)
		return
	}
	l.slab.setPeer(i, t.counted)
	l.slab.setProxied(i, t.peer)
	l.stats.TakenOver++
	s.setRoute(t.route.index)
	defer l.recovered()
	n := copy(l.input.buf, t.rest)
	if t.wire == nil {
		l.answer(i, s, t.route, t.request, []byte(t.key), t.response, l.input.buf[:n])
		return
	}
	l.takeWire(i, s, t.wire)
	l.answer(i, s, t.route, t.request, []byte(t.key), t.response, l.input.buf[:n])
	if s.state.reads() && s.state != stateLingering {
		l.unseal(i, s, t.wire, nil) // what has come with the request: no event would tell
	}
}

// takeWire is the slot's TLS from now on.
func (l *loop) takeWire(i uint32, s *slot, w *wire) {
	l.own.Check()
	w.bare, w.sent = false, 0
	l.slab.setWire(i, w)
	if len(w.unsent) > 0 {
		l.tls.sealed = append(l.tls.sealed, w.unsent...)
		w.unsent = nil
		l.push(i, s, w)
	}
}

// webConnKey finds the webConn in the context of a request that came over it.
type webConnKey struct{}

// headOf is a request's head as it may have looked, for the parser whose rules
// are in force everywhere.
func headOf(req *http.Request) []byte {
	target := req.RequestURI
	if target == "" {
		target = req.URL.RequestURI()
	}
	b := fmt.Appendf(nil, "%s %s HTTP/1.%d\r\nHost: %s\r\n", oneLine(req.Method), oneLine(target), req.ProtoMinor, oneLine(req.Host))
	for _, coding := range req.TransferEncoding { // net/http takes it out of the Header
		b = fmt.Appendf(b, "Transfer-Encoding: %s\r\n", oneLine(coding))
	}
	for _, name := range slices.Sorted(maps.Keys(req.Header)) {
		for _, v := range req.Header[name] {
			b = fmt.Appendf(b, "%s: %s\r\n", oneLine(name), oneLine(v))
		}
	}
	return append(b, "\r\n"...)
}

// oneLine is s, or what the parser will refuse: net/http lets no line end
// through, but a middleware may have set a field to what it was told.
func oneLine(s string) string {
	if strings.ContainsAny(s, "\r\n") {
		return "\x00"
	}
	return s
}

// peerOf is the other end of the request's connection, as far as net/http, or
// a middleware that knows better, has told it.
func peerOf(req *http.Request) netip.AddrPort {
	if ap, err := netip.ParseAddrPort(req.RemoteAddr); err == nil {
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	a, _ := netip.ParseAddr(req.RemoteAddr) // "@": a unix socket
	return netip.AddrPortFrom(a.Unmap(), 0)
}

// ClientAddr is the address of a plain HTTP request's client, as
// [Request.RemoteAddr] is of an upgrade: X-Forwarded-For is walked over
// Config.TrustedProxies. The RemoteAddr of req is what net/http's users expect, the
// connection's other end. The zero value: nobody knows, behind a unix socket.
func (srv *Server) ClientAddr(req *http.Request) netip.Addr {
	peer := peerOf(req).Addr()
	if !peer.IsValid() {
		peer = unixPeer
	}
	a := handshake.ForwardedForLines(req.Header.Values("X-Forwarded-For"), peer, srv.cfg.TrustedProxies)
	if a == unixPeer {
		return netip.Addr{}
	}
	return a
}
