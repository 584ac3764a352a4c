//go:build linux

package perch

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/internal/closing"
	"github.com/perchws/perch/internal/spawn"
)

// DialOptions are the options of DialWith. All of it is copied before DialWith returns, except the certificate pools
// and the session cache of TLS, which connections share and which are safe for that.
type DialOptions struct {
	Header       http.Header  // of the request
	Subprotocols []string     // offered, in order of preference
	LocalAddr    netip.Addr   // to connect from
	Compression  *Compression // offered, instead of Config's; its Threshold is not used
	TLS          *tls.Config  // of a wss:// URL; nil: the system's roots, the URL's host
}

// errDialTimeout is a dial that took longer than HandshakeTimeout.
var errDialTimeout = because(ErrDial, os.ErrDeadlineExceeded)

// dialing is a client connection that is not open yet.
type dialing struct {
	ctx         context.Context // below the caller's: it ends with the attempt
	route       *Route
	host        string      // of the URL, with its port as given
	tls         *tls.Config // of wss://; nil: ws://
	port        uint16
	local       netip.Addr       // to connect from
	addrs       []netip.AddrPort // not tried yet
	request     []byte           // to send
	key         string           // the key in the request
	protocols   []string         // the subprotocols that the request offers
	offer       string           // the extensions that the request offers
	compression Compression
	parser      handshake.Parser
	interim     int          // 1xx responses so far
	refused     *refusedDial // nil: the server has not refused
	err         error        // of the lookup, or of the address tried last
	cancel      func() bool
	release     context.CancelCauseFunc // ends ctx
}

// Dial opens a client connection on one of the server's loops. It returns at once. The outcome comes to h.OnOpen, or to
// h.OnClose with an error that wraps ErrDial, and is a [DialError] if the server has refused. ctx bounds the attempt,
// as HandshakeTimeout does; an open connection does not depend on it. h.Settings.Subprotocols are offered unless
// DialOptions has others. Settings.Origins may have one exact origin, which is sent as Origin. OnUpgrade is not used.
// Any goroutine; the server must be started. Errors: those of the URL, which must be ws:// or wss://; ErrServerClosed;
// ErrOverloaded when MaxConnections is reached.
func (srv *Server) Dial(ctx context.Context, url string, h Handler) error {
	return srv.DialWith(ctx, url, DialOptions{}, h)
}

// DialWith is Dial with options.
func (srv *Server) DialWith(ctx context.Context, rawURL string, o DialOptions, h Handler) error {
	if ctx == nil {
		return fmt.Errorf("%w: the context is nil", ErrDial)
	}
	if o.Subprotocols == nil {
		o.Subprotocols = h.Settings.Subprotocols
	}
	var err error
	if o.Header, err = withOrigin(o.Header, h.Settings.Origins); err != nil {
		return because(ErrDial, err)
	}
	d, err := srv.newDialing(rawURL, &o)
	if err != nil {
		return err
	}
	if !srv.running.Load() {
		return ErrServerClosed
	}
	if !srv.occupy() {
		return because(ErrDial, ErrOverloaded)
	}
	if d.route, err = srv.dialRoute(h); err != nil {
		srv.vacate()
		return fmt.Errorf("perch: %w", err)
	}
	d.ctx, d.release = context.WithCancelCause(ctx) // so that the loop calls no method of the caller's context
	l := srv.loops[srv.nextDial.Add(1)%uint32(len(srv.loops))]
	if err := l.put(post{kind: postDial, dial: d}, nil); err != nil {
		d.release(nil)
		srv.vacate()
		srv.releaseRoute(d.route.index)
		return ErrServerClosed
	}
	return nil
}

// newDialing prepares a connection to rawURL: its request, and its address if the URL
// has one. Errors wrap ErrDial.
func (srv *Server) newDialing(rawURL string, o *DialOptions) (*dialing, error) {
	u, port, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	d := &dialing{
		host: withoutZone(u.Host), port: port, local: o.LocalAddr,
		key: srv.handshakeKey(), protocols: slices.Clone(o.Subprotocols), parser: handshake.Parser{Limits: srv.cfg.heads()},
		compression: srv.cfg.Compression,
	}
	if u.Scheme == "wss" {
		d.tls = clientTLS(o.TLS, u.Hostname())
	}
	if o.Compression != nil {
		if d.compression, err = o.Compression.withDefaults(); err != nil {
			return nil, because(ErrDial, err)
		}
	}
	if !d.compression.Disabled {
		d.offer = d.compression.wanted().Offer()
	}
	d.request, err = handshake.AppendRequest(nil, d.host, u.RequestURI(), d.key, d.protocols, d.offer, o.Header)
	if err != nil {
		return nil, because(ErrDial, err)
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		d.addrs = []netip.AddrPort{netip.AddrPortFrom(a.Unmap(), d.port)}
	}
	return d, nil
}

// parseURL parses the URL (RFC 6455 §3), and finds its port.
func parseURL(rawURL string) (u *url.URL, port uint16, err error) {
	if u, err = url.Parse(rawURL); err != nil {
		return nil, 0, because(ErrDial, err)
	}
	switch {
	case u.Hostname() == "" || u.Fragment != "" || u.User != nil:
	case u.Scheme == "ws":
		port = 80
	case u.Scheme == "wss":
		port = 443
	}
	if port == 0 {
		return nil, 0, fmt.Errorf("%w: %q is not a ws:// or wss:// URL", ErrDial, rawURL)
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return nil, 0, fmt.Errorf("%w: port %q", ErrDial, p)
		}
		port = uint16(n)
	}
	return u, port, nil
}

// withOrigin returns header with the origin of a client's settings, in a copy, unless header has an origin already.
func withOrigin(header http.Header, origins []string) (http.Header, error) {
	if len(origins) == 0 {
		return header, nil
	}
	if err := handshake.CheckOrigin(origins[0]); err != nil || len(origins) > 1 || strings.Contains(origins[0], "*") {
		return nil, fmt.Errorf("Settings.Origins: %q: a client has one origin, an exact one", origins)
	}
	if header.Get("Origin") != "" {
		return header, nil
	}
	if header = header.Clone(); header == nil {
		header = make(http.Header)
	}
	header.Set("Origin", origins[0])
	return header, nil
}

// withoutZone is host as it is sent to the server. Our zones do not concern the server (RFC 6874 §4).
func withoutZone(host string) string {
	if i := strings.IndexByte(host, '%'); i >= 0 && host[0] == '[' {
		if end := strings.IndexByte(host, ']'); end > i {
			return host[:i] + host[end:]
		}
	}
	return host
}

// dial gives the attempt a slot and connects, as soon as the address is known.
func (l *loop) dial(d *dialing) {
	l.own.Check()
	i, s, ok := l.slab.alloc()
	if !ok || l.life.stopping {
		if ok {
			l.slab.dealloc(i, s)
		}
		l.srv.vacate()
		d.release(nil)
		defer l.srv.releaseRoute(d.route.index) // even if OnClose panics
		if d.route.onClose != nil {
			why := ErrOverloaded
			if l.life.stopping {
				why = ErrShutdown
			}
			l.callClose(Conn{}, d.route.onClose, &CloseError{Code: frame.CloseAbnormal, Err: because(ErrDial, why)})
		}
		return
	}
	s.fd, s.flags = -1, flagClient
	s.setRoute(d.route.index)
	l.step(i, s, closing.Dialled, why{})
	l.slab.thaw(s).dial = d
	cancelled := post{kind: postCancel, dial: d, slot: i, gen: s.gen.Load()}
	d.cancel = context.AfterFunc(d.ctx, func() { l.put(cancelled, nil) })
	if len(d.addrs) > 0 {
		l.connect(i, s, d)
		return
	}
	resolved := cancelled
	resolved.kind = postResolved
	l.srv.spawn.Go(spawn.Dial, func() { d.resolve(l, resolved) })
}

// resolve finds the addresses, on a goroutine of its own: it may block.
func (d *dialing) resolve(l *loop, done post) {
	defer l.put(done, nil)
	d.err = ErrPanic
	l.srv.guard("context of a dial panicked", "", d.lookup)
}

func (d *dialing) lookup() {
	host, _, err := net.SplitHostPort(d.host)
	if err != nil {
		host = d.host
	}
	addrs, err := net.DefaultResolver.LookupNetIP(d.ctx, "ip", host)
	d.err = err
	for _, a := range addrs {
		d.addrs = append(d.addrs, netip.AddrPortFrom(a.Unmap(), d.port))
	}
}

// connect begins the TCP connection, to the first address that may be tried: "localhost" is also ::1, where nobody may
// listen.
func (l *loop) connect(i uint32, s *slot, d *dialing) {
	l.own.Check()
	if s.state != stateConnecting {
		return
	}
	fd := -1
	for fd < 0 && len(d.addrs) > 0 {
		addr := d.addrs[0]
		d.addrs = d.addrs[1:]
		var e unix.Errno
		if fd, e = l.kernel.Connect(addr, d.local); e != 0 {
			d.err = e
		}
	}
	if fd < 0 {
		l.fail(i, s, because(ErrDial, d.err))
		return
	}
	l.kernel.SetBuffers(fd, l.srv.cfg.SendBuffer, l.srv.cfg.ReceiveBuffer)
	s.fd = int32(fd)
	s.flags |= flagOut
	if err := l.poller.Add(fd, l.token(i, s), interestOf(flagOut)); err != nil {
		l.fail(i, s, because(ErrDial, err))
	}
}

// connected begins TLS or sends the request, or finds that the connection has failed.
func (l *loop) connected(i uint32, s *slot) {
	l.own.Check()
	d := l.slab.coldOf(s).dial
	if e := l.kernel.Error(int(s.fd)); e != 0 {
		l.kernel.Close(int(s.fd))
		s.fd = -1
		d.err = e
		l.connect(i, s, d)
		return
	}
	if d.tls != nil {
		s.flags |= flagTLS
	}
	l.step(i, s, closing.Connected, why{})
}

// sendRequest sends the request of a dial.
func (l *loop) sendRequest(i uint32, s *slot) {
	l.own.Check()
	d := l.slab.coldOf(s).dial
	l.cork.buf = append(l.cork.buf, d.request...)
	l.cork.head = len(l.cork.buf)
	l.flushCork(i, s)
	if s.state != stateClosed {
		l.interest(i, s)
	}
}

// cancelDial ends an attempt whose context has ended.
func (l *loop) cancelDial(i uint32, s *slot, d *dialing) {
	l.own.Check()
	if c := l.slab.coldOf(s); c != nil && c.dial == d && s.state != stateClosed {
		l.step(i, s, closing.Broken, why{err: lost(because(ErrDial, context.Cause(d.ctx))), cause: closing.DialCancelled})
	}
}

// endDial forgets the attempt: it has succeeded or failed.
func (l *loop) endDial(c *cold) {
	l.own.Check()
	if c.dial != nil {
		if c.dial.cancel != nil {
			c.dial.cancel()
		}
		c.dial.release(nil)
		c.dial = nil
	}
}
