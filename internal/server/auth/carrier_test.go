package auth

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/perchws/perch"
)

var _ Request = (*perch.Request)(nil)

// httpRequest is a request of net/http as a Request.
type httpRequest struct{ *http.Request }

func (r httpRequest) RawQuery() string { return r.URL.RawQuery }

func (r httpRequest) Headers(f func(name, value string) bool) {
	for name, values := range r.Header {
		for _, value := range values {
			if !f(name, value) {
				return
			}
		}
	}
}

func TestToken(t *testing.T) {
	const a, b = "aaa.bbb.ccc", "ddd.eee.fff"
	proto := func(token string) string { return "bearer." + b64([]byte(token)) }
	type lines [][2]string
	for _, tt := range []struct {
		name    string
		headers lines
		query   string
		token   string
		carrier Carrier
		err     *Error
	}{
		{"nothing", nil, "", "", 0, ErrMissing},
		{"header", lines{{"Authorization", "Bearer " + a}}, "", a, CarrierHeader, nil},
		{"header, other case", lines{{"authorization", "bEARER  " + a + " "}}, "", a, CarrierHeader, nil},
		{"other scheme", lines{{"Authorization", "Basic " + a}}, "", "", 0, ErrMissing},
		{"other scheme beside a cookie", lines{{"Authorization", "Basic x"}, {"Cookie", "tok=" + a}}, "", a, CarrierCookie, nil},
		{"header without a token", lines{{"Authorization", "Bearer"}}, "", "", CarrierHeader, ErrMalformed},
		{"header with two words", lines{{"Authorization", "Bearer a b"}}, "", "", CarrierHeader, ErrMalformed},
		{"header with two in one line", lines{{"Authorization", "Bearer " + a + ", Bearer " + b}}, "", "", CarrierHeader, ErrMalformed},
		{"subprotocol", lines{{"Sec-WebSocket-Protocol", "chat.v1, " + proto(a)}}, "", a, CarrierSubprotocol, nil},
		{"subprotocol on a second line", lines{{"Sec-WebSocket-Protocol", "chat.v1"}, {"sec-websocket-protocol", proto(a)}}, "", a, CarrierSubprotocol, nil},
		{"subprotocol not encoded", lines{{"Sec-WebSocket-Protocol", "chat.v1, bearer." + a}}, "", "", CarrierSubprotocol, ErrMalformed},
		{"subprotocol empty", lines{{"Sec-WebSocket-Protocol", "chat.v1, bearer."}}, "", "", CarrierSubprotocol, ErrMalformed},
		{"subprotocol alike", lines{{"Sec-WebSocket-Protocol", "Bearer.x, bearer, bearers.x"}}, "", "", 0, ErrMissing},
		{"cookie", lines{{"Cookie", "x=1; tok=" + a + "; y=2"}}, "", a, CarrierCookie, nil},
		{"cookie of another name", lines{{"Cookie", "token=" + a}}, "", "", 0, ErrMissing},
		{"cookie empty", lines{{"Cookie", "tok="}}, "", "", 0, ErrMissing},
		{"query", nil, "raw=1&token=" + a, a, CarrierQuery, nil},
		{"query, encoded", nil, "%74oken=aaa%2Ebbb.ccc", a, CarrierQuery, nil},
		{"query, empty", nil, "token=&token", "", 0, ErrMissing},
		{"query, other name", nil, "Token=" + a + "&tokens=" + a, "", 0, ErrMissing},

		{"the same everywhere", lines{{"Cookie", "tok=" + a}, {"Sec-WebSocket-Protocol", "x, " + proto(a)}, {"Authorization", "Bearer " + a}}, "token=" + a, a, CarrierHeader, nil},
		{"header and subprotocol", lines{{"Authorization", "Bearer " + a}, {"Sec-WebSocket-Protocol", "x, " + proto(b)}}, "", "", CarrierHeader, ErrConflicting},
		{"two headers", lines{{"Authorization", "Bearer " + a}, {"Authorization", "Bearer " + b}}, "", "", CarrierHeader, ErrConflicting},
		{"cookie and query", lines{{"Cookie", "tok=" + a}}, "token=" + b, "", CarrierCookie, ErrConflicting},
		{"two cookies in a line", lines{{"Cookie", "tok=" + a + "; tok=" + b}}, "", "", CarrierCookie, ErrConflicting},
		{"two cookie lines", lines{{"Cookie", "tok=" + a}, {"Cookie", "tok=" + b}}, "", "", CarrierCookie, ErrConflicting},
		{"two in the query", nil, "token=" + a + "&token=" + b, "", CarrierQuery, ErrConflicting},
		{"two subprotocols", lines{{"Sec-WebSocket-Protocol", proto(a) + ", x, " + proto(b)}}, "", "", CarrierSubprotocol, ErrConflicting},

		// An explicit carrier wins over the others, even if its token is malformed.
		{"header and query", lines{{"Authorization", "Bearer " + a}}, "token=" + b, a, CarrierHeader, nil},
		{"header and cookie", lines{{"Authorization", "Bearer " + a}, {"Cookie", "tok=" + b}}, "", a, CarrierHeader, nil},
		{"subprotocol and query", lines{{"Sec-WebSocket-Protocol", "x, " + proto(a)}}, "token=" + b, a, CarrierSubprotocol, nil},
		{"subprotocol and cookie", lines{{"Cookie", "tok=" + b}, {"Sec-WebSocket-Protocol", "x, " + proto(a)}}, "", a, CarrierSubprotocol, nil},
		{"header and cookies that differ", lines{{"Cookie", "tok=" + b + "; tok=x"}, {"Authorization", "Bearer " + a}}, "token=y&token=z", a, CarrierHeader, nil},
		{"header and a cookie that is no token", lines{{"Cookie", "tok=%%%"}, {"Authorization", "Bearer " + a}}, "", a, CarrierHeader, nil},
		{"a good one beside a malformed header", lines{{"Authorization", "Bearer"}, {"Cookie", "tok=" + a}}, "token=" + a, "", CarrierHeader, ErrMalformed},
		{"a good one beside a malformed subprotocol", lines{{"Sec-WebSocket-Protocol", "x, bearer."}, {"Cookie", "tok=" + a}}, "", "", CarrierSubprotocol, ErrMalformed},
		{"a malformed header beside a subprotocol", lines{{"Authorization", "Bearer"}, {"Sec-WebSocket-Protocol", proto(a)}}, "", "", CarrierHeader, ErrMalformed},
		{"a conflict beside a malformed one", lines{{"Authorization", "Bearer"}, {"Authorization", "Bearer " + a}, {"Authorization", "Bearer " + b}}, "", "", CarrierHeader, ErrConflicting},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &http.Request{Header: http.Header{}, URL: &url.URL{Path: "/ws", RawQuery: tt.query}}
			for _, line := range tt.headers {
				r.Header.Add(line[0], line[1])
			}
			token, carrier, err := Token(httpRequest{r}, "tok")
			wantError(t, err, tt.err)
			if token != tt.token || carrier != tt.carrier {
				t.Errorf("%q from %v, want %q from %v", token, carrier, tt.token, tt.carrier)
			}
		})
	}
	r := &http.Request{Header: http.Header{"Cookie": {"=" + a, "tok=" + a}}, URL: &url.URL{}}
	_, _, err := Token(httpRequest{r}, "")
	wantError(t, err, ErrMissing)
}
