//go:build linux

package perch

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/internal/sock"
)

// Request is the request that a connection begins with. It is valid until
// OnOpen returns; the strings its methods return are copies and stay.
type Request struct {
	head    handshake.Head
	fd      int            // −1: addr is known
	kernel  sock.Kernel    // asked about fd
	addr    netip.AddrPort // of the socket's other end; asked for when it is needed
	unix    bool           // the socket is one: it has no address
	trusted []netip.Prefix
	matched *http.Request // has the path values; nil for a literal pattern
	chosen  string        // the subprotocol
	http    *http.Request // taken over from net/http
	secure  *tls.Conn     // nil: no TLS
}

// HTTP is the request as net/http has parsed it, with what handlers in front of
// Route.Upgrade have put into its context; nil if a loop has parsed it. It is to
// be read only.
func (r *Request) HTTP() *http.Request { return r.http }

// Method is the request's method: GET.
func (r *Request) Method() string { return string(r.head.Method()) }

// Path is the path of the target, as it was sent.
func (r *Request) Path() string { return string(r.head.Path()) }

// PathValue is what matched the named wildcard of the route's pattern.
func (r *Request) PathValue(name string) string {
	if r.matched == nil {
		return ""
	}
	return strings.Clone(r.matched.PathValue(name))
}

// RawQuery is the query of the target without the "?".
func (r *Request) RawQuery() string { return string(r.head.RawQuery()) }

// Query is the first value of a query parameter. It parses the query each time.
func (r *Request) Query(name string) string {
	q := r.head.RawQuery()
	if len(q) == 0 {
		return ""
	}
	v, _ := url.ParseQuery(string(q)) // what is well-formed counts, as in net/http
	return v.Get(name)
}

// Header is the first value of a header; the case of name does not matter.
func (r *Request) Header(name string) string { return string(r.head.Header(name)) }

// Headers calls f with every header, in order.
func (r *Request) Headers(f func(name, value string) bool) {
	for name, value := range r.head.Each {
		if !f(string(name), string(value)) {
			return
		}
	}
}

// Cookie is the value of a cookie.
func (r *Request) Cookie(name string) string { return string(r.head.Cookie(name)) }

// Host is host[:port] as the client named us.
func (r *Request) Host() string { return string(r.head.Host()) }

// Origin is the page's origin; empty if the client is no browser.
func (r *Request) Origin() string { return string(r.head.Header("Origin")) }

// Subprotocols are those offered, in order.
func (r *Request) Subprotocols() []string {
	var all []string
	for p := range r.head.Subprotocols {
		all = append(all, string(p))
	}
	return all
}

// Subprotocol is the one chosen; in OnUpgrade, the one that will be chosen
// unless the Response names another.
func (r *Request) Subprotocol() string { return r.chosen }

// Bearer is the token that came as subprotocol "bearer.<token>", not decoded.
func (r *Request) Bearer() string { return string(r.head.BearerSubprotocol()) }

// TLS is the state of the connection's TLS, with the certificates of a client that
// has sent some; nil without TLS.
func (r *Request) TLS() *tls.ConnectionState {
	if r.secure == nil {
		if r.http != nil {
			return r.http.TLS
		}
		return nil
	}
	state := r.secure.ConnectionState()
	return &state
}

// detached is a copy of r for a goroutine that is not the loop's, where the
// descriptor means nothing.
func (r *Request) detached() *Request {
	head := append([]byte(nil), r.head.Raw()...)
	parser := &handshake.Parser{Limits: handshake.Most}
	if n, err := parser.Request(head); n != len(head) || err != nil {
		panic("perch: a head parses only once")
	}
	d := *r
	d.PeerAddr()
	d.fd, d.kernel, d.head = -1, nil, parser.Head(head)
	return &d
}
