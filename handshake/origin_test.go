package handshake

import "testing"

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
		{"https://a.example.com", []string{"https://*.example.com"}, false}, // no patterns
	} {
		if got := OriginAllowed([]byte(tt.origin), []byte("example.com"), tt.allow); got != tt.want {
			t.Errorf("OriginAllowed(%q, example.com, %q) = %v", tt.origin, tt.allow, got)
		}
	}
	if !OriginAllowed(nil, nil, nil) {
		t.Error("no origin was refused")
	}
}
