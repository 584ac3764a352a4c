//go:build linux

package http_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

func TestUpgradeRejected(t *testing.T) {
	srv := enginetest.StartRoute(t, perch.Config{}, perch.Handler{
		OnUpgrade: func(r *perch.Request) perch.Response {
			resp := perch.Reject(http.StatusUnauthorized, "a token, please")
			resp.Header = http.Header{"WWW-Authenticate": {"Bearer"}, "X-Two": {"1", "2"}}
			return resp
		},
		OnOpen:  func(perch.Conn, *perch.Request) { t.Error("OnOpen after a refusal") },
		OnClose: func(perch.Conn, *perch.CloseError) { t.Error("OnClose after a refusal") },
	})
	c, r := enginetest.Upgrade(t, srv, "/ws")
	if r.Status != 401 || r.Header("WWW-Authenticate") != "Bearer" || strings.Count(r.Head, "X-Two: ") != 2 || strings.TrimSpace(r.Body) != "a token, please" {
		t.Errorf("%s%s", r.Head, r.Body)
	}
	c.ExpectEOF()
	c.Close()
	enginetest.AwaitStats(t, srv, "it is gone", func(s *perch.Stats) bool { return s.Connections == 0 && s.Opened == 0 })
}

func TestUpgradeAccepted(t *testing.T) {
	type session struct{ user string }
	values := make(chan any, 3)
	srv := enginetest.StartRoute(t, perch.Config{}, perch.Handler{
		Settings: perch.Settings{Subprotocols: []string{"chat.v2", "chat.v1"}},
		OnUpgrade: func(r *perch.Request) perch.Response {
			resp := perch.Response{Header: http.Header{"Set-Cookie": {"a=1", "b=2"}}, Value: &session{r.Query("user")}}
			if r.Query("proto") != "" {
				resp.Subprotocol = r.Query("proto")
			}
			return resp
		},
		OnOpen:    func(c perch.Conn, r *perch.Request) { values <- c.Value(); c.SendText(r.Subprotocol()) },
		OnMessage: func(c perch.Conn, _ perch.Opcode, _ []byte) { values <- c.Value() },
		OnClose:   func(c perch.Conn, _ *perch.CloseError) { values <- c.Value() },
	})
	for _, tc := range []struct{ query, offers, chosen string }{
		{"user=ann", "", ""},
		{"user=ann", "chat.v1, chat.v2", "chat.v2"}, // the server's preference
		{"user=ann", "other", ""},
		{"user=ann&proto=other", "chat.v1, other", "other"}, // the handler's choice
	} {
		var headers []string
		if tc.offers != "" {
			headers = append(headers, "Sec-WebSocket-Protocol: "+tc.offers)
		}
		c, r := enginetest.Upgrade(t, srv, "/ws?"+tc.query, headers...)
		if r.Status != 101 || r.Header("Sec-WebSocket-Protocol") != tc.chosen || strings.Count(r.Head, "Set-Cookie: ") != 2 {
			t.Errorf("%+v:\n%s", tc, r.Head)
		}
		c.ExpectText(tc.chosen)
		c.Send(wstest.Text("value?"))
		for _, when := range []string{"OnOpen", "OnMessage", "OnClose"} {
			if when == "OnClose" {
				c.CloseHandshake(perch.CloseNormal)
			}
			if v, ok := wstest.Receive(t, when, values).(*session); !ok || v.user != "ann" {
				t.Errorf("value in %s: %v", when, v)
			}
		}
	}
	// One that was not offered would make the client fail (RFC 6455 §4.1).
	c, r := enginetest.Upgrade(t, srv, "/ws?proto=other", "Sec-WebSocket-Protocol: chat.v1")
	if r.Status != 500 || strings.Contains(r.Body, "other") {
		t.Errorf("%s%s", r.Head, r.Body)
	}
	c.ExpectEOF()
}

// What OnUpgrade takes over from a client must not end up as a header of its
// own, and its faults cost nobody else.
func TestUpgradeFaults(t *testing.T) {
	var log enginetest.Journal
	srv := enginetest.Start(t, perch.Config{Loops: 1, Logger: log.Logger()}, func(srv *perch.Server) {
		srv.Handle("/ws", enginetest.Echo())
		for path, resp := range map[string]perch.Response{
			"/value":   {Header: http.Header{"X-User": {"ann\r\nSet-Cookie: admin=1"}}},
			"/name":    {Header: http.Header{"X-User: 1\r\nX-Admin": {"1"}}},
			"/reserve": {Header: http.Header{"Sec-WebSocket-Accept": {"forged"}}},
			"/proto":   {Subprotocol: "a\r\nX-Admin: 1"},
		} {
			srv.Handle(path, perch.Handler{OnUpgrade: func(*perch.Request) perch.Response { return resp }})
		}
		srv.Handle("/panic", perch.Handler{OnUpgrade: func(*perch.Request) perch.Response { panic("OnUpgrade") }})
		srv.Handle("/reject", perch.Handler{OnUpgrade: func(*perch.Request) perch.Response {
			return perch.Response{Status: 403, Header: http.Header{"X-User": {"ann\r\nSet-Cookie: admin=1"}}}
		}})
		srv.Handle("/status", perch.Handler{OnUpgrade: func(*perch.Request) perch.Response { return perch.Reject(99, "") }})
	})
	other := enginetest.Dial(t, srv)
	for path, status := range map[string]int{"/value": 500, "/name": 500, "/reserve": 500, "/proto": 500, "/panic": 500, "/reject": 403, "/status": 500} {
		c, r := enginetest.Upgrade(t, srv, path)
		if r.Status != status || strings.Contains(r.Head, "admin") || strings.Contains(r.Head, "X-Admin") || strings.Contains(r.Head, "forged") {
			t.Errorf("%s: %s%s", path, r.Head, r.Body)
		}
		c.ExpectEOF()
		c.Close()
	}
	other.Send(wstest.Text("unaffected"))
	other.ExpectText("unaffected")
	s := enginetest.AwaitStats(t, srv, "they are gone", func(s *perch.Stats) bool { return s.Connections == 1 })
	if s.Panics != 1 || s.Opened != 1 || len(log.Find("cannot be sent")) != 4 || len(log.Find("panicked")) != 1 {
		t.Errorf("%d panics, %d opened, logged %v", s.Panics, s.Opened, log.Find(""))
	}
}

func TestRequest(t *testing.T) {
	type told struct {
		method, path, query, user, missing, header, cookie, host, origin, value, rest, bearer, subprotocol string
		offered, all                                                                                       []string
		remote                                                                                             netip.Addr
		peer                                                                                               netip.AddrPort
	}
	ask := func(r *perch.Request) told {
		var all []string
		r.Headers(func(name, value string) bool {
			all = append(all, name)
			return len(all) < 2
		})
		return told{r.Method(), r.Path(), r.RawQuery(), r.Query("user"), r.Query("none"), r.Header("x-thing"), r.Cookie("session_id"), r.Host(), r.Origin(),
			r.PathValue("id"), r.PathValue("rest"), r.Bearer(), r.Subprotocol(), r.Subprotocols(), all, r.RemoteAddr(), r.PeerAddr()}
	}
	asked := make(chan told, 2)
	srv := enginetest.Start(t, perch.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, func(srv *perch.Server) {
		srv.Handle("/rooms/{id}/{rest...}", perch.Handler{
			Settings:  perch.Settings{Subprotocols: []string{"chat.v1"}},
			OnUpgrade: func(r *perch.Request) perch.Response { asked <- ask(r); return perch.Response{} },
			OnOpen:    func(_ perch.Conn, r *perch.Request) { asked <- ask(r) },
		})
		srv.HandleBlocking("/blocking/{id}/{rest...}", perch.BlockingHandler{
			Settings:  perch.Settings{Subprotocols: []string{"chat.v1"}},
			OnUpgrade: func(r *perch.Request) perch.Response { asked <- ask(r); return perch.Response{} },
			OnOpen:    func(_ perch.Ref, r *perch.Request) { asked <- ask(r) },
		})
	})
	for _, prefix := range []string{"/rooms", "/blocking"} {
		target := prefix + "/no%207/a/b?user=ann%20b&user=bob&x=1"
		c, r := enginetest.Upgrade(t, srv, target, "X-Thing: 42", "Cookie: a=1; session_id=s3", "Origin: http://perch.test",
			"Sec-WebSocket-Protocol: chat.v1, bearer.dG9r", "X-Forwarded-For: 198.51.100.1, 203.0.113.7")
		if r.Status != 101 {
			t.Fatalf("%s%s", r.Head, r.Body)
		}
		for _, when := range []string{"OnUpgrade", "OnOpen"} {
			got := wstest.Receive(t, when, asked)
			if got.peer.String() != c.TCP().LocalAddr().String() {
				t.Errorf("%s in %s: peer %v, want %v", prefix, when, got.peer, c.TCP().LocalAddr())
			}
			if !slices.Equal(got.offered, []string{"chat.v1", "bearer.dG9r"}) && !slices.Equal(got.offered, []string{"chat.v1"}) {
				t.Errorf("%s in %s: offered %v", prefix, when, got.offered)
			}
			if !slices.Equal(got.all, []string{"Host", "Upgrade"}) {
				t.Errorf("%s in %s: headers %v", prefix, when, got.all)
			}
			got.peer, got.offered, got.all = netip.AddrPort{}, nil, nil
			want := told{method: "GET", path: prefix + "/no%207/a/b", query: "user=ann%20b&user=bob&x=1", user: "ann b", header: "42", cookie: "s3",
				host: "perch.test", origin: "http://perch.test", value: "no 7", rest: "a/b", bearer: "dG9r", subprotocol: "chat.v1", remote: netip.MustParseAddr("203.0.113.7")}
			if g, w := [...]string{got.method, got.path, got.query, got.user, got.missing, got.header, got.cookie, got.host, got.origin, got.value, got.rest, got.bearer, got.subprotocol, got.remote.String()},
				[...]string{want.method, want.path, want.query, want.user, want.missing, want.header, want.cookie, want.host, want.origin, want.value, want.rest, want.bearer, want.subprotocol, want.remote.String()}; g != w {
				t.Errorf("%s in %s:\n got %q\nwant %q", prefix, when, g, w)
			}
		}
		c.CloseHandshake(perch.CloseNormal)
	}
}

func TestRouting(t *testing.T) {
	names := func(name string) perch.Handler {
		return perch.Handler{OnOpen: func(c perch.Conn, r *perch.Request) { c.SendText(name + r.PathValue("id")) }}
	}
	srv := enginetest.Start(t, perch.Config{}, func(srv *perch.Server) {
		srv.Handle("/ws", names("plain"))
		srv.Handle("/ws/{id}", names("id "))
		srv.Handle("/ws/chat", names("chat"))
		srv.Handle("GET /get", names("get"))
		srv.Handle("/tree/", names("tree"))
		srv.Handle("/exact/{$}", names("exact"))
		srv.Handle("other.test/ws", names("other host"))
	})
	for target, want := range map[string]string{
		"/ws": "plain", "/ws?x=/elsewhere": "plain", "/ws/7": "id 7", "/ws/chat": "chat", "/ws/a%2Fb": "id a/b", "/get": "get",
		"/tree/": "tree", "/tree/a/b": "tree", "/exact/": "exact",
	} {
		c, r := enginetest.Upgrade(t, srv, target)
		if r.Status != 101 {
			t.Errorf("%s: status %d", target, r.Status)
			continue
		}
		c.ExpectText(want)
	}
	for _, target := range []string{"/", "/wsx", "/ws/", "/ws/7/8", "/WS", "/exact/x", "/ws%00", "/../ws", "//ws"} {
		if c, r := enginetest.Upgrade(t, srv, target); r.Status != 404 && r.Status != 400 {
			t.Errorf("%s: status %d, want 404", target, r.Status)
		} else {
			c.ExpectEOF()
		}
	}
	c := wstest.Connect(t, srv.Addr().String())
	c.Write(wstest.Request("other.test", "/ws"))
	c.ExpectUpgraded()
	c.ExpectText("other host")
}

func TestOrigins(t *testing.T) {
	var log enginetest.Journal
	srv := enginetest.Start(t, perch.Config{Origins: []string{"https://app.test"}, Logger: log.Logger()}, func(srv *perch.Server) {
		srv.Handle("/list", perch.Handler{})
		srv.Handle("/any", perch.Handler{Settings: perch.Settings{Origins: []string{"*"}}})
		srv.Handle("/same", perch.Handler{Settings: perch.Settings{Origins: []string{}}})
	})
	for _, tc := range []struct {
		path, origin string
		status       int
	}{
		{"/list", "", 101}, // not a browser
		{"/list", "https://app.test", 101},
		{"/list", "http://app.test", 403},
		{"/list", "https://app.test.evil.test", 403},
		{"/list", "http://perch.test", 403}, // a list replaces the rule of the same host
		{"/list", "null", 403},
		{"/any", "http://evil.test", 101},
		{"/any", "null", 101},
		{"/same", "http://perch.test", 101},
		{"/same", "https://perch.test", 101},
		{"/same", "http://perch.test:8080", 403},
		{"/same", "http://evil.test", 403},
	} {
		var headers []string
		if tc.origin != "" {
			headers = []string{"Origin: " + tc.origin}
		}
		if _, r := enginetest.Upgrade(t, srv, tc.path, headers...); r.Status != tc.status {
			t.Errorf("%s from %q: status %d, want %d", tc.path, tc.origin, r.Status, tc.status)
		}
	}
	if n := len(log.Find("every origin is allowed")); n != 1 {
		t.Errorf("%d warnings about \"*\", want 1", n)
	}
}

// Origins that are no page of the web can be allowed one by one, a domain with all
// its names at once, for the server and for a route; what can match nothing is refused
// by Start, or by Handle.
func TestOriginKinds(t *testing.T) {
	srv := enginetest.Start(t, perch.Config{Origins: []string{"null", "file://", "https://*.example.com"}}, func(srv *perch.Server) {
		srv.Handle("/ws", enginetest.Echo())
		h := enginetest.Echo()
		h.Settings.Origins = []string{"capacitor://localhost"}
		srv.Handle("/app", h)
	})
	for _, tt := range []struct {
		path, origin string
		status       int
	}{
		{"/ws", "null", 101}, {"/ws", "file://", 101}, {"/ws", "https://a.example.com", 101}, {"/ws", "https://a.b.example.com", 101},
		{"/ws", "https://example.com", 403}, {"/ws", "capacitor://localhost", 403}, {"/ws", "http://a.example.com", 403},
		{"/app", "capacitor://localhost", 101}, {"/app", "null", 403}, {"/app", "http://localhost", 403},
	} {
		c := wstest.Connect(t, srv.Addr().String())
		c.Write([]byte("GET " + tt.path + " HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: " + tt.origin + "\r\n\r\n"))
		if r := c.ReadResponse(); r.Status != tt.status {
			t.Errorf("%s from %s: %d, want %d", tt.path, tt.origin, r.Status, tt.status)
		}
	}
	bad := perch.New(perch.Config{Addr: "127.0.0.1:0", Origins: []string{"https://example.com/", "null"}})
	if err := bad.Start(); err == nil || !strings.Contains(err.Error(), `Origins: "https://example.com/"`) {
		t.Errorf("Start: %v", err)
	}
	func() {
		defer func() {
			if p := fmt.Sprint(recover()); !strings.Contains(p, `Origins: "wss://example.com"`) {
				t.Errorf("Handle: %s", p)
			}
		}()
		h := enginetest.Echo()
		h.Settings.Origins = []string{"wss://example.com"}
		perch.New(perch.Config{}).Handle("/ws", h)
	}()
}

// A refusal with a status that cannot refuse refuses all the same, and says in the log
// whose fault it is: on a loop, on a worker, and in a server of net/http.
func TestRejectImpossible(t *testing.T) {
	for _, status := range []int{0, 101, 100, 199, -1, 204, 205, 304, 600, 1000, 403, 302, 599} {
		want := 500
		if status == 403 || status == 302 || status == 599 {
			want = status
		}
		log := new(enginetest.Journal)
		opened := make(chan string, 10)
		h := perch.Handler{
			OnUpgrade: func(*perch.Request) perch.Response { return perch.Reject(status, "not you") },
			OnOpen:    func(_ perch.Conn, r *perch.Request) { opened <- r.Path() },
		}
		var route *perch.Route
		srv := enginetest.Start(t, perch.Config{Logger: log.Logger()}, func(srv *perch.Server) {
			srv.Handle("/loop", h)
			srv.HandleBlocking("/blocking", perch.BlockingHandler{OnUpgrade: h.OnUpgrade, OnOpen: func(_ perch.Ref, r *perch.Request) { opened <- r.Path() }})
			route = srv.Route(h)
		})
		foreign := httptest.NewServer(route)
		for addr, path := range map[string]string{srv.Addr().String() + " ": "/loop", srv.Addr().String(): "/blocking", foreign.Listener.Addr().String(): "/foreign"} {
			c := wstest.Connect(t, strings.TrimSpace(addr))
			c.Write(wstest.Request("perch.test", path))
			if r := c.ReadResponse(); r.Status != want {
				t.Errorf("Reject(%d) at %s: %d, want %d", status, path, r.Status, want)
			}
			c.Close()
		}
		foreign.Close()
		if n := len(log.Find("OnUpgrade refuses with a status that cannot")); n != 3 && want == 500 || n != 0 && want != 500 {
			t.Errorf("Reject(%d): %d log lines", status, n)
		}
		if len(opened) != 0 {
			t.Errorf("Reject(%d): %s was opened", status, <-opened)
		}
		srv.Close()
	}
}

// Prefixes of IPv4 in IPv6 are what they mean, and nonsense is refused by name.
func TestMappedPrefixes(t *testing.T) {
	addrs := make(chan netip.Addr, 1)
	srv := enginetest.Start(t, perch.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("::ffff:127.0.0.0/104")}}, func(srv *perch.Server) {
		srv.Handle("/ws", perch.Handler{OnOpen: func(_ perch.Conn, r *perch.Request) { addrs <- r.RemoteAddr() }})
	})
	c := wstest.Connect(t, srv.Addr().String())
	c.Write(wstest.Request("perch.test", "/ws", "X-Forwarded-For: 192.0.2.7, "))
	if a := wstest.Receive(t, "OnOpen", addrs); a != netip.MustParseAddr("192.0.2.7") {
		t.Errorf("the client is %v", a)
	}
	for key, cfg := range map[string]perch.Config{
		"TrustedProxies": {TrustedProxies: make([]netip.Prefix, 1)}, "ProxyProtocol": {ProxyProtocol: make([]netip.Prefix, 1)},
	} {
		if err := perch.New(cfg).Start(); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// Limits of heads are what they are set to, both sides of each, on a loop and on a
// connection that has served plain HTTP. A server of net/http has its own.
func TestHeadLimitsSet(t *testing.T) {
	plain := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	var route *perch.Route
	srv := enginetest.Start(t, perch.Config{MaxHead: 20 << 10, MaxHeaders: 100, HTTP: plain}, func(srv *perch.Server) {
		srv.Handle("/ws", enginetest.Echo())
		route = srv.Route(enginetest.Echo())
	})
	foreign := httptest.NewServer(route)
	defer foreign.Close()
	lines := func(n int) []string {
		return slices.Repeat([]string{"X: y"}, n-len(strings.Split(string(wstest.Request("perch.test", "/ws")), "\r\n"))+3)
	}
	size := func(n int) []string {
		return []string{"X: " + strings.Repeat("y", n-len(wstest.Request("perch.test", "/ws", "X: ")))}
	}
	for _, tt := range []struct {
		name, addr string
		headers    []string
		status     int
	}{
		{"100 lines", srv.Addr().String(), lines(100), 101},
		{"101 lines", srv.Addr().String(), lines(101), 431},
		{"20 KiB", srv.Addr().String(), size(20 << 10), 101},
		{"a byte more", srv.Addr().String(), size(20<<10 + 1), 431},
		{"300 lines elsewhere", foreign.Listener.Addr().String(), lines(300), 101},
		{"50 KiB elsewhere", foreign.Listener.Addr().String(), size(50 << 10), 101},
	} {
		c := wstest.Connect(t, tt.addr)
		c.TryWrite(wstest.Request("perch.test", "/ws", tt.headers...))
		if r := c.ReadHeadResponse(); r.Status != tt.status {
			t.Errorf("%s: %d, want %d", tt.name, r.Status, tt.status)
		}
	}
	for key, cfg := range map[string]perch.Config{"MaxHead": {MaxHead: 60<<10 + 1}, "MaxHeaders": {MaxHeaders: 1001}} {
		if err := perch.New(cfg).Start(); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
