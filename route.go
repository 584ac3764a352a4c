//go:build linux

package perch

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/internal/limit"
	"github.com/perchws/perch/internal/spawn"
)

// Route is a pattern with its handler, or the handler of dialled connections.
type Route struct {
	// Immutable after newRoute.
	srv       *Server
	index     uint32
	settings  Settings
	limits    frame.Limits
	other     [3]frame.Limits // see limitsOf
	traffic   limit.Traffic
	blocking  *BlockingHandler // nil: the callbacks below
	plain     bool             // messages go to onMessage, and nothing is counted
	onUpgrade func(*Request) Response
	onOpen    func(Conn, *Request)
	onMessage func(Conn, Opcode, []byte)
	onPing    func(Conn)
	onPong    func(Conn, time.Duration)
	onDrain   func(Conn)
	onGap     func(Conn, int)
	onClose   func(Conn, *CloseError)
	onAbandon func(any, error)

	// The heartbeat: of silence in coarse units until a ping, and until the end; 0
	// never. A ping goes before the end, however they are rounded.
	pingInterval, pingTimeout uint64
	period                    int64 // of the sweeps that this asks for, in ns
}

func newRoute(srv *Server, s Settings) (*Route, error) {
	s, err := s.resolve(&srv.cfg)
	if err != nil {
		return nil, err
	}
	r := &Route{srv: srv, settings: s, traffic: limit.NewTraffic(s.Rate.Messages, s.Rate.Burst, s.Rate.Bytes)}
	r.heartbeat(s.PingInterval, s.PingTimeout)
	r.limits = frame.Limits{MaxMessage: int64(s.MaxMessageSize), MaxFragments: s.MaxFragments}
	client := r.limits
	client.Client = true
	r.other = [3]frame.Limits{client, compressedLimits(r.limits), compressedLimits(client)}
	return r, nil
}

// limitsOf are those of a connection with these flags.
func (r *Route) limitsOf(f slotFlags) *frame.Limits {
	switch f & (flagClient | flagDeflate) {
	case flagClient:
		return &r.other[0]
	case flagDeflate:
		return &r.other[1]
	case flagClient | flagDeflate:
		return &r.other[2]
	}
	return &r.limits
}

func (r *Route) handle(h Handler) {
	r.onUpgrade, r.onOpen, r.onMessage, r.onClose = h.OnUpgrade, h.OnOpen, h.OnMessage, h.OnClose
	r.onAbandon = h.OnAbandon
	r.onPing, r.onPong, r.onDrain, r.onGap = h.OnPing, h.OnPong, h.OnDrain, h.OnGap
	r.plain = h.OnMessage != nil && !r.traffic.LimitsMessages()
}

// block is handle for handlers that run on the worker pool.
func (r *Route) block(h BlockingHandler) { r.blocking, r.onAbandon = &h, h.OnAbandon }

// abandon gives the value of a response back that has accepted what never opened.
func (r *Route) abandon(resp *Response, err error) {
	if value := resp.Value; r.onAbandon != nil && value != nil && !resp.refuses() {
		r.srv.spawn.Go(spawn.Abandon, func() {
			r.srv.guard(handlerPanicked, "", func() { r.onAbandon(value, err) })
		})
	}
}

// heartbeat takes over the times of the settings; 0: never.
func (r *Route) heartbeat(interval, timeout time.Duration) {
	r.pingInterval, r.pingTimeout = coarseSpan(interval), coarseSpan(timeout)
	if interval != 0 && timeout != 0 {
		r.pingTimeout = r.pingInterval + coarseSpan(timeout-interval) // two times of the same unit are still two
	}
	r.period = int64(maxSweep)
	for _, d := range []time.Duration{interval, timeout} {
		if d != 0 {
			r.period = min(r.period, sweepPeriod(d))
		}
	}
}

// routing finds the route of a request. It is built before the server starts
// and read by all loops.
type routing struct {
	literal map[string]*Route // paths without wildcards: they win over those with
	mux     *http.ServeMux    // all patterns
	hosts   bool              // some have a host: they win over all without
}

// add registers a pattern; conflicts and bad patterns panic, as in net/http.
func (t *routing) add(pattern string, r *Route) {
	t.mux.Handle(pattern, routeMark{r})
	path := strings.TrimPrefix(pattern, "GET ")
	switch {
	case !strings.HasPrefix(path, "/"):
		t.hosts = true // or another method, which is rare
	case !strings.Contains(path, "{") && !strings.HasSuffix(path, "/"):
		t.literal[path] = r
	}
}

// match returns the route for a head and, where the pattern has wildcards, the
// request with their values. nil: there is none.
func (t *routing) match(head handshake.Head) (*Route, *http.Request) {
	if r, ok := t.literal[string(head.Path())]; ok && !t.hosts {
		return r, nil
	}
	u, err := url.ParseRequestURI(string(head.Path()))
	if err != nil {
		return nil, nil
	}
	return t.search(u, string(head.Host()))
}

// matchRequest is match for a request that net/http has parsed.
func (t *routing) matchRequest(r *http.Request) (*Route, *http.Request) {
	if r, ok := t.literal[r.URL.EscapedPath()]; ok && !t.hosts {
		return r, nil
	}
	return t.search(&url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath}, r.Host)
}

func (t *routing) search(u *url.URL, host string) (*Route, *http.Request) {
	req := &http.Request{Method: http.MethodGet, URL: u, Host: host}
	var m matcher
	t.mux.ServeHTTP(&m, req)
	return m.route, m.req
}

// routeMark stands for a Route in the mux; it only tells the matcher.
type routeMark struct{ route *Route }

func (m routeMark) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if w, ok := w.(*matcher); ok {
		w.route, w.req = m.route, r
	}
}

// matcher is a ResponseWriter that only learns which handler was chosen; what
// the mux answers itself (404, redirects) is dropped.
type matcher struct {
	route *Route
	req   *http.Request
}

func (m *matcher) Header() http.Header         { return http.Header{} }
func (m *matcher) Write(p []byte) (int, error) { return len(p), nil }
func (m *matcher) WriteHeader(int)             {}

// routeTable is the server's routes by index. Entries of dialled connections
// are reused when their connection is reaped.
type routeTable struct {
	routes atomic.Pointer[[]*Route]
	free   []uint32 // under Server.mu
}
