package handshake

import (
	"strings"
	"testing"
)

const key = "dGhlIHNhbXBsZSBub25jZQ=="

// opening is a correct handshake; with changes its lines: "Name: value" takes
// the place of the line of that name, "-Name" drops it, "+line" is added, and
// what has no colon is the request line.
func opening(changes ...string) string {
	lines := []string{"GET /ws HTTP/1.1", "Host: example.com", "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Key: " + key, "Sec-WebSocket-Version: 13"}
	find := func(name string) int {
		for i, l := range lines {
			if strings.HasPrefix(l, name+":") {
				return i
			}
		}
		panic("no line " + name)
	}
	for _, c := range changes {
		name, _, header := strings.Cut(c, ":")
		switch {
		case c[0] == '-':
			i := find(c[1:])
			lines = append(lines[:i], lines[i+1:]...)
		case c[0] == '+':
			lines = append(lines, c[1:])
		case header && !strings.Contains(c, " HTTP/"):
			lines[find(name)] = c
		default:
			lines[0] = c
		}
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

func TestCheckUpgrade(t *testing.T) {
	for _, tt := range []struct {
		name    string
		changes []string
		status  int // 0: accepted
		reason  string
	}{
		{"as it is", nil, 0, ""},
		{"any case", []string{"Upgrade: WebSocket", "Connection: UPGRADE"}, 0, ""},
		{"lists", []string{"Upgrade: h2c, websocket", "Connection: keep-alive ,\tUpgrade"}, 0, ""},
		{"lists with empty elements", []string{"Upgrade: ,, websocket,", "Connection: , ,Upgrade , "}, 0, ""},
		{"over several lines", []string{"Upgrade: h2c", "+upgrade: websocket", "Connection: close", "+connection:", "+CONNECTION: Upgrade"}, 0, ""},
		{"names in any case", []string{"-Sec-WebSocket-Key", "+SEC-WEBSOCKET-KEY:" + key, "-Host", "+hOsT:x"}, 0, ""},
		{"HTTP/1.2", []string{"GET /ws HTTP/1.2"}, 0, ""},
		{"absolute URI", []string{"GET ws://other.example:81/ws HTTP/1.1"}, 0, ""},
		{"absolute URI, empty Host", []string{"GET ws://other.example:81/ws HTTP/1.1", "Host:"}, 0, ""},
		{"Content-Length: 0", []string{"+Content-Length: 0"}, 0, ""},
		{"Content-Length: 000", []string{"+Content-Length: 000"}, 0, ""},
		{"surplus bits in the key", []string{"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAB=="}, 0, ""},
		{"origin", []string{"+Origin: null"}, 0, ""},

		{"no Upgrade", []string{"-Upgrade"}, 426, "WebSocket only"},
		{"Upgrade misspelt", []string{"Upgrade: websockets"}, 426, "WebSocket only"},
		{"Upgrade name misspelt", []string{"-Upgrade", "+Upgarde: websocket"}, 426, "WebSocket only"},
		{"Upgrade with version", []string{"Upgrade: websocket/13"}, 426, "WebSocket only"},
		{"Upgrade, space within", []string{"Upgrade: web socket"}, 426, "WebSocket only"},
		{"Upgrade empty", []string{"Upgrade:"}, 426, "WebSocket only"},
		{"POST", []string{"POST /ws HTTP/1.1"}, 405, "GET"},
		{"lower case", []string{"get /ws HTTP/1.1"}, 405, "GET"},
		{"HTTP/1.0", []string{"GET /ws HTTP/1.0"}, 426, "WebSocket only"}, // its Upgrade is ignored, RFC 9110 §7.8
		{"HTTP/1.0, no Host", []string{"GET /ws HTTP/1.0", "-Host"}, 426, "WebSocket only"},
		{"empty Host", []string{"Host:"}, 400, "Host"},
		{"no Connection", []string{"-Connection"}, 400, "Connection"},
		{"Connection misspelt", []string{"Connection: Upgraded"}, 400, "Connection"},
		{"Connection close", []string{"Connection: close"}, 400, "Connection"},
		{"Connection of another name", []string{"-Connection", "+Proxy-Connection: Upgrade"}, 400, "Connection"},
		{"no version", []string{"-Sec-WebSocket-Version"}, 426, "Version"},
		{"version 8", []string{"Sec-WebSocket-Version: 8"}, 426, "Version"},
		{"version 013", []string{"Sec-WebSocket-Version: 013"}, 426, "Version"},
		{"version 13.0", []string{"Sec-WebSocket-Version: 13.0"}, 426, "Version"},
		{"version list", []string{"Sec-WebSocket-Version: 13, 8"}, 426, "Version"},
		{"version twice", []string{"+Sec-WebSocket-Version: 13"}, 400, "more than one"},
		{"no key", []string{"-Sec-WebSocket-Key"}, 400, "Key"},
		{"key empty", []string{"Sec-WebSocket-Key:"}, 400, "Key"},
		{"key misspelt", []string{"-Sec-WebSocket-Key", "+Sec-Websocket-Kay: " + key}, 400, "Key"},
		{"key of 15 bytes", []string{"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA"}, 400, "Key"},
		{"key of 17 bytes", []string{"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA="}, 400, "Key"},
		{"key of 18 bytes", []string{"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAA"}, 400, "Key"},
		{"key of 19 bytes", []string{"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAAAA=="}, 400, "Key"},
		{"key not padded", []string{"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"}, 400, "Key"},
		{"key in base64url", []string{"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j-_=="}, 400, "Key"},
		{"key with space", []string{"Sec-WebSocket-Key: dGhlIHNhbXBs SBub25jZQ=="}, 400, "Key"},
		{"key twice", []string{"+Sec-WebSocket-Key: " + key}, 400, "more than one"},
		{"origin twice", []string{"+Origin: http://a", "+Origin: http://a"}, 400, "Origin"},
		{"body", []string{"+Content-Length: 5"}, 400, "body"},
		{"chunked", []string{"+Transfer-Encoding: chunked"}, 400, "body"},
		{"subprotocol no token", []string{"+Sec-WebSocket-Protocol: a b"}, 400, "Protocol"},
		{"subprotocol no token, second line", []string{"+Sec-WebSocket-Protocol: a", "+Sec-WebSocket-Protocol: b/c"}, 400, "Protocol"},
		{"subprotocols empty", []string{"+Sec-WebSocket-Protocol: , "}, 400, "Protocol"},
		{"subprotocol twice", []string{"+Sec-WebSocket-Protocol: a, b", "+Sec-WebSocket-Protocol: c,a"}, 400, "twice"},
		{"subprotocols, another case", []string{"+Sec-WebSocket-Protocol: a, A"}, 0, ""},
		{"bearer alone", []string{"+Sec-WebSocket-Protocol: bearer.abc"}, 400, "bearer"},
		{"two bearers", []string{"+Sec-WebSocket-Protocol: bearer.a, chat.v1, bearer.b"}, 400, "bearer"},
		{"bearer in company", []string{"+Sec-WebSocket-Protocol: bearer.abc, perch.v1"}, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := opening(tt.changes...)
			got, err := head(t, in).CheckUpgrade()
			if tt.status == 0 {
				if err != nil || len(got) != keyLen {
					t.Errorf("%q, %v; want the key", got, err)
				}
			} else if e, ok := err.(*Error); got != nil || !ok || e.Status != tt.status || !strings.Contains(e.Reason, tt.reason) {
				t.Errorf("%q, %v; want status %d, %q", got, err, tt.status, tt.reason)
			}
			everyCut(t, in, false)
		})
	}
}

// What the parser refuses before CheckUpgrade is asked.
func TestOpeningRefused(t *testing.T) {
	if got := feed(opening("-Host"), false); !strings.Contains(got, "no Host (400)") {
		t.Errorf("no Host: %s", got)
	}
	if got := feed(opening("+Host: example.com"), false); !strings.Contains(got, "more than one Host (400)") {
		t.Errorf("two Hosts: %s", got)
	}
	if got := feed(opening("GET /ws HTTP/2.0"), false); !strings.Contains(got, "(505)") {
		t.Errorf("HTTP/2.0: %s", got)
	}
	if got := feed(strings.ReplaceAll(opening(), "\r\n", "\n"), false); !strings.Contains(got, "(400)") {
		t.Errorf("LF only: %s", got)
	}
}

// What is no upgrade is plain HTTP and parses: health checks of HTTP/1.0 too.
func TestIsUpgrade(t *testing.T) {
	for in, want := range map[string]bool{
		opening():                      true,
		opening("-Upgrade"):            false,
		opening("Upgrade: h2c"):        false,
		opening("POST /ws HTTP/1.1"):   true,
		"GET /health HTTP/1.0\r\n\r\n": false,
		"POST /api HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n":               false,
		"POST /api HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n":      false,
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nX: websocket\r\n\r\n": false,
	} {
		if got := head(t, in).IsUpgrade(); got != want {
			t.Errorf("%v, want %v: %q", got, want, in)
		}
	}
}

// A client that waits for 100 (Continue) is told apart, by HTTP/1.1 alone.
func TestExpectsContinue(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		want  bool
	}{
		{nil, false},
		{[]string{"+Expect: 100-continue"}, true},
		{[]string{"+Expect: 100-Continue"}, true},
		{[]string{"+Expect: x, 100-continue"}, true},
		{[]string{"+Expect: x", "+Expect: 100-continue"}, true},
		{[]string{"+Expect: 100-continued"}, false},
		{[]string{"+Expect:"}, false},
		{[]string{"GET /ws HTTP/1.0", "+Expect: 100-continue"}, false},
	} {
		if got := head(t, opening(tt.lines...)).ExpectsContinue(); got != tt.want {
			t.Errorf("%q: %t", tt.lines, got)
		}
	}
}
