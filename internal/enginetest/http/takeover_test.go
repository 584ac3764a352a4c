//go:build linux

package http_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// foreign serves h with a net/http server of its own, and returns its address.
func foreign(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// ask sends an upgrade request to addr and returns the response.
func ask(t testing.TB, addr, target string, headers ...string) (*wstest.Conn, *wstest.Response) {
	t.Helper()
	c := wstest.Connect(t, addr)
	c.Write(wstest.Request("perch.test", target, headers...))
	return c, c.ReadResponse()
}

// The connection moves to a loop: no goroutine is left, and with it all that was
// buffered, the first frames too.
func TestTakeover(t *testing.T) {
	for _, private := range []bool{false, true} {
		t.Run(fmt.Sprintf("private tables %v", private), func(t *testing.T) {
			if private {
				enginetest.NeedPrivateTables(t)
			}
			var live *perch.Route
			opened := make(chan string, 1)
			srv := enginetest.Start(t, perch.Config{Addr: "-", PrivateFDs: private}, func(srv *perch.Server) {
				h := enginetest.Echo()
				h.OnOpen = func(c perch.Conn, r *perch.Request) {
					opened <- fmt.Sprintln(r.Path(), r.PathValue("id"), r.Query("q"), r.Header("X-Thing"), r.Host(), c.RemoteAddr() == r.PeerAddr(), r.HTTP() != nil)
				}
				live = srv.Route(h)
			})
			mux := http.NewServeMux()
			mux.Handle("GET /live/{id}", live)
			addr := foreign(t, mux)
			for _, cut := range []int{0, 1, -1} { // of the frames, behind the request: none, a byte, all
				c := wstest.Connect(t, addr)
				frames := c.Encode(wstest.Text("first"), wstest.Text(strings.Repeat("x", 5000)))
				if cut < 0 {
					cut = len(frames)
				}
				c.Write(append(wstest.Request("perch.test", "/live/7?q=a", "X-Thing: b"), frames[:cut]...))
				c.ExpectUpgraded()
				c.Write(frames[cut:])
				c.ExpectText("first")
				c.ExpectText(strings.Repeat("x", 5000))
				if got := wstest.Receive(t, "OnOpen", opened); got != "/live/7 7 a b perch.test true true\n" {
					t.Errorf("OnOpen saw %q", got)
				}
				c.CloseHandshake(perch.CloseNormal)
				c.Close()
			}
			if s := enginetest.AwaitStats(t, srv, "they are closed", func(s *perch.Stats) bool { return s.Connections == 0 && s.Closed == 3 }); s.TakenOver != 3 || s.Opened != 3 || s.Closed != 3 || s.Accepted != 0 {
				t.Errorf("%d taken over, %d opened, %d closed, %d accepted", s.TakenOver, s.Opened, s.Closed, s.Accepted)
			}
		})
	}
}

// All that an upgrade can be refused for is answered as on the engine's own
// port, by the handler in whose hands the request is; and it knows why.
func TestTakeoverRefused(t *testing.T) {
	var live, blocking *perch.Route
	srv := enginetest.Start(t, perch.Config{}, func(srv *perch.Server) {
		h := enginetest.Echo()
		h.OnUpgrade = func(r *perch.Request) perch.Response {
			switch {
			case r.Query("no") != "":
				resp := perch.Reject(http.StatusUnauthorized, "a token, please")
				resp.Header = http.Header{"Www-Authenticate": {"Bearer"}}
				return resp
			case r.Query("panic") != "":
				panic("OnUpgrade")
			case r.Query("proto") != "":
				return perch.Response{Subprotocol: "none.such"}
			}
			return perch.Response{}
		}
		live = srv.Handle("/ws", h)
		blocking = srv.RouteBlocking(perch.BlockingHandler{OnUpgrade: h.OnUpgrade})
	})
	result := make(chan error, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) { result <- live.Upgrade(w, r) })
	mux.HandleFunc("/blocking", func(w http.ResponseWriter, r *http.Request) { result <- blocking.Upgrade(w, r) })
	mux.HandleFunc("/cover", func(w http.ResponseWriter, r *http.Request) {
		result <- live.Upgrade(struct{ http.ResponseWriter }{w}, r)
	})
	addr := foreign(t, mux)
	type request struct {
		name, target string
		change       func(lines []string) []string
		status       int
		err          error
		body         string
	}
	without := func(name string) func([]string) []string {
		return func(lines []string) []string {
			return slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, name+":") })
		}
	}
	with := func(more ...string) func([]string) []string {
		return func(lines []string) []string { return append(lines, more...) }
	}
	for _, tc := range []request{
		{"plain HTTP", "/ws", without("Upgrade"), 426, handshake.ErrNotUpgrade, ""},
		{"another version", "/ws", func(l []string) []string {
			return with("Sec-WebSocket-Version: 8")(without("Sec-WebSocket-Version")(l))
		}, 426, handshake.ErrVersion, ""},
		{"no key", "/ws", without("Sec-WebSocket-Key"), 400, nil, ""},
		{"two keys", "/ws", with("Sec-WebSocket-Key: " + wstest.Key), 400, nil, ""},
		{"no Connection", "/ws", without("Connection"), 400, nil, ""},
		{"foreign page", "/ws", with("Origin: http://evil.example"), 403, nil, ""},
		{"a body", "/ws", with("Content-Length: 5"), 400, nil, "12345"},
		{"a chunked body", "/ws", with("Transfer-Encoding: chunked"), 400, nil, "0\r\n\r\n"},
		{"too many headers", "/ws", with(slices.Repeat([]string{"X-A: b"}, 1001)...), 431, handshake.ErrTooManyHeaders, ""},
		{"head too large", "/ws", with("X-A: " + strings.Repeat("a", 62000)), 431, handshake.ErrHeadTooLarge, ""},
		{"rejected", "/ws?no=1", with(), 401, perch.ErrRejected, ""},
		{"rejected by a blocking handler", "/blocking?no=1", with(), 401, perch.ErrRejected, ""},
		{"panic", "/ws?panic=1", with(), 500, perch.ErrRejected, ""},
		{"impossible answer", "/ws?proto=1", with(), 500, nil, ""},
		{"not to be hijacked", "/cover", with(), 500, perch.ErrHijack, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			lines := tc.change(strings.Split(strings.TrimSuffix(string(wstest.Request("perch.test", tc.target)), "\r\n\r\n"), "\r\n"))
			c := wstest.Connect(t, addr)
			c.Write([]byte(strings.Join(lines, "\r\n") + "\r\n\r\n" + tc.body))
			r := c.ReadResponse()
			err := wstest.Receive(t, "Upgrade's error", result)
			var no *perch.UpgradeError
			if r.Status != tc.status || !errors.As(err, &no) || no.Status != tc.status || tc.err != nil && !errors.Is(err, tc.err) {
				t.Errorf("answered %s%sthe handler knows %v", r.Head, r.Body, err)
			}
			var fault *handshake.Error
			if tc.err == nil && tc.status != 500 && !errors.As(err, &fault) {
				t.Errorf("%v is no fault of the handshake", err)
			}
			if strings.TrimSpace(r.Body) != no.Reason || r.Header("X-Content-Type-Options") != "nosniff" {
				t.Errorf("the body is %q, the reason %q", r.Body, no.Reason)
			}
			if tc.status == 426 && (r.Header("Sec-WebSocket-Version") != "13" || r.Header("Upgrade") != "websocket" || r.Header("Connection") != "Upgrade") {
				t.Errorf("426 without what it needs:\n%s", r.Head)
			}
			if tc.status == 401 && r.Header("WWW-Authenticate") != "Bearer" {
				t.Errorf("OnUpgrade's header is lost:\n%s", r.Head)
			}
			// The connection is net/http's still, unless it had reasons of its own.
			if tc.name == "foreign page" || tc.name == "rejected" {
				c.Write(wstest.Request("perch.test", "/ws"))
				c.ExpectUpgraded()
				if err := wstest.Receive(t, "Upgrade", result); err != nil {
					t.Error(err)
				}
				c.Send(wstest.Text("after all"))
				c.ExpectText("after all")
			}
		})
	}
	if s := srv.Stats(); s.Panics != 1 || s.BadHandshakes != 9 {
		t.Errorf("%d panics, %d bad handshakes", s.Panics, s.BadHandshakes)
	}
}

// What middleware in front puts into the response goes out with the 101, but for
// what belongs to the handshake or to a body.
func TestTakeoverHeader(t *testing.T) {
	type key struct{}
	var live *perch.Route
	enginetest.Start(t, perch.Config{Addr: "-"}, func(srv *perch.Server) {
		live = srv.Route(perch.Handler{
			Settings: perch.Settings{Subprotocols: []string{"b", "a"}},
			OnUpgrade: func(r *perch.Request) perch.Response {
				return perch.Response{Header: http.Header{"Set-Cookie": {"inner=1"}, "X-Inner": {"1"}}, Value: r.HTTP().Context().Value(key{})}
			},
			OnOpen: func(c perch.Conn, r *perch.Request) { c.SendText(fmt.Sprint(c.Value(), " ", r.Subprotocol())) },
		})
	})
	addr := foreign(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Set-Cookie", "a=1")
		h.Add("Set-Cookie", "b=2")
		h.Set("Content-Type", "text/html")
		h.Set("Content-Length", "100")
		h.Set("Sec-WebSocket-Protocol", "forged")
		h.Set("X-Bad", "a\r\nX-Admin: 1")
		live.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, "ada")))
	}))
	c, r := ask(t, addr, "/", "Sec-WebSocket-Protocol: a, b")
	if r.Status != 101 || strings.Count(r.Head, "Set-Cookie: ") != 3 || r.Header("X-Inner") != "1" || r.Header("Sec-WebSocket-Protocol") != "b" ||
		r.Header("Content-Type")+r.Header("Content-Length")+r.Header("X-Admin") != "" {
		t.Errorf("answered\n%s", r.Head)
	}
	c.ExpectText("ada b")
}

// A middleware cannot be made to put lines into the request.
func TestTakeoverOneLine(t *testing.T) {
	var live *perch.Route
	enginetest.Start(t, perch.Config{Addr: "-"}, func(srv *perch.Server) { live = srv.Route(enginetest.Echo()) })
	addr := foreign(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		r.Header.Set("X-Said", q.Get("value"))
		if name := q.Get("name"); name != "" {
			r.Header[name] = []string{"1"}
		}
		if host := q.Get("host"); host != "" {
			r.Host = host
		}
		live.Upgrade(w, r)
	}))
	for query, want := range map[string]int{
		"value=a": 101, "value=a%0d%0aSec-WebSocket-Protocol:%20b": 400, "value=a%0a": 400,
		"name=X-A": 101, "name=X%0d%0aY": 400, "host=b": 101, "host=b%0d%0aX:%20y": 400,
	} {
		if _, r := ask(t, addr, "/?"+query); r.Status != want {
			t.Errorf("%s: status %d, want %d", query, r.Status, want)
		}
	}
}

// Routes of blocking handlers do everything on workers, on a connection that is
// taken over too.
func TestTakeoverBlocking(t *testing.T) {
	var live *perch.Route
	closed := make(chan *perch.CloseError, 1)
	enginetest.Start(t, perch.Config{Addr: "-"}, func(srv *perch.Server) {
		live = srv.RouteBlocking(perch.BlockingHandler{
			OnUpgrade: func(r *perch.Request) perch.Response { return perch.Response{Value: r.PathValue("id")} },
			OnOpen: func(c perch.Ref, r *perch.Request) {
				c.SendText(fmt.Sprint(c.Value(), r.PathValue("id"), r.PeerAddr().IsValid()))
			},
			OnMessage: func(c perch.Ref, op perch.Opcode, p []byte) { c.Send(op, p) },
			OnClose:   func(_ perch.Ref, err *perch.CloseError) { closed <- err },
		})
	})
	mux := http.NewServeMux()
	mux.Handle("GET /live/{id}", live)
	c, _ := ask(t, foreign(t, mux), "/live/7")
	c.ExpectText("77true")
	c.Send(wstest.Text("hello"))
	c.ExpectText("hello")
	c.CloseHandshake(perch.CloseNormal)
	if err := wstest.Receive(t, "OnClose", closed); err.Code != perch.CloseNormal {
		t.Errorf("closed with %v", err)
	}
}

// The limits of the engine hold for what it takes over, and it is counted.
func TestTakeoverLimits(t *testing.T) {
	var live *perch.Route
	srv := enginetest.Start(t, perch.Config{Addr: "-", MaxConnections: 3, MaxConnectionsPerIP: 2, NewConnectionsPerSecond: 5}, func(srv *perch.Server) {
		live = srv.Route(enginetest.Echo())
	})
	result := make(chan error, 1)
	addr := foreign(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ip := r.Header.Get("X-Real-IP"); ip != "" {
			r.RemoteAddr = ip // as middleware of the better sort does
		}
		result <- live.Upgrade(w, r)
	}))
	expect := func(ip string, status int) *wstest.Conn {
		t.Helper()
		var headers []string
		if ip != "" {
			headers = []string{"X-Real-IP: " + ip}
		}
		c, r := ask(t, addr, "/", headers...)
		err := wstest.Receive(t, "Upgrade's result", result)
		if r.Status != status || (status == 101) != (err == nil) || err != nil && (!errors.Is(err, perch.ErrTooMany) || r.Header("Retry-After") == "") {
			t.Fatalf("from %q: answered %d, want %d\n%s%v", ip, r.Status, status, r.Head, err)
		}
		return c
	}
	first := expect("192.0.2.1", 101)
	expect("192.0.2.1:1234", 101)
	expect("192.0.2.1", 429)
	expect("", 101)
	expect("", 503) // MaxConnections
	first.CloseHandshake(perch.CloseNormal)
	first.Close()
	enginetest.AwaitStats(t, srv, "one is gone", func(s *perch.Stats) bool { return s.Connections == 2 })
	c := expect("192.0.2.1", 101)
	c.Reset()
	enginetest.AwaitStats(t, srv, "one is gone", func(s *perch.Stats) bool { return s.Connections == 2 })
	c = expect("2001:db8::1", 101)
	c.Reset()
	enginetest.AwaitStats(t, srv, "one is gone", func(s *perch.Stats) bool { return s.Connections == 2 })
	expect("", 503) // NewConnectionsPerSecond
	if s := srv.Stats(); s.Refused != 3 || s.Opened != 5 {
		t.Errorf("%d refused, %d opened", s.Refused, s.Opened)
	}
}

// A server that is not there, or not any more, says so.
func TestTakeoverWithoutServer(t *testing.T) {
	wstest.NoLeaks(t)
	srv := perch.New(perch.Config{Addr: "-", Loops: 1})
	live := srv.Route(enginetest.Echo())
	result := make(chan error, 1)
	addr := foreign(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { result <- live.Upgrade(w, r) }))
	refused := func(when string) {
		t.Helper()
		c, r := ask(t, addr, "/")
		if err := wstest.Receive(t, "Upgrade's error", result); r.Status != 503 || r.Header("Retry-After") == "" || !errors.Is(err, perch.ErrServerClosed) {
			t.Errorf("%s: answered %d, %v", when, r.Status, err)
		}
		c.Close()
	}
	refused("before Start")
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	c, r := ask(t, addr, "/")
	if err := wstest.Receive(t, "Upgrade's result", result); r.Status != 101 || err != nil {
		t.Fatalf("answered %d, %v", r.Status, err)
	}
	down := enginetest.Shutdown(t, srv)
	c.ExpectClose(perch.CloseGoingAway)
	refused("while it shuts down")
	c.Send(wstest.Close(perch.CloseGoingAway, ""))
	enginetest.ExpectShutdown(t, srv, down)
	refused("afterwards")
}

// What cannot be taken over is refused with a word about why.
func TestTakeoverImpossible(t *testing.T) {
	var live *perch.Route
	enginetest.Start(t, perch.Config{Addr: "-"}, func(srv *perch.Server) { live = srv.Route(enginetest.Echo()) })
	result := make(chan error, 1)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { result <- live.Upgrade(w, r) })

	t.Run("TLS", func(t *testing.T) {
		srv := httptest.NewTLSServer(h)
		defer srv.Close()
		c, err := tls.Dial("tcp", srv.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Write(wstest.Request("perch.test", "/"))
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != 501 {
			t.Errorf("%v, %v", resp, err)
		}
		if err := wstest.Receive(t, "Upgrade's error", result); !errors.Is(err, perch.ErrTLS) {
			t.Errorf("Upgrade: %v", err)
		}
	})
	t.Run("HTTP/2", func(t *testing.T) {
		srv := httptest.NewUnstartedServer(h)
		srv.EnableHTTP2 = true
		srv.StartTLS()
		defer srv.Close()
		resp, err := srv.Client().Get(srv.URL)
		if err != nil || resp.ProtoMajor != 2 || resp.StatusCode != 505 {
			t.Fatalf("%v, %v", resp, err)
		}
		resp.Body.Close()
		if err := wstest.Receive(t, "Upgrade's error", result); !errors.Is(err, perch.ErrHTTPVersion) {
			t.Errorf("Upgrade: %v", err)
		}
	})
	t.Run("wrapped connection", func(t *testing.T) {
		srv := httptest.NewUnstartedServer(h)
		srv.Listener = wrapping{srv.Listener}
		srv.Start()
		defer srv.Close()
		c, r := ask(t, srv.Listener.Addr().String(), "/")
		if err := wstest.Receive(t, "Upgrade's error", result); r.Status != 500 || !errors.Is(err, perch.ErrHijack) || !strings.Contains(err.Error(), "wrapped") {
			t.Errorf("answered %d, %v", r.Status, err)
		}
		c.ExpectEOF()
	})
	t.Run("no connection at all", func(t *testing.T) {
		w := httptest.NewRecorder()
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(wstest.Request("perch.test", "/")))))
		if err != nil {
			t.Fatal(err)
		}
		if err := live.Upgrade(w, r); !errors.Is(err, perch.ErrHijack) || w.Code != 500 {
			t.Errorf("answered %d, %v", w.Code, err)
		}
	})
}

// wrapping is a listener of connections that buffer, for all that is known.
type wrapping struct{ net.Listener }

type wrapped struct{ net.Conn }

func (l wrapping) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return wrapped{c}, err
}

// Deadlines that a server has set for its own use are not ours.
func TestTakeoverDeadlines(t *testing.T) {
	const timeout = 100 * time.Millisecond
	var live *perch.Route
	enginetest.Start(t, perch.Config{Addr: "-"}, func(srv *perch.Server) { live = srv.Route(enginetest.Echo()) })
	srv := httptest.NewUnstartedServer(live)
	srv.Config.ReadTimeout, srv.Config.WriteTimeout, srv.Config.IdleTimeout = timeout, timeout, timeout
	srv.Start()
	defer srv.Close()
	c, r := ask(t, srv.Listener.Addr().String(), "/")
	if r.Status != 101 {
		t.Fatalf("answered %d", r.Status)
	}
	c.ExpectSilence(3 * timeout)
	c.Send(wstest.Text("still there"))
	c.ExpectText("still there")
	srv.Close() // it has forgotten the connection
	c.Send(wstest.Text("and still"))
	c.ExpectText("and still")
}
