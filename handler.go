//go:build linux

package perch

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/perchws/perch/handshake"
)

// Handler has the callbacks of the connections of one route. They run on the connection's loop, one after the other,
// and must not block. Every field is optional. A zero setting is the server's.
type Handler struct {
	Settings

	// OnUpgrade decides about a request that is a correct upgrade from an allowed origin. nil accepts. For a request
	// that net/http has parsed (see Route.Upgrade) it runs on the goroutine of net/http.
	OnUpgrade func(r *Request) Response

	// OnOpen is the first callback of a connection. r is valid until it returns.
	OnOpen func(c Conn, r *Request)

	// OnMessage gets one whole message; text is valid UTF-8. p is valid until it
	// returns.
	OnMessage func(c Conn, op Opcode, p []byte)

	// OnPing is called when the engine is about to ping a silent connection. Messages that it sends leave together with
	// that ping.
	OnPing func(c Conn)

	// OnPong gets the round-trip time of the ping that the engine sent when the
	// connection was silent.
	OnPong func(c Conn, rtt time.Duration)

	// OnDrain is called when the queue, which was over half of MaxOutput, has fallen below a quarter of it.
	OnDrain func(c Conn)

	// OnGap, if set, changes the handling of messages for a connection whose queue is full: they are dropped, and OnGap
	// gets their number as soon as there is room, so that it can tell the peer. Without OnGap such a connection is
	// closed with 3000. No message is lost silently.
	OnGap func(c Conn, dropped int)

	// OnClose is the last callback of a connection that was open. ID and Value of c still work.
	OnClose func(c Conn, err *CloseError)

	// OnAbandon gets back the Value of a Response with which OnUpgrade has accepted a connection that then never
	// opened, so that its resources can be released: the client was gone or out of time, the server stopped, or the
	// response could not be sent. It runs on a goroutine of its own and may block; nothing waits for it. Each accepted
	// connection gets either OnOpen and later OnClose, or OnAbandon.
	OnAbandon func(value any, err error)
}

// BlockingHandler is a Handler whose functions run on the worker pool and may block. At most one runs at a time for a
// connection, in order; while the connection lags, it is not read. Routes take turns. A route that holds a worker
// already leaves one free for each blocking route that holds none; up to half of Config.Workers are kept free so. So
// with several routes none gets all the workers. With one worker a handler that blocks holds up all routes.
type BlockingHandler struct {
	Settings

	OnUpgrade func(r *Request) Response        // see Handler
	OnOpen    func(c Ref, r *Request)          // see Handler
	OnMessage func(c Ref, op Opcode, p []byte) // see Handler
	OnClose   func(c Ref, err *CloseError)     // see Handler; ID and Value of c still work
	OnAbandon func(value any, err error)       // see Handler
}

// Settings of one route; a zero field is the server's (see Config). Handle, Route and
// Dial copy them, lists too.
type Settings struct {
	Subprotocols   []string // in order of preference
	Origins        []string
	MaxMessageSize int
	MaxFragments   int
	Rate           Rate          // its Bytes must be at least MaxMessageSize; in Dial no limit
	PingInterval   time.Duration // if one of the two is set, the other follows from it: see Config
	PingTimeout    time.Duration
}

// Response answers an upgrade request. The zero value accepts it. Header is copied
// when OnUpgrade has returned.
type Response struct {
	Status      int         // 0 or 101: accept; any other: refuse
	Reason      string      // body of a refusal
	Header      http.Header // added to the response
	Subprotocol string      // instead of the one chosen from Settings.Subprotocols
	Value       any         // the connection's user value; see also Handler.OnAbandon

	rejected bool // by Reject, whatever Status is
	failed   bool // OnUpgrade has returned no answer
}

// failedUpgrade is the answer of an OnUpgrade that has panicked.
var failedUpgrade = Response{Status: http.StatusInternalServerError, Reason: "internal server error", rejected: true, failed: true}

// Reject refuses an upgrade with an HTTP status, 403 for instance, and a text as its body. A status that cannot refuse
// (0, 1xx, 204, 205, 304, or above 599) is sent as 500 and logged.
func Reject(status int, reason string) Response {
	return Response{Status: status, Reason: reason, rejected: true}
}

// refuses reports whether the upgrade is refused.
func (r *Response) refuses() bool {
	return r.rejected || r.Status != 0 && r.Status != http.StatusSwitchingProtocols
}

// refusalKind is the kind of refusal that r is.
func (r *Response) refusalKind() Refusal {
	if r.failed {
		return RefusedFault
	}
	return RefusedByHandler
}

// refusal is the status of a response that refuses. A status that cannot refuse is logged, because it is a fault of the
// application.
func (srv *Server) refusal(r *Response) int {
	if handshake.CanRefuse(r.Status) {
		return r.Status
	}
	srv.often(frequentAnswer, slog.LevelError, "OnUpgrade refuses with a status that cannot", slog.Int("status", r.Status), slog.String("reason", r.Reason))
	return http.StatusInternalServerError
}

// resolve fills s from the server's configuration.
func (s Settings) resolve(c *Config) (Settings, error) {
	d := Config{
		MaxMessageSize: s.MaxMessageSize, MaxFragments: s.MaxFragments,
		PingInterval: s.PingInterval, PingTimeout: s.PingTimeout,
	}
	if d.MaxMessageSize == 0 {
		d.MaxMessageSize = c.MaxMessageSize
	}
	if d.MaxFragments == 0 {
		d.MaxFragments = c.MaxFragments
	}
	if d.PingInterval == 0 && d.PingTimeout == 0 { // otherwise the missing one is derived from the other
		d.PingInterval, d.PingTimeout = orNever(c.PingInterval), orNever(c.PingTimeout)
	}
	d, err := d.withDefaults()
	base := c.Rate
	if s.MaxMessageSize != 0 { // a route with such messages must also let them come
		base.Bytes = max(base.Bytes, d.MaxMessageSize)
	}
	rate := s.Rate.defaults(base)
	if rate == nil {
		rate = s.Rate.fits(d.MaxMessageSize)
	}
	if err := errors.Join(err, rate, checkOrigins(s.Origins)); err != nil {
		return s, fmt.Errorf("route settings: %s", strings.ReplaceAll(unprefixed(err), "config: ", ""))
	}
	s.MaxMessageSize, s.MaxFragments = d.MaxMessageSize, d.MaxFragments
	s.PingInterval, s.PingTimeout = d.PingInterval, d.PingTimeout
	s.Subprotocols = slices.Clone(s.Subprotocols)
	if s.Origins == nil {
		s.Origins = c.Origins
	}
	s.Origins = slices.Clone(s.Origins)
	return s, nil
}

// orNever turns a resolved duration back into the form that withDefaults takes.
func orNever(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}
