package handshake

import (
	"strconv"
)

// Deflate is permessage-deflate (RFC 7692) as one side wants it, or as both have
// agreed on it. Wanted, it is the most that we allow: the peer may ask for less,
// and the zero value is no context takeover and windows of any size. Agreed, it
// is what holds: both windows are set.
type Deflate struct {
	ServerTakeover bool // the server's window lives on from message to message
	ClientTakeover bool // the client's does
	// LZ77 window the server compresses with, in bits: 9 to 15; wanted, 0 means 15; agreed, a peer may have made it 8
	ServerWindow int
	ClientWindow int // the client's; where nothing was said about it, 15
}

// Sizes of a window in bits, RFC 7692 §7.1.2. We never ask for the smallest:
// zlib cannot compress with it.
const (
	minWindow = 8
	maxWindow = 15
)

// Valid reports whether d may be wanted: its windows are 9 to 15 bits, or 0.
func (d Deflate) Valid() bool {
	d = d.wanted()
	return minWindow < d.ServerWindow && d.ServerWindow <= maxWindow &&
		minWindow < d.ClientWindow && d.ClientWindow <= maxWindow
}

// wanted says what zero means.
func (d Deflate) wanted() Deflate {
	d.ServerWindow, d.ClientWindow = window(d.ServerWindow), window(d.ClientWindow)
	return d
}

func window(bits int) int {
	if bits == 0 {
		return maxWindow
	}
	return bits
}

// Accept is the server's side: it agrees to the first of the request's offers
// that it can meet, in the client's order of preference. extensions is for
// [AppendSwitching]; "" means that there is none, and messages go uncompressed.
// An offer with a parameter that is unknown, stands twice or is malformed is
// passed over (RFC 7692 §7).
func (d Deflate) Accept(h Head) (agreed Deflate, extensions string) {
	if !h.has(kindExtensions) {
		return Deflate{}, ""
	}
	for l := h.list(kindExtensions); ; {
		e, ok := l.element()
		if !ok {
			return Deflate{}, ""
		}
		if p, ok := parseDeflate(e, true); ok {
			return d.wanted().meet(p)
		}
	}
}

// meet agrees to an offer: every one that is well-formed can be met.
func (d Deflate) meet(p deflateParams) (agreed Deflate, extensions string) {
	agreed = Deflate{
		ServerTakeover: d.ServerTakeover && !p.serverNoTakeover,
		ClientTakeover: d.ClientTakeover && !p.clientNoTakeover,
		ServerWindow:   min(d.ServerWindow, window(p.serverWindow)),
		ClientWindow:   maxWindow,
	}
	switch {
	case p.clientWindow != 0:
		agreed.ClientWindow = min(d.ClientWindow, p.clientWindow)
	case d.ClientWindow < maxWindow: // it may not be asked for less (§7.1.2.2): then it keeps nothing
		agreed.ClientTakeover = false
	}
	extensions = takeovers(agreed.ServerTakeover, agreed.ClientTakeover)
	if p.serverWindow != 0 { // §7.1.2.1: accepted by being said
		extensions += serverWindowIs + strconv.Itoa(agreed.ServerWindow)
	}
	if agreed.ClientWindow < maxWindow {
		extensions += clientWindowIs + strconv.Itoa(agreed.ClientWindow)
	}
	return agreed, extensions
}

// Offer is the client's side: the value of Sec-WebSocket-Extensions for its
// request.
func (d Deflate) Offer() string {
	d = d.wanted()
	offer := takeovers(d.ServerTakeover, d.ClientTakeover)
	if d.ServerWindow < maxWindow {
		offer += serverWindowIs + strconv.Itoa(d.ServerWindow)
	}
	if d.ClientWindow < maxWindow {
		return offer + clientWindowIs + strconv.Itoa(d.ClientWindow)
	}
	return offer + "; client_max_window_bits"
}

// Check looks at the response to [Deflate.Offer]. ok is false if the server uses
// no extension. Where it does what was not offered, or does not confirm what was
// asked of it, the error is an *Error and the connection is to be failed (RFC
// 7692 §7.1).
func (d Deflate) Check(h Head) (agreed Deflate, ok bool, err error) {
	l := h.list(kindExtensions)
	e, some := l.element()
	if !some {
		return Deflate{}, false, nil
	}
	if !l.empty() {
		return Deflate{}, false, errResponseExtension
	}
	p, ok := parseDeflate(e, false)
	if !ok {
		return Deflate{}, false, errResponseExtension
	}
	d = d.wanted()
	switch {
	case !d.ServerTakeover && !p.serverNoTakeover,
		d.ServerWindow < maxWindow && p.serverWindow == 0,
		p.serverWindow > d.ServerWindow,
		p.clientWindow > d.ClientWindow:
		return Deflate{}, false, errResponseDeflate
	}
	return Deflate{
		ServerTakeover: d.ServerTakeover && !p.serverNoTakeover,
		ClientTakeover: d.ClientTakeover && !p.clientNoTakeover,
		ServerWindow:   window(p.serverWindow),
		ClientWindow:   min(d.ClientWindow, window(p.clientWindow)),
	}, true, nil
}

var errResponseDeflate = &Error{502, "response changes the parameters of permessage-deflate that were offered"}

const (
	deflateName    = "permessage-deflate"
	serverWindowIs = "; server_max_window_bits="
	clientWindowIs = "; client_max_window_bits="
)

// takeovers is an offer or answer without windows. Nearly every handshake needs
// no more, and nothing is built for it.
func takeovers(server, client bool) string {
	switch {
	case server && client:
		return deflateName
	case server:
		return deflateName + "; client_no_context_takeover"
	case client:
		return deflateName + "; server_no_context_takeover"
	}
	return deflateName + "; server_no_context_takeover; client_no_context_takeover"
}

// deflateParams are the parameters of one offer or response. A window of 0 bits
// is one that is not there.
type deflateParams struct {
	serverNoTakeover, clientNoTakeover bool
	serverWindow, clientWindow         int
}

// parseDeflate reads one element of Sec-WebSocket-Extensions. ok is false if it
// is another extension, or has a parameter that RFC 7692 §7.1 does not allow.
func parseDeflate(e []byte, offer bool) (p deflateParams, ok bool) {
	name, rest, more := cutUnquoted(e, ';')
	if string(trim(name)) != deflateName {
		return p, false
	}
	for more {
		var param []byte
		var quoted [8]byte // more than any value has
		param, rest, more = cutUnquoted(rest, ';')
		name, value, valued := cutUnquoted(param, '=')
		if value, ok = unquote(trim(value), quoted[:]); !ok { // RFC 6455 §9.1: it says what a token would
			return p, false
		}
		switch string(trim(name)) {
		case "server_no_context_takeover":
			ok = !p.serverNoTakeover && !valued
			p.serverNoTakeover = true
		case "client_no_context_takeover":
			ok = !p.clientNoTakeover && !valued
			p.clientNoTakeover = true
		case "server_max_window_bits":
			ok = p.serverWindow == 0
			p.serverWindow = parseWindow(value)
			ok = ok && p.serverWindow != 0
		case "client_max_window_bits":
			ok = p.clientWindow == 0
			if p.clientWindow = parseWindow(value); offer && !valued {
				p.clientWindow = maxWindow // §7.1.2.2: without a value, any
			}
			ok = ok && p.clientWindow != 0
		default:
			ok = false
		}
		if !ok {
			return p, false
		}
	}
	return p, true
}

// parseWindow reads 8 to 15, in digits without a leading zero; 0 is anything else.
func parseWindow(b []byte) int {
	switch {
	case len(b) == 1 && (b[0] == '8' || b[0] == '9'):
		return int(b[0] - '0')
	case len(b) == 2 && b[0] == '1' && '0' <= b[1] && b[1] <= '5':
		return 10 + int(b[1]-'0')
	}
	return 0
}
