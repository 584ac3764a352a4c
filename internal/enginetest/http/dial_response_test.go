//go:build linux

package http_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/handshake"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
)

// Interim responses before the true one are passed over (RFC 9110 §15.2), however they
// are cut; frames behind the true one arrive.
func TestDialInterim(t *testing.T) {
	srv := enginetest.Start(t, perch.Config{Addr: "-"}, nil)
	hints := "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
	for _, before := range []string{
		hints, "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 102\r\n\r\n", hints + hints + "HTTP/1.1 100 Continue\r\nX: y\r\n z\r\n\r\n", strings.Repeat(hints, 16),
	} {
		for _, chop := range []int{1, 7, 1 << 20} {
			ln, c := wstest.Listen(t), enginetest.NewClient()
			if err := srv.Dial(context.Background(), enginetest.URL(ln.Addr()), c.Handler); err != nil {
				t.Fatal(err)
			}
			peer := wstest.AcceptRaw(t, ln)
			key := peer.ReadRequest("Sec-WebSocket-Key")
			answer := append([]byte(before), wstest.Switching(key)...)
			if err := peer.TryChopBytes(chop, append(answer, frame.AppendFrame(nil, frame.OpText, []byte("hello"))...)); err != nil {
				t.Fatal(err)
			}
			ref := wstest.Receive(t, "OnOpen", c.Opened)
			if s := wstest.Receive(t, "the message behind it", c.Messages); s != "hello" {
				t.Errorf("%q", s)
			}
			ref.Close(perch.CloseNormal, "")
			peer.ExpectClose(perch.CloseNormal)
			peer.Close()
			wstest.Receive(t, "OnClose", c.Closed)
		}
	}
	ln, c := wstest.Listen(t), enginetest.NewClient()
	if err := srv.Dial(context.Background(), enginetest.URL(ln.Addr()), c.Handler); err != nil {
		t.Fatal(err)
	}
	peer := wstest.AcceptRaw(t, ln)
	peer.ReadRequest("Host")
	peer.TryWrite([]byte(strings.Repeat(hints, 100)))
	if err := wstest.Receive(t, "OnClose", c.Closed); !errors.Is(err, perch.ErrDial) || !strings.Contains(err.Error(), "interim") {
		t.Errorf("a server that comes to no end: %v", err)
	}
}

// A refusal is told whole: status, header, and what has come of the body, up to a
// bound, whatever its form and however it ends.
func TestDialRefused(t *testing.T) {
	srv := enginetest.Start(t, perch.Config{Addr: "-", HandshakeTimeout: time.Second}, nil)
	long := strings.Repeat("0123456789", 1000)
	for _, tt := range []struct {
		name, answer string
		then         func(c *wstest.Conn) // nil: the server waits
		status       int
		header, body string // a line, and the body
	}{
		{"length", "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 5\r\n\r\nno go", nil, 401, "Www-Authenticate: Bearer", "no go"},
		{"no body", "HTTP/1.1 503\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", nil, 503, "Retry-After: 7", ""},
		{"until the end", "HTTP/1.0 404 Not Found\r\nX: y\r\n\r\nnot here", (*wstest.Conn).Close, 404, "X: y", "not here"},
		{"cut short", "HTTP/1.1 500 No\r\nX: y\r\nContent-Length: 50\r\n\r\nnot all of", (*wstest.Conn).Close, 500, "X: y", "not all of"},
		{"reset", "HTTP/1.1 500 No\r\nX: y\r\nContent-Length: 0\r\n\r\n", (*wstest.Conn).Reset, 500, "X: y", ""},
		{"never ends", "HTTP/1.1 403 No\r\nX: y\r\n\r\nwait for it", nil, 403, "X: y", "wait for it"},
		{"long", "HTTP/1.1 403 No\r\nX: y\r\nContent-Length: 10000\r\n\r\n" + long, nil, 403, "X: y", long[:4096]},
		{"long, no length", "HTTP/1.1 403 No\r\nX: y\r\n\r\n" + long, nil, 403, "X: y", long[:4096]},
		{"chunks", "HTTP/1.1 429 Slow\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnot\r\n4\r\n now\r\n0\r\n\r\n", nil, 429, "X: y", "not now"},
		{"long chunk", "HTTP/1.1 429 Slow\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n2710\r\n" + long + "\r\n0\r\n\r\n", nil, 429, "X: y", long[:4096]},
		{"redirect", "HTTP/1.1 302 Found\r\nLocation: wss://elsewhere.test/ws\r\nContent-Length: 0\r\n\r\n", nil, 302, "Location: wss://elsewhere.test/ws", ""},
		{"not modified", "HTTP/1.1 304 Not Modified\r\nX: y\r\nContent-Length: 9\r\n\r\n", nil, 304, "X: y", ""},
		{"after hints", "HTTP/1.1 103\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 2\r\n\r\nhi", nil, 200, "X: y", "hi"},
		{"odd status", "HTTP/1.1 999 Odd\r\nX: y\r\nContent-Length: 0\r\n\r\n", nil, 999, "X: y", ""},
	} {
		for _, chop := range []int{3, 1 << 20} {
			t.Run(fmt.Sprintf("%s/%d", tt.name, chop), func(t *testing.T) {
				if len(tt.answer) > 5000 && chop == 3 {
					chop = 100
				}
				ln, c := wstest.Listen(t), enginetest.NewClient()
				if err := srv.Dial(context.Background(), enginetest.URL(ln.Addr()), c.Handler); err != nil {
					t.Fatal(err)
				}
				peer := wstest.AcceptRaw(t, ln)
				peer.ReadRequest("Host")
				peer.TryChopBytes(chop, []byte(tt.answer)) // it may have heard enough before the end
				if tt.then != nil {
					tt.then(peer)
				}
				closed := wstest.Receive(t, "OnClose", c.Closed)
				var refused *perch.DialError
				var old *handshake.RefusedError
				if !errors.Is(closed, perch.ErrDial) || !errors.As(closed, &refused) || !errors.As(closed, &old) || old.Status != tt.status {
					t.Fatalf("closed with %v", closed)
				}
				name, value, _ := strings.Cut(tt.header, ": ")
				if refused.Status != tt.status || refused.Header.Get(name) != value || string(refused.Body) != tt.body {
					t.Errorf("%d, %v, %.50q (%d bytes); want %d, %s, %.50q", refused.Status, refused.Header, refused.Body, len(refused.Body), tt.status, tt.header, tt.body)
				}
			})
		}
	}
}

// What the settings of a handler say is used for a dial too, or refused.
func TestDialSettings(t *testing.T) {
	srv := enginetest.Start(t, perch.Config{Addr: "-"}, nil)
	for _, tt := range []struct {
		name             string
		settings         perch.Settings
		options          perch.DialOptions
		protocol, origin string
	}{
		{"none", perch.Settings{}, perch.DialOptions{}, "", ""},
		{"settings", perch.Settings{Subprotocols: []string{"a", "b"}, Origins: []string{"https://example.com"}}, perch.DialOptions{}, "a, b", "https://example.com"},
		{"options win", perch.Settings{Subprotocols: []string{"a"}, Origins: []string{"https://example.com"}},
			perch.DialOptions{Subprotocols: []string{"c"}, Header: http.Header{"Origin": {"null"}}}, "c", "null"},
		{"options, none", perch.Settings{Subprotocols: []string{"a"}}, perch.DialOptions{Subprotocols: []string{}}, "", ""},
		{"beside a header", perch.Settings{Origins: []string{"app://local"}}, perch.DialOptions{Header: http.Header{"X": {"y"}}}, "", "app://local"},
	} {
		ln, c := wstest.Listen(t), enginetest.NewClient()
		c.Handler.Settings = tt.settings
		if err := srv.DialWith(context.Background(), enginetest.URL(ln.Addr()), tt.options, c.Handler); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		peer := wstest.AcceptRaw(t, ln)
		protocol := peer.ReadRequest("Sec-WebSocket-Protocol")
		if origin := (&wstest.Response{Head: peer.Head}).Header("Origin"); protocol != tt.protocol || origin != tt.origin {
			t.Errorf("%s: offers %q from %q, want %q from %q", tt.name, protocol, origin, tt.protocol, tt.origin)
		}
		if len(tt.options.Header) == 1 && tt.options.Header.Get("X") != "" && tt.options.Header.Get("Origin") != "" {
			t.Errorf("%s: the caller's header was changed", tt.name)
		}
	}
	for _, origins := range [][]string{{"https://a.test", "https://b.test"}, {"*"}, {"https://*.a.test"}, {"nonsense"}} {
		c := enginetest.NewClient()
		c.Handler.Settings.Origins = origins
		if err := srv.Dial(context.Background(), "ws://127.0.0.1:1/", c.Handler); !errors.Is(err, perch.ErrDial) || !strings.Contains(err.Error(), "Origins") {
			t.Errorf("%q: %v", origins, err)
		}
	}
}

// A client that expects 100 (Continue) gets it before the 101 (RFC 9110 §7.8), from a
// loop, from a worker, and on a connection that served plain HTTP; a refusal comes
// without.
func TestExpectContinue(t *testing.T) {
	plain := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	srv := enginetest.Start(t, perch.Config{HTTP: plain}, func(srv *perch.Server) {
		srv.Handle("/ws", enginetest.Echo())
		h := enginetest.Echo()
		h.OnUpgrade = func(*perch.Request) perch.Response { return perch.Reject(403, "no") }
		srv.Handle("/no", h)
		srv.HandleBlocking("/blocking", perch.BlockingHandler{
			OnUpgrade: func(*perch.Request) perch.Response { return perch.Response{} },
			OnMessage: func(r perch.Ref, op perch.Opcode, p []byte) { r.Send(op, p) },
		})
	})
	for _, path := range []string{"/ws", "/blocking", "kept/ws"} {
		c := wstest.Connect(t, srv.Addr().String())
		if strings.HasPrefix(path, "kept") {
			path = path[4:]
			c.Write([]byte("GET / HTTP/1.1\r\nHost: perch.test\r\n\r\n"))
			if r := c.ReadHeadResponse(); r.Status != 204 {
				t.Fatalf("plain: %d", r.Status)
			}
		}
		c.Write(wstest.Request("perch.test", path, "Expect: 100-continue"))
		if r := c.ReadHeadResponse(); r.Status != 100 {
			t.Errorf("%s: first %d", path, r.Status)
		}
		if r := c.ReadHeadResponse(); r.Status != 101 {
			t.Errorf("%s: then %d", path, r.Status)
		}
		c.Send(wstest.Text("hello"))
		c.ExpectText("hello")
	}
	c := wstest.Connect(t, srv.Addr().String())
	c.Write(wstest.Request("perch.test", "/no", "Expect: 100-continue"))
	if r := c.ReadResponse(); r.Status != 403 {
		t.Errorf("refused: %d", r.Status)
	}
}
