package auth

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestRedact(t *testing.T) {
	const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJlc2lnbmE"
	spaced := base64.RawURLEncoding.EncodeToString([]byte(`{ "alg":"HS256" }`)) + jwt[strings.IndexByte(jwt, '.'):]
	for _, tt := range []struct{ in, want string }{
		// Tokens anywhere.
		{jwt, "[redacted]"},
		{"got " + jwt + ", refused", "got [redacted], refused"},
		{"(" + jwt + ")", "([redacted])"},
		{"x" + jwt, "[redacted]"}, // a header too, judged by its length
		{jwt + " " + jwt, "[redacted] [redacted]"},
		{"head " + jwt[:20], "head [redacted]"},
		{spaced, "[redacted]"},
		{"a.b." + spaced, "a.b.[redacted]"},
		{b64([]byte(jwt)), "[redacted]"},
		{base64.StdEncoding.EncodeToString([]byte(jwt + "?>?>")), "[redacted]"},
		{"%65yJ" + jwt[3:], "[redacted]"},
		{`\u0065yJ` + jwt[3:], "[redacted]"},
		{"%2565yJ" + jwt[3:], "[redacted]"},

		// URLs.
		{"GET /ws?token=abc HTTP/1.1", "GET /ws?token=[redacted] HTTP/1.1"},
		{"/ws?raw=1&token=abc&x=2", "/ws?raw=1&token=[redacted]&x=2"},
		{"/ws?access_token=a%26b&x=2", "/ws?access_token=[redacted]&x=2"},
		{"/ws?%74oken=abc&x=2", "/ws?%74oken=[redacted]&x=2"},
		{"/login?next=%2Fws%3Ftoken%3Dabc&x=2", "/login?next=%2Fws%3Ftoken%3D[redacted]&x=2"},
		{"/ws?TOKEN=abc", "/ws?TOKEN=[redacted]"},
		{"/ws?token=", "/ws?token="},
		{"/ws?tokens=7&kind=tokenish", "/ws?tokens=7&kind=tokenish"},

		// Headers.
		{"Authorization: Bearer abc", "Authorization: [redacted]"},
		{"authorization: Basic dTpw\r\nHost: a", "authorization: [redacted]\r\nHost: a"},
		{"Proxy-Authorization: x y", "Proxy-Authorization: [redacted]"},
		{"Cookie: a=1; b=2\r\nHost: a", "Cookie: [redacted]\r\nHost: a"},
		{"X-Auth-Token: abc", "X-Auth-Token: [redacted]"},
		{"Sec-WebSocket-Protocol: chat.v1, bearer.YWJj, x", "Sec-WebSocket-Protocol: chat.v1, bearer.[redacted], x"},
		{"[chat.v1 bearer.YWJj]", "[chat.v1 bearer.[redacted]]"},
		{"Bearer abc123", "Bearer [redacted]"},
		{fmt.Sprint(http.Header{"Authorization": {"Bearer abc"}, "Host": {"a"}}), "map[Authorization:[[redacted]] Host:[a]]"},

		// JSON, and JSON in JSON.
		{`{"type":"join","token":"abc","x":1}`, `{"type":"join","token":"[redacted]","x":1}`},
		{`{"token" : "abc"}`, `{"token" : "[redacted]"}`},
		{`{"token":"a\"b","x":1}`, `{"token":"[redacted]","x":1}`},
		{`{"token":"a\\","x":"y"}`, `{"token":"[redacted]"x":"y"}`}, // it removes too much rather than too little
		{`{"token":"abc`, `{"token":"[redacted]`},
		{`{"tok\u0065n":"abc"}`, `{"tok\u0065n":"[redacted]"}`},
		{`{"resume_token":"abc"}`, `{"resume_token":"[redacted]"}`},
		{`{"password":"p w","room":"x"}`, `{"password":"[redacted]","room":"x"}`},
		{`{"session":"abc"}`, `{"session":"[redacted]"}`},
		{`{"session":{"user_id":"a"}}`, `{"session":{"user_id":"a"}}`},
		{`{"token":12345,"x":1}`, `{"token":[redacted],"x":1}`},
		{`{"token":null,"x":1}`, `{"token":null,"x":1}`},
		{`{"Authorization":["Bearer a","Bearer b"],"x":1}`, `{"Authorization":[[redacted]],"x":1}`},
		{`"{\"token\":\"abc\",\"x\":1}"`, `"{\"token\":\"[redacted]\",\"x\":1}"`},

		// Secrets within each other.
		{"\"token\":\nCookie: tok=abc d", "\"token\":\n[redacted] [redacted]"},
		{"token=Cookie:abc def", "token=[redacted]"},
		{"Bearer bearer abc123", "Bearer bearer [redacted]"},
		{"bearer.bearer x1", "bearer.[redacted] [redacted]"},

		// Text that stays.
		{"", ""},
		{"a bearer subprotocol needs another beside it", "a bearer subprotocol needs another beside it"},
		{"claim token: expected a string", "claim token: expected a string"},
		{"auth: token has expired", "auth: token has expired"},
		{"code=token_expired", "code=token_expired"},
		{"https://www.example.com:8000/ws?raw=1", "https://www.example.com:8000/ws?raw=1"},
		{"github.com/perchws/perch/internal/server/auth.(*Verifier).Verify", "github.com/perchws/perch/internal/server/auth.(*Verifier).Verify"},
		{"100% of 5 %", "100% of 5 %"},
		{`C:\dir \" \u00e9 \u00`, `C:\dir \" \u00e9 \u00`},
	} {
		if got := Redact(tt.in); got != tt.want {
			t.Errorf("Redact(%q)\n got %q\nwant %q", tt.in, got, tt.want)
		}
	}
}

// TestRedactIsLinear: the cost of a text that a client makes us log grows only with its length.
func TestRedactIsLinear(t *testing.T) {
	const size = 1 << 19
	for _, unit := range []string{"bearer.", "bearer ", "token=", "token:", `"token":`, "token= ", ".", "eyJ", "a.", "=", `"`, `\`, `\\`, "%", "%25", "eyJ=", `"token":[`, "'token':{", "cookie:\n", `token="token='`, `"token":'\'`, "token=[cookie:"} {
		s := strings.Repeat(unit, size/len(unit))
		start := time.Now()
		Redact(s)
		if d := time.Since(start); d > 5*time.Second { // quadratic time would take minutes
			t.Errorf("%q repeated to %d bytes took %v", unit, size, d)
		}
	}
}

type valuer struct{ token string }

func (v valuer) LogValue() slog.Value {
	return slog.GroupValue(slog.String("url", "/ws?token="+v.token), slog.Int("n", 1))
}

type stringer struct{ token string }

func (s *stringer) String() string { return "at " + s.token }

// TestRedactHandler sends each carrier, in each form that a log call may give it, through real handlers.
func TestRedactHandler(t *testing.T) {
	token := signers()["HS256"].mint(nil, nil)
	_, _, signature := cut(token)
	encoded := b64([]byte(token))
	header := http.Header{"Authorization": {"Bearer " + token}, "Cookie": {"tok=" + token}, "Sec-Websocket-Protocol": {"x, bearer." + encoded}}
	u := &url.URL{Path: "/ws", RawQuery: "token=" + token}
	frame, _ := json.Marshal(object{"type": "join", "token": token})
	type request struct {
		Frame []byte
		Path  string
	}
	var nilStringer *stringer
	calls := map[string]func(*slog.Logger){
		"message":            func(l *slog.Logger) { l.Info("token " + token) },
		"header":             func(l *slog.Logger) { l.Info("m", "h", "Authorization: Bearer "+token) },
		"all headers":        func(l *slog.Logger) { l.Info("m", "h", header) },
		"subprotocols":       func(l *slog.Logger) { l.Info("m", "p", []string{"x", "bearer." + encoded}) },
		"bare subprotocol":   func(l *slog.Logger) { l.Info("m", "p", encoded) },
		"cookie":             func(l *slog.Logger) { l.Info("m", "c", http.Cookie{Name: "tok", Value: token}) },
		"query":              func(l *slog.Logger) { l.Info("m", "q", u.RawQuery) },
		"URL":                func(l *slog.Logger) { l.Info("m", "u", u) },
		"URL value":          func(l *slog.Logger) { l.Info("m", "u", *u) },
		"frame":              func(l *slog.Logger) { l.Info("m", "f", string(frame)) },
		"frame bytes":        func(l *slog.Logger) { l.Info("m", "f", frame) },
		"raw frame":          func(l *slog.Logger) { l.Info("m", "f", json.RawMessage(frame)) },
		"quoted frame":       func(l *slog.Logger) { l.Info("m", "f", fmt.Sprintf("%q", frame)) },
		"bytes in a struct":  func(l *slog.Logger) { l.Info("m", "r", request{Frame: []byte("> " + token)}) },
		"struct":             func(l *slog.Logger) { l.Info("m", "r", &request{Path: u.String()}) },
		"unexported":         func(l *slog.Logger) { l.Info("m", "v", valuer{token}, "x", struct{ t string }{token}) },
		"map":                func(l *slog.Logger) { l.Info("m", "v", map[string]any{"a": []any{object{"t": token}}}) },
		"map of bytes":       func(l *slog.Logger) { l.Info("m", "v", map[string][]byte{"a": []byte("> " + token)}) },
		"error":              func(l *slog.Logger) { l.Info("m", "error", fmt.Errorf("x: %w", errors.New(u.String()))) },
		"stringer":           func(l *slog.Logger) { l.Info("m", "s", &stringer{token}, "nil", nilStringer) },
		"LogValuer":          func(l *slog.Logger) { l.Info("m", "v", valuer{token}) },
		"group":              func(l *slog.Logger) { l.Info("m", slog.Group("g", slog.Group("h", "u", u.String()))) },
		"With":               func(l *slog.Logger) { l.With("u", u.String()).Info("m") },
		"WithGroup":          func(l *slog.Logger) { l.WithGroup("g").With("u", u.String()).Info("m", "v", valuer{token}) },
		"key":                func(l *slog.Logger) { l.Info("m", token, 1) },
		"opaque, by name":    func(l *slog.Logger) { l.Info("m", "token", signature, "Cookie", []string{signature}) },
		"opaque, in JSON":    func(l *slog.Logger) { l.Info("m", "v", map[string]string{"token": signature}) },
		"opaque, in a query": func(l *slog.Logger) { l.Info("m", "v", url.Values{"token": {signature}}) },
	}
	for name, call := range calls {
		for format, handler := range map[string]func(*strings.Builder) slog.Handler{
			"text": func(b *strings.Builder) slog.Handler { return slog.NewTextHandler(b, nil) },
			"json": func(b *strings.Builder) slog.Handler { return slog.NewJSONHandler(b, nil) },
		} {
			t.Run(name+"/"+format, func(t *testing.T) {
				var plain, clean strings.Builder
				call(slog.New(handler(&plain)))
				call(slog.New(RedactHandler(handler(&clean))))
				if !strings.Contains(clean.String(), "[redacted]") {
					t.Errorf("nothing redacted: %s", &clean)
				}
				shows(t, clean.String(), token, signature, encoded)
				if plain.Len() == 0 || !strings.Contains(clean.String(), "level") {
					t.Errorf("not a log line: %s", &clean)
				}
			})
		}
	}
}

// shows fails if a secret is in the line, as text or as bytes in numbers or base64.
func shows(t *testing.T, line string, secrets ...string) {
	t.Helper()
	for _, s := range secrets {
		numbers := strings.Trim(fmt.Sprint([]byte(s[:8])), "[]")
		if strings.Contains(line, s) || strings.Contains(line, numbers) {
			t.Errorf("a secret is in the log: %s", line)
		}
		for i := range 3 { // base64 of the same bytes depends on their place in the input
			if part := b64([]byte(s[i : i+30])); strings.Contains(line, part[4:36]) {
				t.Errorf("a secret in base64 is in the log: %s", line)
			}
		}
	}
}

// TestRedactHandlerKeeps: values without a secret pass unchanged, with their type.
func TestRedactHandlerKeeps(t *testing.T) {
	write := func(h slog.Handler) {
		l := slog.New(h).With("a", 1).WithGroup("g")
		l.Info("hello", "n", 7, "d", time.Second, "b", true, "t", noon, "f", 1.5, "nil", nil, "s", []string{"x"}, "bytes", []byte("hi"),
			"at", struct{ When time.Time }{noon.Local()}, "m", map[string]int{"x": 1}, "big", make([]int, 5000), "token", "", "code", CodeExpired)
		l.Debug("not this")
	}
	var plain, clean strings.Builder
	write(slog.NewJSONHandler(&plain, nil))
	write(RedactHandler(RedactHandler(slog.NewJSONHandler(&clean, nil))))
	var a, b map[string]any
	if err := errors.Join(json.Unmarshal([]byte(plain.String()), &a), json.Unmarshal([]byte(clean.String()), &b)); err != nil {
		t.Fatal(err)
	}
	delete(a, "time")
	delete(b, "time")
	if !reflect.DeepEqual(a, b) {
		t.Errorf("got  %v\nwant %v", b, a)
	}
}
