package auth

import (
	"crypto/subtle"
	"net/http"
	"net/url"
	"strings"
)

// Carrier is the place of a token in a request.
type Carrier uint8

// The carriers. The caller that reads a first frame finds the token in it.
const (
	CarrierNone        Carrier = iota
	CarrierHeader              // Authorization: Bearer <token> (RFC 6750 §2.1)
	CarrierSubprotocol         // Sec-WebSocket-Protocol: …, bearer.<base64url of the token>
	CarrierCookie
	CarrierQuery // ?token=<token>
	CarrierFrame
)

func (c Carrier) String() string {
	names := [...]string{"none", "header", "subprotocol", "cookie", "query", "frame"}
	if int(c) >= len(names) {
		return "invalid"
	}
	return names[c]
}

// Explicit reports whether the client has set the token for this request. A browser sends cookies for every page that
// asks, and a query may come from an old link.
func (c Carrier) Explicit() bool {
	return c == CarrierHeader || c == CarrierSubprotocol || c == CarrierFrame
}

const (
	bearerScheme      = "bearer"  // any case, RFC 9110 §11.1
	bearerSubprotocol = "bearer." // exactly
	queryParameter    = "token"
)

// Request is a request with a token: a *perch.Request.
type Request interface {
	Headers(f func(name, value string) bool) // every line, in any case
	RawQuery() string
}

// Token returns the token of a request, unverified, and its carrier. cookie is the name of the cookie that may carry
// a token; if it is empty none may. (A browser sends cookies for every page: with a cookie only the check of Origin
// protects a session from other pages.)
//
// An explicit carrier, the header or the subprotocol, wins over cookie and query, which are then ignored: a cookie
// may be out of date. It wins even if its token is malformed.
//
// The error is ErrMissing if there is no token. It is ErrConflicting if there are two different ones of the same
// rank: if one of them were chosen, an attacker who can plant a cookie or a link could choose the user. It is
// ErrMalformed if a place for a token holds something else. carrier is set with an error too, except for ErrMissing.
func Token(r Request, cookie string) (token string, carrier Carrier, err error) {
	var explicit, ambient finder
	var jar http.Request // reads cookies as net/http does
	jar.Header = http.Header{}
	r.Headers(func(name, value string) bool {
		switch {
		case strings.EqualFold(name, "Authorization"):
			explicit.authorization(value)
		case strings.EqualFold(name, "Sec-WebSocket-Protocol"):
			explicit.subprotocols(value)
		case strings.EqualFold(name, "Cookie"):
			jar.Header.Add("Cookie", value)
		}
		return true
	})
	if explicit.carrier != CarrierNone {
		return explicit.result()
	}
	if cookie != "" {
		for _, c := range jar.CookiesNamed(cookie) {
			ambient.found(c.Value, CarrierCookie)
		}
	}
	if q := r.RawQuery(); q != "" {
		values, _ := url.ParseQuery(q) // pairs that are well-formed count, as in net/http
		for _, value := range values[queryParameter] {
			ambient.found(value, CarrierQuery)
		}
	}
	return ambient.result()
}

// finder collects tokens of one rank. The first error wins, except that a conflict wins over all.
type finder struct {
	token   string
	carrier Carrier // the first in the list that holds a token, or a malformed one
	err     error
}

func (f *finder) result() (token string, carrier Carrier, err error) {
	switch {
	case f.err != nil:
		return "", f.carrier, f.err
	case f.carrier == CarrierNone:
		return "", CarrierNone, ErrMissing
	}
	return f.token, f.carrier, nil
}

// found notes a token. Of equal tokens the carrier that comes first in the list counts, so that the order of header
// lines does not matter. An empty cookie or parameter is no token.
func (f *finder) found(token string, carrier Carrier) {
	switch {
	case token == "":
		return
	case f.token == "":
		f.token = token
	case subtle.ConstantTimeCompare([]byte(f.token), []byte(token)) == 0:
		f.err = ErrConflicting
	}
	f.at(carrier)
}

func (f *finder) at(carrier Carrier) {
	if f.carrier == CarrierNone || carrier < f.carrier {
		f.carrier = carrier
	}
}

func (f *finder) malformed(reason string, carrier Carrier) {
	if f.err == nil {
		f.err = malformed(reason)
	}
	f.at(carrier)
}

// authorization ignores other schemes: Basic may be for a proxy in front of us.
func (f *finder) authorization(value string) {
	scheme, token, _ := strings.Cut(strings.Trim(value, " \t"), " ")
	if !strings.EqualFold(scheme, bearerScheme) {
		return
	}
	token = strings.Trim(token, " \t")
	if token == "" || strings.ContainsAny(token, " \t,") {
		f.malformed("Authorization holds no token", CarrierHeader)
		return
	}
	f.found(token, CarrierHeader)
}

func (f *finder) subprotocols(value string) {
	for offered := range strings.SplitSeq(value, ",") {
		encoded, ok := strings.CutPrefix(strings.Trim(offered, " \t"), bearerSubprotocol)
		if !ok {
			continue
		}
		token := decode(encoded)
		if len(token) == 0 {
			f.malformed("the bearer subprotocol is not base64url", CarrierSubprotocol)
			continue
		}
		f.found(string(token), CarrierSubprotocol)
	}
}
