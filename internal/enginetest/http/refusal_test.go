//go:build linux

package http_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// Every refusal of a loop is counted by its kind and leaves one line: to whom, what,
// why, path and origin, and nothing of the query.
func TestRefusalLogged(t *testing.T) {
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	upgrade := func(path string, more ...string) string {
		return string(wstest.Request("perch.test", path+"?token=secret", more...))
	}
	reject := func(*perch.Request) perch.Response { return perch.Reject(http.StatusUnauthorized, "not you") }
	for _, tt := range []struct {
		name     string
		cfg      perch.Config
		request  string
		hold     bool // one that is within the limit comes before
		kind     perch.Refusal
		level    slog.Level
		status   int
		reason   string
		path     string
		origin   string
		noAnswer bool
	}{
		{name: "origin", request: upgrade("/ws", "Origin: https://evil.test"), kind: perch.RefusedOrigin, level: slog.LevelWarn,
			status: 403, reason: "origin not allowed", path: "/ws", origin: "https://evil.test"},
		{name: "long origin", request: upgrade("/ws", "Origin: https://"+strings.Repeat("e", 400)), kind: perch.RefusedOrigin, level: slog.LevelWarn,
			status: 403, reason: "origin not allowed", path: "/ws", origin: "https://" + strings.Repeat("e", 248) + "…"},
		{name: "no HTTP", request: "nonsense\r\n\r\n", kind: perch.RefusedRequest, level: slog.LevelInfo, status: 400},
		{name: "no Host", request: "GET /ws HTTP/1.1\r\n\r\n", kind: perch.RefusedRequest, level: slog.LevelInfo, status: 400},
		{name: "version", request: strings.Replace(upgrade("/ws"), "Version: 13", "Version: 8", 1), kind: perch.RefusedRequest, level: slog.LevelInfo,
			status: 426, reason: "Sec-WebSocket-Version must be 13", path: "/ws"},
		{name: "key of an absolute URI", request: strings.NewReplacer("GET ", "GET http://perch.test", "Key: ", "Key: x").Replace(upgrade("/ws")),
			kind: perch.RefusedRequest, level: slog.LevelInfo, status: 400, path: "/ws"},
		{name: "password in the URI", request: strings.Replace(upgrade("/ws"), "GET ", "GET http://user:secret@perch.test", 1),
			kind: perch.RefusedRequest, level: slog.LevelInfo, status: 400},
		{name: "fragment", request: strings.Replace(upgrade("/ws"), "?token=", "#token=", 1), kind: perch.RefusedRequest, level: slog.LevelInfo, status: 400},
		{name: "method", request: strings.Replace(upgrade("/ws"), "GET", "POST", 1), kind: perch.RefusedRequest, level: slog.LevelInfo,
			status: 405, path: "/ws"},
		{name: "large head", request: upgrade("/ws", "X: "+strings.Repeat("x", 9000)), kind: perch.RefusedRequest, level: slog.LevelInfo,
			status: 431, reason: "head too large"},
		{name: "plain", request: "GET /ws?token=secret HTTP/1.1\r\nHost: perch.test\r\n\r\n", kind: perch.RefusedPlainHTTP, level: slog.LevelDebug,
			status: 426, path: "/ws"},
		{name: "plain elsewhere", request: "GET /x HTTP/1.1\r\nHost: perch.test\r\n\r\n", kind: perch.RefusedPlainHTTP, level: slog.LevelDebug,
			status: 404, path: "/x"},
		{name: "path", request: upgrade("/other"), kind: perch.RefusedPath, level: slog.LevelInfo, status: 404, path: "/other"},
		{name: "handler", request: upgrade("/no"), kind: perch.RefusedByHandler, level: slog.LevelInfo, status: 401, reason: "not you", path: "/no"},
		{name: "worker", request: upgrade("/never"), kind: perch.RefusedByHandler, level: slog.LevelInfo, status: 401, reason: "not you", path: "/never"},
		{name: "panic", request: upgrade("/panic"), kind: perch.RefusedFault, level: slog.LevelWarn, status: 500},
		{name: "panic of a worker", request: upgrade("/alarm"), kind: perch.RefusedFault, level: slog.LevelWarn, status: 500, path: "/alarm"},
		{name: "answer that cannot be sent", request: upgrade("/chosen"), kind: perch.RefusedFault, level: slog.LevelWarn, status: 500, path: "/chosen"},
		{name: "connections", cfg: perch.Config{MaxConnections: 1}, hold: true, request: upgrade("/ws"), kind: perch.RefusedLimit,
			level: slog.LevelWarn, status: 503, reason: "too many connections"},
		{name: "address", cfg: perch.Config{TrustedProxies: loopback, MaxConnectionsPerIP: 1}, hold: true,
			request: upgrade("/ws", "X-Forwarded-For: 192.0.2.7"), kind: perch.RefusedLimit,
			level: slog.LevelWarn, status: 429, reason: "too many connections from this address", path: "/ws"},
		{name: "head in time", cfg: perch.Config{HandshakeTimeout: 50 * time.Millisecond}, request: "GET /ws", kind: perch.RefusedTimeout,
			level: slog.LevelInfo, status: 408},
		{name: "silence", cfg: perch.Config{HandshakeTimeout: 50 * time.Millisecond}, kind: perch.RefusedTimeout, level: slog.LevelDebug, status: 408},
		{name: "PROXY header", cfg: perch.Config{ProxyProtocol: loopback}, request: upgrade("/ws"), kind: perch.RefusedProxy,
			level: slog.LevelWarn, noAnswer: true},
		{name: "PROXY header in time", cfg: perch.Config{ProxyProtocol: loopback, HandshakeTimeout: 50 * time.Millisecond}, kind: perch.RefusedTimeout,
			level: slog.LevelInfo, reason: "no PROXY header in time", noAnswer: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log := new(enginetest.Journal)
			tt.cfg.Logger = log.Logger()
			srv := enginetest.Start(t, tt.cfg, func(srv *perch.Server) {
				srv.Handle("/ws", enginetest.Echo())
				srv.Handle("/no", perch.Handler{OnUpgrade: reject})
				srv.HandleBlocking("/never", perch.BlockingHandler{OnUpgrade: reject})
				srv.Handle("/panic", perch.Handler{OnUpgrade: func(*perch.Request) perch.Response { panic("no") }})
				srv.HandleBlocking("/alarm", perch.BlockingHandler{OnUpgrade: func(*perch.Request) perch.Response { panic("no") }})
				srv.Handle("/chosen", perch.Handler{OnUpgrade: func(*perch.Request) perch.Response { return perch.Response{Subprotocol: "x"} }})
			})
			if tt.hold {
				first := wstest.Connect(t, srv.Addr().String())
				first.Write([]byte(upgrade("/ws", "X-Forwarded-For: 192.0.2.7")))
				if r := first.ReadResponse(); r.Status != 101 {
					t.Fatal(r.Status)
				}
			}
			c := wstest.Connect(t, srv.Addr().String())
			c.Write([]byte(tt.request))
			if !tt.noAnswer {
				if r := c.ReadResponse(); r.Status != tt.status {
					t.Errorf("answered %d, want %d", r.Status, tt.status)
				}
			}
			s := enginetest.AwaitStats(t, srv, "it is counted", func(s *perch.Stats) bool { return s.Refusals[tt.kind] == 1 })
			for kind, n := range s.Refusals {
				if n != 0 && perch.Refusal(kind) != tt.kind {
					t.Errorf("%d are counted as %v", n, perch.Refusal(kind))
				}
			}
			expectRefusal(t, log, tt.kind, tt.level, tt.status)
			for key, want := range map[string]string{"reason": tt.reason, "path": tt.path, "origin": tt.origin} {
				if got := enginetest.Attr(log.Find("upgrade refused")[0], key); got != want && (want != "" || key != "reason") {
					t.Errorf("%s %q, want %q", key, got, want)
				}
			}
			host := ""
			if tt.path != "" {
				host = "perch.test"
			}
			if got := enginetest.Attr(log.Find("upgrade refused")[0], "host"); got != host {
				t.Errorf("host %q, want %q", got, host)
			}
			remote := "127.0.0.1"
			if tt.name == "address" {
				remote = "192.0.2.7"
			}
			if got := enginetest.Attr(log.Find("upgrade refused")[0], "remote"); got != remote {
				t.Errorf("remote %q, want %q", got, remote)
			}
		})
	}
}

// expectRefusal expects the line of one refusal, and that no line has the query.
func expectRefusal(t testing.TB, log *enginetest.Journal, kind perch.Refusal, level slog.Level, status int) {
	t.Helper()
	wstest.Eventually(t, "the line is written", func() bool { return len(log.Find("upgrade refused")) > 0 })
	lines := log.Find("upgrade refused")
	if len(lines) != 1 {
		t.Errorf("%d lines", len(lines))
	}
	want := ""
	if status != 0 {
		want = fmt.Sprint(status)
	}
	if r := lines[0]; r.Level != level || enginetest.Attr(r, "kind") != kind.String() || enginetest.Attr(r, "status") != want || enginetest.Attr(r, "reason") == "" {
		t.Errorf("%v, kind %q, status %q, reason %q; want %v, %v, %q", r.Level, enginetest.Attr(r, "kind"), enginetest.Attr(r, "status"), enginetest.Attr(r, "reason"), level, kind, want)
	}
	for _, r := range log.Find("") {
		r.Attrs(func(a slog.Attr) bool {
			if strings.Contains(a.Value.String(), "secret") {
				t.Errorf("%s has %s=%s", r.Message, a.Key, a.Value)
			}
			return true
		})
	}
}

// The same in a server of net/http.
func TestRefusalLoggedInForeignServer(t *testing.T) {
	type wrapped struct{ http.ResponseWriter }
	for _, tt := range []struct {
		name    string
		tls     bool
		serve   func(route *perch.Route, w http.ResponseWriter, r *http.Request)
		request []string
		kind    perch.Refusal
		level   slog.Level
		status  int
	}{
		{name: "origin", request: []string{"Origin: null"}, kind: perch.RefusedOrigin, level: slog.LevelWarn, status: 403},
		{name: "handler", request: []string{"X-No: 1"}, kind: perch.RefusedByHandler, level: slog.LevelInfo, status: 401},
		{name: "panic", request: []string{"X-No: panic"}, kind: perch.RefusedFault, level: slog.LevelWarn, status: 500},
		{name: "request", request: []string{"Transfer-Encoding: chunked"}, kind: perch.RefusedRequest, level: slog.LevelInfo, status: 400},
		{name: "hijack", serve: func(route *perch.Route, w http.ResponseWriter, r *http.Request) { route.ServeHTTP(wrapped{w}, r) },
			kind: perch.RefusedHijack, level: slog.LevelWarn, status: 500},
		{name: "tls", tls: true, kind: perch.RefusedTLS, level: slog.LevelInfo, status: 501},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log := new(enginetest.Journal)
			var route *perch.Route
			srv := enginetest.Start(t, perch.Config{Logger: log.Logger()}, func(srv *perch.Server) {
				route = srv.Route(perch.Handler{OnUpgrade: func(r *perch.Request) perch.Response {
					switch r.Header("X-No") {
					case "panic":
						panic("no")
					case "1":
						return perch.Reject(http.StatusUnauthorized, "not you")
					}
					return perch.Response{}
				}})
			})
			handler := http.Handler(route)
			if tt.serve != nil {
				handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { tt.serve(route, w, r) })
			}
			foreign := httptest.NewUnstartedServer(handler)
			defer foreign.Close()
			if tt.tls {
				foreign.StartTLS()
			} else {
				foreign.Start()
			}
			var conn net.Conn
			var err error
			if tt.tls {
				conn, err = tls.Dial("tcp", foreign.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
			} else {
				conn, err = net.Dial("tcp", foreign.Listener.Addr().String())
			}
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(30 * time.Second))
			request := string(wstest.Request("perch.test", "/ws?token=secret", tt.request...))
			if tt.name == "request" {
				request += "0\r\n\r\n"
			}
			if _, err := conn.Write([]byte(request)); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || resp.StatusCode != tt.status {
				t.Fatalf("%v, %v, want %d", resp, err, tt.status)
			}
			if s := srv.Stats(); s.Refusals[tt.kind] != 1 {
				t.Errorf("counted: %v", s.Refusals)
			}
			expectRefusal(t, log, tt.kind, tt.level, tt.status)
			if r := log.Find("upgrade refused")[0]; enginetest.Attr(r, "path") != "/ws" || enginetest.Attr(r, "host") != "perch.test" || enginetest.Attr(r, "remote") != "127.0.0.1" {
				t.Errorf("path %q, host %q, remote %q", enginetest.Attr(r, "path"), enginetest.Attr(r, "host"), enginetest.Attr(r, "remote"))
			}
		})
	}
}

// A flood of refusals is no flood of lines: a few, and how many more there were, but
// other kinds, and other answers, have lines of their own.
func TestRefusalFlood(t *testing.T) {
	log := new(enginetest.Journal)
	srv := enginetest.Start(t, perch.Config{Logger: log.Logger(), Loops: 2}, func(srv *perch.Server) { srv.Handle("/ws", enginetest.Echo()) })
	ask := func(request []byte) {
		c := wstest.Connect(t, srv.Addr().String())
		c.Write(request)
		c.ReadResponse()
		c.Close()
	}
	const flood = 1000
	for range flood {
		ask(wstest.Request("perch.test", "/ws", "Origin: https://evil.test"))
	}
	ask(wstest.Request("perch.test", "/elsewhere"))
	const nonsense = 20
	for range nonsense {
		ask([]byte("nonsense\r\n\r\n"))
	}
	ask(wstest.Request("perch.test", "/ws", "X: "+strings.Repeat("x", 9000)))
	if s := srv.Stats(); s.Refusals[perch.RefusedOrigin] != flood || s.Refusals[perch.RefusedPath] != 1 || s.Refusals[perch.RefusedRequest] != nonsense+1 {
		t.Errorf("counted: %v", s.Refusals)
	}
	srv.Close()
	lines, counted := make(map[string]int), make(map[string]int)
	for _, r := range log.Find("upgrade refused") {
		lines[enginetest.Attr(r, "kind")+" "+enginetest.Attr(r, "status")]++
	}
	for _, r := range log.Find("more upgrades refused") {
		of := enginetest.Attr(r, "kind") + " " + enginetest.Attr(r, "status")
		lines[of]++
		counted[of] += enginetest.CountOf([]slog.Record{r}) - 1 // the line itself stands for none
		if want := map[string]slog.Level{"origin": slog.LevelWarn, "request": slog.LevelInfo}[enginetest.Attr(r, "kind")]; r.Level != want {
			t.Errorf("%v about more of %q", r.Level, of)
		}
	}
	for of, all := range map[string]int{"origin 403": flood, "path 404": 1, "request 400": nonsense, "request 431": 1} {
		if lines[of]+counted[of] != all || lines[of] > max(all/2, 1) {
			t.Errorf("%s: %d lines, and %d more, of %d", of, lines[of], counted[of], all)
		}
	}
}
