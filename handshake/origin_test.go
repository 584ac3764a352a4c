package handshake

import (
	"strings"
	"testing"
)

func TestSameOrigin(t *testing.T) {
	for _, tt := range []struct {
		origin, host string
		want         bool
	}{
		{"http://example.com", "example.com", true},
		{"https://example.com", "example.com", true}, // TLS may end in front
		{"HTTPS://EXAMPLE.com", "example.COM", true},
		{"http://example.com", "example.com:80", true},
		{"https://example.com", "example.com:443", true},
		{"https://example.com:443", "example.com", true},
		{"http://example.com:8000", "example.com:8000", true},
		{"http://[::1]:8000", "[::1]:8000", true},
		{"http://[2001:DB8::1]", "[2001:db8::1]", true},
		{"app://local", "local", true},
		{"http://example.com:", "example.com:", true},

		{"http://example.com", "example.com:443", false},
		{"https://example.com", "example.com:80", false},
		{"http://example.com:8000", "example.com", false},
		{"http://example.com:8000", "example.com:8001", false},
		{"app://local", "local:80", false},
		{"http://example.com", "www.example.com", false},
		{"http://www.example.com", "example.com", false},
		{"http://example.com.evil.test", "example.com", false},
		{"http://evilexample.com", "example.com", false},
		{"http://example.com@evil.test", "evil.test", false},
		{"http://evil.test/example.com", "example.com", false},
		{"http://example.com/", "example.com", false},
		{"http://example.com?", "example.com", false},
		{"http://example.com#", "example.com", false},
		{"http://example.com, http://evil.test", "example.com", false},
		{"http://example.com:80:80", "example.com", false},
		{"null", "null", false},
		{"null", "", false},
		{"", "", false},
		{"example.com", "example.com", false},
		{"://example.com", "example.com", false},
		{"http:/example.com", "example.com", false},
		{"http:example.com", "example.com", false},
		{"http://", "", false},
		{"http://:80", ":80", false},
		{"http://example.com", "", false},
	} {
		if got := SameOrigin([]byte(tt.origin), []byte(tt.host)); got != tt.want {
			t.Errorf("SameOrigin(%q, %q) = %v", tt.origin, tt.host, got)
		}
	}
}

func TestOriginAllowed(t *testing.T) {
	list := []string{"https://app.example.com", "http://localhost:3000", "null", "file://"}
	for _, tt := range []struct {
		origin string
		allow  []string
		want   bool
	}{
		{"", nil, true},
		{"", list, true},
		{"http://example.com", nil, true},
		{"http://example.com", []string{}, true},
		{"http://evil.test", nil, false},
		{"null", nil, false},
		{"http://evil.test", []string{"*"}, true},
		{"null", []string{"*"}, true},
		{"https://app.example.com", list, true},
		{"https://APP.example.com:443", list, true},
		{"http://localhost:3000", list, true},
		{"null", list, true},
		{"file://", list, true},
		{"http://example.com", list, false}, // the same host counts only if listed
		{"http://app.example.com", list, false},
		{"https://app.example.com:444", list, false},
		{"https://x.app.example.com", list, false},
		{"https://app.example.com.evil.test", list, false},
		{"https://app.example.com/", list, false},
		{"http://localhost", list, false},
		{"NULL", list, false},
		{"https://a.example.com", []string{"https://*.example.com"}, true},
		{"https://A.b.Example.com:443", []string{"https://*.example.COM"}, true},
		{"https://example.com", []string{"https://*.example.com"}, false},
		{"https://.example.com", []string{"https://*.example.com"}, false},
		{"https://evilexample.com", []string{"https://*.example.com"}, false},
		{"https://a.example.com.evil.test", []string{"https://*.example.com"}, false},
		{"http://a.example.com", []string{"https://*.example.com"}, false},
		{"https://a.example.com:8443", []string{"https://*.example.com"}, false},
		{"https://a.example.com:8443", []string{"https://*.example.com:8443"}, true},
		{"https://*.example.com", []string{"https://*.example.com"}, true}, // no name, but harmless: it is what was listed
		{"http://app.localhost:3000", []string{"http://*.localhost:3000"}, true},
		{"null", []string{"file://"}, false},
		{"null", []string{"https://*.example.com"}, false},
		{"file://", []string{"null"}, false},
		{"file:///home/ada/page.html", []string{"file://"}, false},
		{"app://obsidian.md", []string{"app://obsidian.md"}, true},
		{"capacitor://localhost", []string{"capacitor://localhost"}, true},
		{"capacitor://localhost", []string{"http://localhost"}, false},
		{"chrome-extension://abcdefghijklmnopabcdefghijklmnop", []string{"chrome-extension://abcdefghijklmnopabcdefghijklmnop"}, true},
		{"chrome-extension://abcdefghijklmnopabcdefghijklmnoq", []string{"chrome-extension://abcdefghijklmnopabcdefghijklmnop"}, false},
		{"moz-extension://6a1c2c0e-1f7b-4b8a-9b64-7d6c8f0a1b2c", []string{"moz-extension://6a1c2c0e-1f7b-4b8a-9b64-7d6c8f0a1b2c"}, true},
	} {
		if got := OriginAllowed([]byte(tt.origin), []byte("example.com"), tt.allow); got != tt.want {
			t.Errorf("OriginAllowed(%q, example.com, %q) = %v", tt.origin, tt.allow, got)
		}
	}
	if !OriginAllowed(nil, nil, nil) {
		t.Error("no origin was refused")
	}
}

// What no browser can send is refused, with a word on what to write instead.
func TestCheckOrigin(t *testing.T) {
	for _, entry := range []string{
		"*", "null", "file://", "https://example.com", "HTTP://Example.COM:8080", "http://localhost:3000", "http://127.0.0.1", "http://[::1]:8000",
		"https://*.example.com", "https://*.example.com:8443", "http://*.localhost:3000", "https://*.co.uk",
		"app://obsidian.md", "capacitor://localhost", "ionic://localhost", "tauri://localhost", "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
		"moz-extension://6a1c2c0e-1f7b-4b8a-9b64-7d6c8f0a1b2c", "https://xn--bcher-kva.example", "https://a_b.example.com",
	} {
		if err := CheckOrigin(entry); err != nil {
			t.Errorf("%q: %v", entry, err)
		}
		if origin := strings.Replace(entry, "*.", "a.b.", 1); entry != "*" && !OriginAllowed([]byte(origin), nil, []string{entry}) {
			t.Errorf("%q does not allow %q", entry, origin)
		}
	}
	for entry, says := range map[string]string{
		"": "scheme://", "example.com": "scheme://", "example.com:443": "scheme://", "Null": "scheme://", "://example.com": "scheme://", "1a://b": "scheme://",
		"https:/example.com": "scheme://", "https://": "host is missing", "http://": "host is missing",
		"https://example.com/": "no path", "https://example.com/chat": "no path", "https://example.com?x": "no path", "https://ada@example.com": "no path",
		"wss://example.com": "never ws", "ws://localhost": "never ws", "file:///home": "no path",
		"https://*": "* stands", "https://*.": "* stands", "https://*.*.com": "* stands", "https://a.*.com": "* stands", "https://*example.com": "* stands",
		"https://*.1.2.3.4": "* stands", "https://*..com": "* stands", "chrome-extension://*": "* stands", "*://example.com": "scheme://",
		"https://bücher.example": "xn--", "https://example.com:99999": "port", "https://example.com:x": "port", "https://exa mple.com": "host",
		"https://[::1": "host", "https://a,https://b": "host",
	} {
		if err := CheckOrigin(entry); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want it to say %q", entry, err, says)
		}
	}
}
