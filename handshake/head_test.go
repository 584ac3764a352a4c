package handshake

import (
	"slices"
	"strings"
	"testing"
)

// head parses a whole request.
func head(t *testing.T, in string) Head {
	t.Helper()
	p := new(Parser)
	n, err := p.Request([]byte(in))
	if n != len(in) || err != nil {
		t.Fatalf("Request = %d, %v for %q", n, err, in)
	}
	return p.Head([]byte(in))
}

func TestHeader(t *testing.T) {
	h := head(t, "GET / HTTP/1.1\r\nHost: h\r\n"+
		"X-One: 1\r\nx-ONE:2\r\nX-Empty:\r\nX-Space: \t \r\nX-Inner: \ta \t b\t \r\nX-Obs: caf\xe9\r\n"+
		"Upgrade: a\r\nUPGRADE: b\r\n\r\n")
	for _, tt := range []struct {
		name, want string
		absent     bool
	}{
		{"X-One", "1", false},
		{"x-one", "1", false},
		{"X-Empty", "", false},
		{"X-Space", "", false},
		{"X-Inner", "a \t b", false},
		{"X-Obs", "caf\xe9", false},
		{"host", "h", false},
		{"upgrade", "a", false},
		{"X-On", "", true},
		{"Origin", "", true},
		{"", "", true},
	} {
		got := h.Header(tt.name)
		if string(got) != tt.want || got == nil != tt.absent {
			t.Errorf("Header(%q) = %q (nil: %v), want %q", tt.name, got, got == nil, tt.want)
		}
	}
	var values []string
	for v := range h.Values("X-ONE") {
		values = append(values, string(v))
	}
	for v := range h.Values("upgrade") {
		values = append(values, string(v))
		break
	}
	if !slices.Equal(values, []string{"1", "2", "a"}) {
		t.Errorf("Values: %q", values)
	}
	var names []string
	for name := range h.Each {
		if names = append(names, string(name)); len(names) == 3 {
			break
		}
	}
	if !slices.Equal(names, []string{"Host", "X-One", "x-ONE"}) {
		t.Errorf("Each: %q", names)
	}
}

// Appending to a view must not write into the head.
func TestViewsAreCapped(t *testing.T) {
	h := head(t, "GET / HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n")
	_ = append(h.Header("Host"), "garbage"...)
	if got := string(h.Header("X")); got != "y" {
		t.Errorf("X is now %q", got)
	}
}

// Every kind is found under its name in any case, and under no other.
func TestKinds(t *testing.T) {
	names := map[kind]string{
		kindHost: "Host", kindUpgrade: "Upgrade", kindConnection: "Connection", kindKey: "Sec-WebSocket-Key",
		kindVersion: "Sec-WebSocket-Version", kindProtocol: "Sec-WebSocket-Protocol",
		kindExtensions: "Sec-WebSocket-Extensions", kindAccept: "Sec-WebSocket-Accept", kindOrigin: "Origin",
		kindCookie: "Cookie", kindContentLength: "Content-Length", kindTransferEncoding: "Transfer-Encoding",
		kindForwardedFor: "X-Forwarded-For", kindExpect: "Expect",
	}
	if len(names) != int(kinds)-1 {
		t.Fatalf("%d names for %d kinds", len(names), kinds-1)
	}
	for k, name := range names {
		for _, s := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			if got := kindOf(s); got != k {
				t.Errorf("kindOf(%q) = %d, want %d", s, got, k)
			}
		}
		for i := range name {
			other := name[:i] + "~" + name[i+1:]
			if got := kindOf(other); got != kindOther {
				t.Errorf("kindOf(%q) = %d, want none", other, got)
			}
		}
	}
}

func TestCookie(t *testing.T) {
	h := head(t, "GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1; session_id=\"x=y\" ;b\r\nCookie:a=2;c=; quoted=\"\r\n\r\n")
	for _, tt := range []struct {
		name, want string
		absent     bool
	}{
		{"a", "1", false},
		{"session_id", "x=y", false},
		{"c", "", false},
		{"quoted", "\"", false},
		{"b", "", true},
		{"A", "", true},
		{"", "", true},
	} {
		got := h.Cookie(tt.name)
		if string(got) != tt.want || got == nil != tt.absent {
			t.Errorf("Cookie(%q) = %q (nil: %v), want %q", tt.name, got, got == nil, tt.want)
		}
	}
}
