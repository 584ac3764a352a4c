package handshake

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
)

func TestNewKey(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		k := NewKey()
		raw, err := base64.StdEncoding.Strict().DecodeString(k)
		if err != nil || len(raw) != 16 || seen[k] || !validKey(k) {
			t.Fatalf("key %q: %d bytes, %v, seen before: %v", k, len(raw), err, seen[k])
		}
		seen[k] = true
	}
}

func TestAppendRequest(t *testing.T) {
	got, err := AppendRequest([]byte("x"), "example.com:8000", "/ws?a=b", key, []string{"chat.v1", "bearer.abc"}, "permessage-deflate; x",
		http.Header{"Origin": {"http://example.com"}, "Authorization": {"Bearer x"}})
	const want = "xGET /ws?a=b HTTP/1.1\r\n" +
		"Host: example.com:8000\r\n" +
		"Upgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Sec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Protocol: chat.v1, bearer.abc\r\n" +
		"Sec-WebSocket-Extensions: permessage-deflate; x\r\n" +
		"Authorization: Bearer x\r\n" +
		"Origin: http://example.com\r\n" +
		"\r\n"
	if err != nil || string(got) != want {
		t.Errorf("%v\n%q, want\n%q", err, got, want)
	}
	h := head(t, want[1:])
	if k, err := h.CheckUpgrade(); string(k) != key || err != nil {
		t.Errorf("our server says %q, %v", k, err)
	}
}

func TestAppendRequestRefused(t *testing.T) {
	for _, tt := range []struct {
		name, host, target, key string
		subprotocols            []string
		ok                      bool
	}{
		{"plain", "h", "", key, nil, true},
		{"IPv6", "[::1]:80", "/", key, nil, true},
		{"no host", "", "/", key, nil, false},
		{"host with a line", "h\r\nX: y", "/", key, nil, false},
		{"host with a path", "h/x", "/", key, nil, false},
		{"target with a space", "h", "/a b", key, nil, false},
		{"target with a line", "h", "/a\r\nX: y", key, nil, false},
		{"target with a fragment", "h", "/a#b", key, nil, false},
		{"relative target", "h", "a", key, nil, false},
		{"absolute target", "h", "http://h/", key, nil, false},
		{"broken escape", "h", "/%4", key, nil, false},
		{"percent in the query", "h", "/?%4", key, nil, true},
		{"no key", "h", "/", "", nil, false},
		{"short key", "h", "/", "abc", nil, false},
		{"subprotocol no token", "h", "/", key, []string{"a b"}, false},
		{"subprotocol empty", "h", "/", key, []string{""}, false},
		{"subprotocol twice", "h", "/", key, []string{"a", "b", "a"}, false},
	} {
		got, err := AppendRequest(nil, tt.host, tt.target, tt.key, tt.subprotocols, "", nil)
		if (err == nil) != tt.ok || err != nil && (err != ErrInvalidField || len(got) != 0) {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
		if err == nil {
			head(t, string(got))
		}
	}
}

const switching = "HTTP/1.1 101 Switching Protocols\r\n" +
	"Upgrade: websocket\r\n" +
	"Connection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

func TestCheckResponse(t *testing.T) {
	edit := func(old, new string) string {
		if !strings.Contains(switching, old) {
			t.Fatalf("no %q to replace", old)
		}
		return strings.Replace(switching, old, new, 1)
	}
	for _, tt := range []struct {
		name, in    string
		subprotocol string
		err         error
	}{
		{"as it is", switching, "", nil},
		{"any case", edit("websocket\r\nConnection: Upgrade", "WebSocket\r\nCONNECTION: keep-alive, uPGRADE"), "", nil},
		{"no reason", edit(" Switching Protocols", ""), "", nil},
		{"space, no reason", edit("Switching Protocols", ""), "", nil},
		{"other reason", edit("Switching Protocols", "Caf\xe9 \t!"), "", nil},
		{"space around the accept", edit("s3p", " \ts3p"), "", nil},
		{"subprotocol", switching + "Sec-WebSocket-Protocol: b\r\n", "b", nil},
		{"no extension", switching + "Sec-WebSocket-Extensions:\r\n", "", nil},
		{"two Hosts do not matter", switching + "Host: a b\r\nHost: c\r\n", "", nil},

		{"HTTP/1.0", edit("1.1", "1.0"), "", errResponseProto},
		{"no Upgrade", edit("Upgrade: websocket\r\n", ""), "", errResponseUpgrade},
		{"another Upgrade", edit("Upgrade: websocket", "Upgrade: h2c"), "", errResponseUpgrade},
		{"Upgrade list", edit("Upgrade: websocket", "Upgrade: websocket, h2c"), "", errResponseUpgrade},
		{"Upgrade twice", switching + "Upgrade: websocket\r\n", "", errResponseUpgrade},
		{"no Connection", edit("Connection: Upgrade\r\n", ""), "", errResponseConnection},
		{"another Connection", edit("Connection: Upgrade", "Connection: close"), "", errResponseConnection},
		{"no Accept", edit("Sec-WebSocket-Accept", "X-Accept"), "", errResponseAccept},
		{"empty Accept", edit("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", ""), "", errResponseAccept},
		{"Accept in another case", edit("s3pPLM", "S3PPLM"), "", errResponseAccept},
		{"Accept with more behind", edit("xOo=", "xOo=="), "", errResponseAccept},
		{"the key as Accept", edit("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", key), "", errResponseAccept},
		{"Accept twice", switching + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", "", errResponseAccept},
		{"subprotocol not offered", switching + "Sec-WebSocket-Protocol: c\r\n", "", errResponseSubprotocol},
		{"subprotocol in another case", switching + "Sec-WebSocket-Protocol: B\r\n", "", errResponseSubprotocol},
		{"two subprotocols", switching + "Sec-WebSocket-Protocol: a, b\r\n", "", errResponseSubprotocol},
		{"two subprotocol lines", switching + "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a\r\n", "", errResponseSubprotocol},
		{"empty subprotocol", switching + "Sec-WebSocket-Protocol:\r\n", "", errResponseSubprotocol},
		{"extension", switching + "Sec-WebSocket-Extensions: permessage-deflate\r\n", "", errResponseExtension},
		{"extension in the second line", switching + "Sec-WebSocket-Extensions:\r\nSec-WebSocket-Extensions: x\r\n", "", errResponseExtension},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := new(Parser)
			in := []byte(tt.in + "\r\n")
			n, err := p.Response(in)
			if n != len(in) || err != nil {
				t.Fatalf("Response = %d, %v", n, err)
			}
			sub, err := p.Head(in).CheckResponse(key, []string{"a", "b"}, "")
			if sub != tt.subprotocol || err != tt.err && (err == nil || tt.err == nil || err.Error() != tt.err.Error()) {
				t.Errorf("%q, %v; want %q, %v", sub, err, tt.subprotocol, tt.err)
			}
			everyCut(t, string(in), true)
			everyCut(t, string(in)+"\x81\x00", true)
		})
	}
}

func TestCheckResponseNothingOffered(t *testing.T) {
	p := new(Parser)
	in := []byte(switching + "Sec-WebSocket-Protocol: a\r\n\r\n")
	p.Response(in)
	if _, err := p.Head(in).CheckResponse(key, nil, ""); err != error(errResponseSubprotocol) {
		t.Errorf("got %v", err)
	}
}

func TestRefusedError(t *testing.T) {
	for _, status := range []int{100, 103, 200, 301, 401, 403, 429, 503, 999} {
		in := AppendError(nil, 503, "full", http.Header{"Retry-After": {"3"}})
		in = []byte(strings.Replace(string(in), "503", string(rune('0'+status/100))+string(rune('0'+status/10%10))+string(rune('0'+status%10)), 1))
		p := new(Parser)
		n, err := p.Response(in)
		if n == 0 || err != nil {
			t.Fatalf("%d: %d, %v", status, n, err)
		}
		h := p.Head(in)
		_, err = h.CheckResponse(key, nil, "")
		var refused *RefusedError
		if !errors.As(err, &refused) || refused.Status != status || h.Status() != status {
			t.Errorf("%d: %v", status, err)
		}
		if got := string(h.Header("retry-after")); got != "3" {
			t.Errorf("%d: Retry-After %q", status, got)
		}
	}
}

// Each string ends at the byte that decides.
func TestResponseRefused(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		status   int
		reason   string
	}{
		{"empty line first", "\r", 400, "version"},
		{"another protocol", "SSH", 400, "version"},
		{"lower case", "h", 400, "version"},
		{"HTTP/2", "HTTP/2", 505, ""},
		{"HTTP/1", "HTTP/1 ", 400, "version"},
		{"no status", "HTTP/1.1\r", 400, "version"},
		{"version LF", "HTTP/1.1\n", 400, "CR LF"},
		{"two digits", "HTTP/1.1 10 ", 400, "status"},
		{"four digits", "HTTP/1.1 1010", 400, "status"},
		{"status of letters", "HTTP/1.1 OK", 400, "status"},
		{"status below 100", "HTTP/1.1 0", 400, "status"},
		{"status LF", "HTTP/1.1 101\n", 400, "status"},
		{"reason LF", "HTTP/1.1 101 x\n", 400, "CR LF"},
		{"reason with NUL", "HTTP/1.1 101 x\x00", 400, "control"},
		{"CR only", "HTTP/1.1 101 x\ry", 400, "CR without LF"},
		{"first line folded", "HTTP/1.1 101 x\r\n ", 400, "folded"},
		{"space before colon", switching + "X ", 400, "space before"},
		{"control in value", switching + "X: \x7f", 400, "control"},
		{"65 headers", switching + strings.Repeat("X: y\r\n", MaxHeaders-3) + "X", 431, "headers"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name == "status of letters" {
				tt.in = tt.in[:len(tt.in)-1]
			}
			if tt.name == "another protocol" {
				tt.in = tt.in[:1]
			}
			decides(t, tt.in, true, tt.status, tt.reason)
		})
	}
}

// A response may have folded lines (RFC 9112 §5.2): they are one, however the head is
// cut. A request may not.
func TestResponseFolded(t *testing.T) {
	in := "HTTP/1.1 101 Switching Protocols\r\nUpgrade:\r\n websocket\r\nConnection: keep-alive,\r\n\t Upgrade\r\n" +
		"X-Empty:\r\n \r\nX-Long: a\r\n  b\r\n\tc\r\n \r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n \r\n\r\n"
	want := map[string]string{"Upgrade": "websocket", "Connection": "keep-alive, Upgrade", "X-Empty": "", "X-Long": "a b c"}
	for cut := 1; cut <= len(in); cut++ {
		var p Parser
		var n int
		var err error
		var b []byte
		for at := 0; n == 0 && err == nil && at < len(in); at += cut {
			b = []byte(in[:min(at+cut, len(in))]) // the bytes move
			n, err = p.Response(b)
		}
		if n != len(in) || err != nil {
			t.Fatalf("cut at %d: %d of %d, %v", cut, n, len(in), err)
		}
		h := p.Head(b)
		for name, value := range want {
			if got := strings.Join(strings.Fields(string(h.Header(name))), " "); got != value || strings.ContainsAny(string(h.Header(name)), "\r\n") {
				t.Errorf("cut at %d: %s: %q, want %q", cut, name, got, value)
			}
		}
		if _, err := h.CheckResponse("dGhlIHNhbXBsZSBub25jZQ==", nil, ""); err != nil {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
}
