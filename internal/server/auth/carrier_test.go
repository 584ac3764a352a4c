package auth

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/perchws/perch"
)

var _ Request = (*perch.Request)(nil)

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
		{"header without a token", lines{{"Authorization", "Bearer"}}, "", "", 0, ErrMalformed},
		{"header with two words", lines{{"Authorization", "Bearer a b"}}, "", "", 0, ErrMalformed},
		{"header with two in one line", lines{{"Authorization", "Bearer " + a + ", Bearer " + b}}, "", "", 0, ErrMalformed},
		{"subprotocol", lines{{"Sec-WebSocket-Protocol", "chat.v1, " + proto(a)}}, "", a, CarrierSubprotocol, nil},
		{"subprotocol on a second line", lines{{"Sec-WebSocket-Protocol", "chat.v1"}, {"sec-websocket-protocol", proto(a)}}, "", a, CarrierSubprotocol, nil},
		{"subprotocol not encoded", lines{{"Sec-WebSocket-Protocol", "chat.v1, bearer." + a}}, "", "", 0, ErrMalformed},
		{"subprotocol empty", lines{{"Sec-WebSocket-Protocol", "chat.v1, bearer."}}, "", "", 0, ErrMalformed},
		{"subprotocol alike", lines{{"Sec-WebSocket-Protocol", "Bearer.x, bearer, bearers.x"}}, "", "", 0, ErrMissing},
		{"cookie", lines{{"Cookie", "x=1; tok=" + a + "; y=2"}}, "", a, CarrierCookie, nil},
		{"cookie of another name", lines{{"Cookie", "token=" + a}}, "", "", 0, ErrMissing},
		{"cookie empty", lines{{"Cookie", "tok="}}, "", "", 0, ErrMissing},
		{"query", nil, "raw=1&token=" + a, a, CarrierQuery, nil},
		{"query, encoded", nil, "%74oken=aaa%2Ebbb.ccc", a, CarrierQuery, nil},
		{"query, empty", nil, "token=&token", "", 0, ErrMissing},
		{"query, other name", nil, "Token=" + a + "&tokens=" + a, "", 0, ErrMissing},

		{"the same everywhere", lines{{"Cookie", "tok=" + a}, {"Sec-WebSocket-Protocol", "x, " + proto(a)}, {"Authorization", "Bearer " + a}}, "token=" + a, a, CarrierHeader, nil},
		{"header and query", lines{{"Authorization", "Bearer " + a}}, "token=" + b, "", 0, ErrConflicting},
		{"header and cookie", lines{{"Authorization", "Bearer " + a}, {"Cookie", "tok=" + b}}, "", "", 0, ErrConflicting},
		{"header and subprotocol", lines{{"Authorization", "Bearer " + a}, {"Sec-WebSocket-Protocol", "x, " + proto(b)}}, "", "", 0, ErrConflicting},
		{"two headers", lines{{"Authorization", "Bearer " + a}, {"Authorization", "Bearer " + b}}, "", "", 0, ErrConflicting},
		{"two cookies in a line", lines{{"Cookie", "tok=" + a + "; tok=" + b}}, "", "", 0, ErrConflicting},
		{"two cookie lines", lines{{"Cookie", "tok=" + a}, {"Cookie", "tok=" + b}}, "", "", 0, ErrConflicting},
		{"two in the query", nil, "token=" + a + "&token=" + b, "", 0, ErrConflicting},
		{"two subprotocols", lines{{"Sec-WebSocket-Protocol", proto(a) + ", x, " + proto(b)}}, "", "", 0, ErrConflicting},
		{"a good one beside a malformed one", lines{{"Authorization", "Bearer"}}, "token=" + a, "", 0, ErrMalformed},
		{"a conflict beside a malformed one", lines{{"Authorization", "Bearer"}, {"Cookie", "tok=" + b}}, "token=" + a, "", 0, ErrConflicting},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &http.Request{Header: http.Header{}, URL: &url.URL{Path: "/ws", RawQuery: tt.query}}
			for _, line := range tt.headers {
				r.Header.Add(line[0], line[1])
			}
			token, carrier, err := Token(HTTP(r), "tok")
			wantError(t, err, tt.err)
			if token != tt.token || carrier != tt.carrier {
				t.Errorf("%q from %v, want %q from %v", token, carrier, tt.token, tt.carrier)
			}
		})
	}
	r := &http.Request{Header: http.Header{"Cookie": {"=" + a, "tok=" + a}}, URL: &url.URL{}}
	_, _, err := Token(HTTP(r), "")
	wantError(t, err, ErrMissing)
}
