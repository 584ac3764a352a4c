//go:build linux

package perch

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/internal/closing"
)

// retryAfter goes with a refusal over a limit.
var retryAfter = http.Header{"Retry-After": {"5"}}

// upgrading is an upgrade whose decision is on the worker pool.
type upgrading struct {
	route    *Route
	request  *Request // detached
	key      string
	response Response
	rest     []byte // input behind the head
}

// readHead parses what has arrived of a request's head (RFC 6455 §4.2).
func (l *loop) readHead(i uint32, s *slot, b []byte) {
	l.own.Check()
	c := l.slab.coldOf(s)
	parser := l.input.parser
	if c != nil && c.parser != nil {
		parser = c.parser
	} else {
		parser.Reset()
	}
	n, err := parser.Request(b)
	switch {
	case err != nil:
		l.refuseError(i, s, nil, err)
	case n == 0:
		l.keep(s, b)
		if c = l.slab.coldOf(s); c.parser == nil { // it goes on with this connection, byte by byte perhaps
			c.parser, l.input.parser = parser, &handshake.Parser{Limits: l.srv.cfg.heads()}
		}
	default:
		if c != nil {
			c.parser = nil
			l.slab.freeze(s)
		}
		l.input.request = Request{
			head: parser.Head(b), fd: int(s.fd), kernel: l.kernel, addr: l.slab.proxied.Get(i), trusted: l.srv.cfg.TrustedProxies, secure: l.requestTLS(i, s),
		}
		l.input.request.unix = l.srv.shared != nil && l.srv.shared.unix && !l.input.request.addr.IsValid()
		l.requested(i, s, &l.input.request, b, n)
	}
}

// requested decides about a whole request; b[n:] is what came behind it.
func (l *loop) requested(i uint32, s *slot, r *Request, b []byte, n int) {
	l.own.Check()
	l.stats.Handshakes++
	if path := l.srv.reservedFor(r.head); path != nil {
		l.serveReserved(i, s, path, r)
		return
	}
	if s.flags&flagRefused != 0 {
		l.refuseOver(i, s, r)
		return
	}
	route, matched := l.srv.routing.match(r.head)
	switch {
	case route == nil && l.srv.cfg.HTTP == nil:
		kind := RefusedPlainHTTP
		if r.head.IsUpgrade() {
			kind = RefusedPath
		}
		l.refuse(i, s, refused{kind: kind, status: http.StatusNotFound, reason: "not found", request: r})
		return
	case route == nil:
		l.handOff(i, s, r, b[n-len(r.head.Raw()):]) // with all that has arrived: a body may follow
		return
	case !r.head.IsUpgrade():
		l.refuse(i, s, refused{kind: RefusedPlainHTTP, status: handshake.ErrNotUpgrade.Status, reason: handshake.ErrNotUpgrade.Reason, request: r})
		return
	}
	key, err := route.check(r.head)
	if err != nil {
		l.refuseError(i, s, r, err)
		return
	}
	if l.life.stopping {
		l.refuseStopping(i, s, r)
		return
	}
	if !l.countForwarded(i, s, r) {
		return
	}
	s.setRoute(route.index)
	r.matched = matched
	r.chosen = handshake.SelectSubprotocol(r.head, route.settings.Subprotocols)
	if route.blocking != nil && route.blocking.OnUpgrade != nil {
		l.decideLater(i, s, &upgrading{route: route, request: r.detached(), key: string(key), rest: append([]byte(nil), b[n:]...)})
		return
	}
	var resp Response
	if route.onUpgrade != nil {
		l.calling.begin(i, s)
		resp = route.onUpgrade(r)
		l.calling.end()
	}
	l.answer(i, s, route, r, key, resp, b[n:])
}

// errOrigin refuses an Origin that is not among those allowed (RFC 6455 §10.2).
var errOrigin = &handshake.Error{Status: http.StatusForbidden, Reason: "origin not allowed"}

// check judges an upgrade request for the route.
func (r *Route) check(head handshake.Head) (key []byte, err error) {
	if key, err = head.CheckUpgrade(); err != nil {
		return nil, err
	}
	if !handshake.OriginAllowed(head.Origin(), head.Host(), r.settings.Origins) {
		return nil, errOrigin
	}
	return key, nil
}

// choose sets the subprotocol that OnUpgrade has named, if it has.
func (r *Request) choose(subprotocol string) error {
	if subprotocol == "" {
		return nil
	}
	if handshake.SelectSubprotocol(r.head, []string{subprotocol}) == "" {
		return fmt.Errorf("subprotocol %q was not offered", subprotocol)
	}
	r.chosen = subprotocol
	return nil
}

// answer sends the response and, if it accepts, opens the connection: OnOpen,
// then what the client has already sent behind its request.
func (l *loop) answer(i uint32, s *slot, route *Route, r *Request, key []byte, resp Response, rest []byte) {
	l.own.Check()
	if resp.refuses() {
		l.refuse(i, s, refused{kind: resp.refusalKind(), status: l.srv.refusal(&resp), reason: resp.Reason, header: resp.Header, request: r})
		return
	}
	if err := r.choose(resp.Subprotocol); err != nil {
		l.refuseOurs(i, s, r, err)
		route.abandon(&resp, because(ErrNeverOpened, err))
		return
	}
	wanted := &l.srv.cfg.Compression
	var deflate handshake.Deflate
	var extensions string
	if !wanted.Disabled {
		deflate, extensions = wanted.wanted().Accept(r.head)
	}
	head := l.cork.buf
	if r.head.ExpectsContinue() {
		head = handshake.AppendContinue(head)
	}
	head, err := handshake.AppendSwitching(head, key, r.chosen, extensions, resp.Header)
	if err != nil {
		l.refuseOurs(i, s, r, err)
		route.abandon(&resp, because(ErrNeverOpened, err))
		return
	}
	l.cork.buf, l.cork.head, l.cork.of, l.cork.slot = head, len(head), i, s
	if extensions != "" {
		l.agree(i, s, deflate, *wanted)
	}
	l.opened(i, s, resp.Value)
	if route.blocking != nil {
		l.workOpen(i, s, route, r)
	} else if route.onOpen != nil {
		l.calling.begin(i, s)
		route.onOpen(l.conn(i, s), r)
		l.calling.end()
	}
	l.input.request = Request{}
	l.feed(i, s, rest, len(rest))
}

// refuseOurs refuses because OnUpgrade has answered what cannot be sent.
func (l *loop) refuseOurs(i uint32, s *slot, r *Request, err error) {
	l.own.Check()
	l.srv.often(frequentAnswer, slog.LevelError, "OnUpgrade's response cannot be sent", slog.String("error", err.Error()))
	l.refuse(i, s, refused{kind: RefusedFault, status: http.StatusInternalServerError, reason: "internal server error", request: r})
}

// refuseStopping refuses because the server is going away. r may be nil.
func (l *loop) refuseStopping(i uint32, s *slot, r *Request) {
	l.own.Check()
	l.refuse(i, s, *stopping(r))
}

// goingAway is what a client of a server that is going away is told.
const goingAway = "server going away"

// stopping is the refusal of a server that is going away.
func stopping(r *Request) *refused {
	return &refused{kind: RefusedStopping, status: http.StatusServiceUnavailable, reason: goingAway, header: retryAfter, request: r}
}

// opened enters the open state.
func (l *loop) opened(i uint32, s *slot, value any) {
	l.own.Check()
	l.step(i, s, closing.Opened, why{})
	s.flags |= flagOpened
	l.stats.Opened++
	l.hasten(l.routeOf(s).period)
	if value != nil {
		l.slab.values.set(i, value)
	}
}

// refuseError answers a request that is at fault; r is nil if it cannot be read.
func (l *loop) refuseError(i uint32, s *slot, r *Request, err error) {
	l.own.Check()
	var he *handshake.Error
	if !errors.As(err, &he) {
		he = &handshake.Error{Status: http.StatusBadRequest, Reason: "bad request"}
	}
	l.stats.BadHandshakes++
	l.refuse(i, s, refused{kind: kindOf(he), status: he.Status, reason: he.Reason, request: r})
}

// kindOf is the kind of refusal that a fault leads to.
func kindOf(fault *handshake.Error) Refusal {
	switch fault {
	case errOrigin:
		return RefusedOrigin
	case handshake.ErrNotUpgrade:
		return RefusedPlainHTTP
	}
	return RefusedRequest
}

// readAnswer is the client's side of it: the response to our request.
func (l *loop) readAnswer(i uint32, s *slot, b []byte) {
	l.own.Check()
	c := l.slab.thaw(s)
	d := c.dial
	if d.refused != nil {
		l.refusedBy(i, s, d, b)
		return
	}
	n, err := d.parser.Response(b)
	for err == nil && n > 0 && d.parser.Head(b).Interim() {
		if d.interim++; d.interim > interimHeads {
			l.fail(i, s, because(ErrDial, errInterim))
			return
		}
		d.parser.Reset()
		b = b[n:]
		n, err = d.parser.Response(b)
	}
	if err == nil && n == 0 {
		if len(b) > 0 {
			l.keep(s, b)
		}
		return
	}
	if err == nil && d.parser.Head(b).Status() != http.StatusSwitchingProtocols {
		d.refused = newRefusedDial(d.parser.Head(b))
		l.refusedBy(i, s, d, b)
		return
	}
	var chosen string
	var deflate handshake.Deflate
	var deflates bool
	if err == nil {
		chosen, err = d.parser.Head(b).CheckResponse(d.key, d.protocols, d.offer)
	}
	if err == nil && d.offer != "" {
		deflate, deflates, err = d.compression.wanted().Check(d.parser.Head(b))
	}
	if err != nil {
		l.fail(i, s, because(ErrDial, err))
		return
	}
	r := &Request{head: d.parser.Head(b), fd: int(s.fd), kernel: l.kernel, chosen: chosen, secure: l.requestTLS(i, s)}
	route := l.routeOf(s)
	if deflates {
		l.agree(i, s, deflate, d.compression)
	}
	l.endDial(c)
	l.opened(i, s, nil)
	l.cork.of, l.cork.slot = i, s
	if route.onOpen != nil {
		l.calling.begin(i, s)
		route.onOpen(l.conn(i, s), r)
		l.calling.end()
	}
	l.feed(i, s, b[n:], len(b)-n)
}
