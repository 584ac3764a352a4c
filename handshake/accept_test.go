package handshake

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// RFC 6455 §1.3.
func TestAppendAccept(t *testing.T) {
	if got := string(AppendAccept([]byte("x"), []byte(key))); got != "xs3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("got %q", got)
	}
}

func TestAppendSwitching(t *testing.T) {
	const start = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
	for _, tt := range []struct {
		subprotocol, extensions string
		header                  http.Header
		want                    string
	}{
		{"", "", nil, start + "\r\n"},
		{"chat.v1", "", nil, start + "Sec-WebSocket-Protocol: chat.v1\r\n\r\n"},
		{"", "permessage-deflate; server_no_context_takeover", nil,
			start + "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n\r\n"},
		{"", "", http.Header{"X-B": {"2", "3"}, "Set-Cookie": {"a=b; Path=/"}, "X-A": {""}},
			start + "Set-Cookie: a=b; Path=/\r\nX-A: \r\nX-B: 2\r\nX-B: 3\r\n\r\n"},
	} {
		got, err := AppendSwitching([]byte("before"), []byte(key), tt.subprotocol, tt.extensions, tt.header)
		if err != nil || string(got) != "before"+tt.want {
			t.Errorf("%v\n%q, want\n%q", err, got, "before"+tt.want)
		}
		p := new(Parser)
		if n, err := p.Response(got[6:]); n != len(got)-6 || err != nil {
			t.Errorf("our client cannot read it: %d, %v", n, err)
		}
	}
}

// badHeaders would split the response, double what the handshake writes, or
// are no header at all.
var badHeaders = []http.Header{
	{"X": {"a\r\nSet-Cookie: evil=1"}},
	{"X": {"ok", "a\n"}},
	{"X": {"a\r"}},
	{"X": {"a\x00"}},
	{"X\r\nY": {"a"}},
	{"X Y": {"a"}},
	{"X:": {"a"}},
	{"": {"a"}},
	{"connection": {"close"}},
	{"Sec-Websocket-Accept": {"a"}},
	{"sec-websocket-protocol": {"a"}},
	{"Sec-Websocket-Extensions": {"a"}},
	{"Upgrade": {"h2c"}},
	{"Content-Length": {"5"}},
	{"Transfer-Encoding": {"chunked"}},
}

func TestInvalidField(t *testing.T) {
	for _, h := range badHeaders {
		got, err := AppendSwitching([]byte("before"), []byte(key), "", "", h)
		if err != ErrInvalidField || string(got) != "before" {
			t.Errorf("AppendSwitching, %q: %q, %v", h, got, err)
		}
		got, err = AppendRequest([]byte("before"), "h", "/", key, nil, "", h)
		if err != ErrInvalidField || string(got) != "before" {
			t.Errorf("AppendRequest, %q: %q, %v", h, got, err)
		}
		if got, want := AppendError(nil, 403, "no", h), AppendError(nil, 403, "no", nil); len(h["X"]) < 2 && !bytes.Equal(got, want) {
			t.Errorf("AppendError, %q: %q", h, got)
		} else if bytes.Count(got, []byte("\n")) > bytes.Count(want, []byte("\n"))+1 {
			t.Errorf("AppendError, %q: %q", h, got)
		}
	}
	for _, sub := range []string{"a b", "a\r\nX: y", "a,b", "caf\xe9"} {
		if _, err := AppendSwitching(nil, []byte(key), sub, "", nil); err != ErrInvalidField {
			t.Errorf("subprotocol %q: %v", sub, err)
		}
	}
	if _, err := AppendSwitching(nil, []byte(key), "", "x\r\nY: z", nil); err != ErrInvalidField {
		t.Errorf("extensions: %v", err)
	}
}

func TestAppendErrorBytes(t *testing.T) {
	const want = "HTTP/1.1 426 Upgrade Required\r\n" +
		"Connection: close, Upgrade\r\n" +
		"Upgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\n" +
		"Content-Type: text/plain; charset=utf-8\r\n" +
		"X-Content-Type-Options: nosniff\r\n" +
		"Content-Length: 5\r\n" +
		"Retry-After: 7\r\n" +
		"\r\n" +
		"nope\n"
	if got := string(AppendError([]byte("x"), 426, "nope", http.Header{"Retry-After": {"7"}})); got != "x"+want {
		t.Errorf("got %q", got)
	}
}

// net/http reads every refusal: status, body, and that the connection ends.
func TestAppendError(t *testing.T) {
	for _, tt := range []struct{ status, want int }{
		{400, 400}, {401, 401}, {403, 403}, {404, 404}, {405, 405}, {408, 408}, {426, 426}, {429, 429},
		{431, 431}, {500, 500}, {501, 501}, {503, 503}, {505, 505}, {302, 302}, {200, 200}, {499, 499},
		{0, 500}, {-1, 500}, {101, 500}, {100, 500}, {204, 500}, {205, 500}, {304, 500}, {600, 500}, {1000, 500},
	} {
		for _, reason := range []string{"", "because", "a\r\nX: y\r\n\r\n"} {
			out := AppendError(nil, tt.status, reason, http.Header{"Retry-After": {"3"}, "Location": {"/x"}})
			r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(out)), nil)
			if err != nil {
				t.Fatalf("%d %q: %v", tt.status, reason, err)
			}
			body, err := io.ReadAll(r.Body)
			if r.StatusCode != tt.want || !r.Close || string(body) != reason+"\n" || err != nil ||
				r.Header.Get("Retry-After") != "3" || r.Header.Get("X") != "" {
				t.Errorf("%d %q: %d, close %v, body %q, %v, %v", tt.status, reason, r.StatusCode, r.Close, body, err, r.Header)
			}
			if allow := r.Header.Get("Allow"); (allow == "GET") != (tt.want == 405) {
				t.Errorf("%d: Allow %q", tt.status, allow)
			}
			if v := r.Header.Get("Sec-WebSocket-Version"); (v == "13") != (tt.want == 426) {
				t.Errorf("%d: Sec-WebSocket-Version %q", tt.status, v)
			}
			p := new(Parser)
			if n, err := p.Response(out); err != nil || !strings.HasSuffix(string(out[:n]), "\r\n\r\n") {
				t.Errorf("our client cannot read it: %d, %v", n, err)
			}
		}
	}
}
