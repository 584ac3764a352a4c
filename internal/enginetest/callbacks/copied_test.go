//go:build linux

package callbacks_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/enginetest"
	"github.com/perchws/perch/internal/wstest"
	"github.com/perchws/perch/room"
)

// What a caller hands in is copied before the call returns: it may be changed and
// used again at once. In each test something is changed right after the call, while
// loops run, and what was used is read back.

// reader answers upgrade requests, on a plain listener, and tells of each what f
// takes from it.
func reader(t *testing.T, f func(r *http.Request) string) (url string, got chan string) {
	t.Helper()
	got = make(chan string, 1000)
	peer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- f(r)
		http.Error(w, "no", http.StatusTeapot)
	}))
	t.Cleanup(peer.Close)
	return "ws" + peer.URL[len("http"):] + "/ws", got
}

func TestCopiedDialHeader(t *testing.T) {
	srv := enginetest.Start(t, perch.Config{Addr: "-"}, nil)
	url, got := reader(t, func(r *http.Request) string { return r.URL.Query().Get("n") + "=" + r.Header.Get("X-Login") })
	const dials = 200
	header := http.Header{}
	protocols := []string{"chat.v1"}
	for n := range dials {
		header.Set("X-Login", fmt.Sprint(n))
		o := perch.DialOptions{Header: header, Subprotocols: protocols}
		if err := srv.DialWith(context.Background(), fmt.Sprintf("%s?n=%d", url, n), o, perch.Handler{}); err != nil {
			t.Fatal(err)
		}
	}
	header.Set("X-Login", "nobody")
	protocols[0] = "other"
	for range dials {
		if s := wstest.Receive(t, "a request", got); !equalSides(s) {
			t.Errorf("dial n=login %s", s)
		}
	}
}

func equalSides(s string) bool {
	var a, b int
	n, _ := fmt.Sscanf(s, "%d=%d", &a, &b)
	return n == 2 && a == b
}

func TestCopiedDialOptions(t *testing.T) {
	cfg, client := enginetest.Secured(t, perch.Config{})
	srv := enginetest.Start(t, cfg, func(srv *perch.Server) {
		h := enginetest.Echo()
		h.Subprotocols = []string{"chat.v1"}
		srv.Handle("/ws", h)
	})
	for n := range 20 {
		c := enginetest.NewClient()
		protocol := make(chan string, 1)
		c.OnOpen = func(_ perch.Conn, r *perch.Request) { protocol <- r.Subprotocol() }
		config := client.Clone()
		// As it needs no change of ours, it used to be taken as it was.
		config.NextProtos, config.MinVersion = []string{"http/1.1"}, tls.VersionTLS12
		o := perch.DialOptions{Subprotocols: []string{"chat.v1"}, Compression: &perch.Compression{}, TLS: config}
		if err := srv.DialWith(context.Background(), "wss://"+srv.Addr().String()+"/ws", o, c.Handler); err != nil {
			t.Fatal(err)
		}
		o.Subprotocols[0] = "other"
		*o.Compression = perch.Compression{Disabled: true, ServerWindow: 99}
		config.ServerName, config.RootCAs, config.NextProtos[0] = "elsewhere", nil, "h2"
		select {
		case p := <-protocol:
			if p != "chat.v1" {
				t.Errorf("dial %d: subprotocol %q", n, p)
			}
		case err := <-c.Closed:
			t.Fatalf("dial %d: %v", n, err)
		}
	}
}

// What is handed to New and to Handle is changed before Start, and the client is
// treated as it was then.
func TestCopiedConfig(t *testing.T) {
	loopback, nobody := netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24")
	for _, tt := range []struct {
		name    string
		change  func(c *perch.Config, h *perch.Handler)
		before  string // what the client sends first
		headers []string
	}{
		{"Config.Origins", func(c *perch.Config, h *perch.Handler) { c.Origins[0] = "https://b.example" }, "", []string{"Origin: https://a.example"}},
		{"Settings.Origins", func(_ *perch.Config, h *perch.Handler) { h.Origins[0] = "https://b.example" }, "", []string{"Origin: https://c.example"}},
		{"Settings.Subprotocols", func(_ *perch.Config, h *perch.Handler) { h.Subprotocols[0] = "other" }, "", nil},
		{"TrustedProxies", func(c *perch.Config, _ *perch.Handler) { c.TrustedProxies[0] = nobody }, "", []string{"X-Forwarded-For: 198.51.100.7"}},
		{"ProxyProtocol", func(c *perch.Config, _ *perch.Handler) { c.ProxyProtocol[0] = nobody }, "PROXY TCP4 198.51.100.7 127.0.0.1 1 2\r\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := perch.Config{Origins: []string{"https://a.example"}, TrustedProxies: []netip.Prefix{loopback}}
			h := enginetest.Echo()
			h.Subprotocols = []string{"chat.v1"}
			if tt.name == "Settings.Origins" {
				h.Origins = []string{"https://c.example"}
			}
			if tt.name == "ProxyProtocol" {
				cfg.ProxyProtocol = []netip.Prefix{loopback}
			}
			from := make(chan string, 1)
			h.OnOpen = func(_ perch.Conn, r *perch.Request) { from <- r.RemoteAddr().String() + " " + r.Subprotocol() }
			wstest.NoLeaks(t)
			cfg.Addr = "127.0.0.1:0"
			srv := perch.New(cfg)
			srv.Handle("/ws", h)
			tt.change(&cfg, &h)
			if err := srv.Start(); err != nil {
				t.Fatal(err)
			}
			defer srv.Close()
			c := wstest.Connect(t, srv.Addr().String())
			c.Write(append([]byte(tt.before), wstest.Request("a", "/ws", append(tt.headers, "Sec-WebSocket-Protocol: chat.v1")...)...))
			c.ExpectUpgraded()
			want := "127.0.0.1 chat.v1"
			if tt.name == "TrustedProxies" || tt.name == "ProxyProtocol" {
				want = "198.51.100.7 chat.v1"
			}
			if s := wstest.Receive(t, "OnOpen", from); s != want {
				t.Errorf("client %q, want %q", s, want)
			}
		})
	}
}

// Config.TLS and TLSListener's configuration, with all that is in them.
func TestCopiedTLSConfig(t *testing.T) {
	cfg, client := enginetest.Secured(t, perch.Config{})
	cfg.TLS.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	cfg.TLS.CurvePreferences = []tls.CurveID{tls.CurveP256}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secure, err := perch.TLSListener(ln, cfg.TLS)
	if err != nil {
		t.Fatal(err)
	}
	defer secure.Close()
	go func() {
		c, err := secure.Accept()
		if err != nil {
			return
		}
		c.(*tls.Conn).Handshake()
		c.Close()
	}()
	wstest.NoLeaks(t)
	cfg.Addr = "127.0.0.1:0"
	srv := perch.New(cfg)
	srv.Handle("/ws", enginetest.Echo())
	cfg.TLS.Certificates[0] = tls.Certificate{}
	cfg.TLS.CipherSuites[0] = tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
	cfg.TLS.CurvePreferences[0] = tls.CurveP384
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	client.MaxVersion = tls.VersionTLS12 // the suites of 1.3 cannot be chosen
	c := enginetest.DialTLS(t, srv, client)
	c.Send(wstest.Text("as it was"))
	c.ExpectText("as it was")
	plain, err := tls.Dial("tcp", ln.Addr().String(), client)
	if err != nil {
		t.Fatalf("at a TLSListener: %v", err)
	}
	plain.Close()
}

// A Response's header is the application's again when OnUpgrade has returned: on a
// loop, on a worker, and in a net/http server.
func TestCopiedResponse(t *testing.T) {
	const dials = 100
	header := http.Header{}
	upgrade := func(r *perch.Request) perch.Response {
		n := r.Query("n")
		header.Set("X-Number", n)
		if len(n)%2 == 0 {
			return perch.Response{Status: http.StatusTeapot, Header: header}
		}
		return perch.Response{Header: header}
	}
	// so that OnUpgrade is called one at a time
	srv := enginetest.Start(t, perch.Config{Loops: 1, Workers: 1}, func(srv *perch.Server) {
		srv.Handle("/loop", perch.Handler{OnUpgrade: upgrade})
		srv.HandleBlocking("/worker", perch.BlockingHandler{OnUpgrade: upgrade})
	})
	for _, target := range []string{"/loop", "/worker"} {
		t.Run(target[1:], func(t *testing.T) {
			conns := make([]*wstest.Conn, dials)
			for n := range conns {
				conns[n] = wstest.Connect(t, srv.Addr().String())
				conns[n].Write(wstest.Request("a", fmt.Sprintf("%s?n=%d", target, n)))
			}
			for n, c := range conns {
				if got := c.ReadResponse().Header("X-Number"); got != fmt.Sprint(n) {
					t.Errorf("request %d was answered with the header of %q", n, got)
				}
			}
		})
	}
	t.Run("net/http", func(t *testing.T) {
		var once sync.Mutex // OnUpgrade is called on many goroutines there
		own := http.Header{}
		r := perch.New(perch.Config{Addr: "-", Loops: 1})
		route := r.Route(perch.Handler{OnUpgrade: func(q *perch.Request) perch.Response {
			once.Lock()
			own.Set("X-Number", q.Query("n"))
			return perch.Response{Header: own}
		}})
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		foreign := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			route.Upgrade(w, q)
			once.Unlock() // the loop may not have answered yet
		}))
		defer foreign.Close()
		conns := make([]*wstest.Conn, dials)
		for n := range conns {
			conns[n] = wstest.Connect(t, foreign.Listener.Addr().String())
			conns[n].Write(wstest.Request("a", fmt.Sprintf("/?n=%d", n)))
		}
		for n, c := range conns {
			if got := c.ReadResponse().Header("X-Number"); got != fmt.Sprint(n) {
				t.Errorf("request %d was answered with the header of %q", n, got)
			}
		}
	})
}

// The bytes of messages and reasons.
func TestCopiedMessages(t *testing.T) {
	refs := make(chan perch.Ref, 1)
	h := enginetest.Echo()
	h.OnOpen = func(c perch.Conn, _ *perch.Request) {
		p := []byte("Conn.Send")
		c.Send(perch.Text, p)
		clear(p)
		long := bytes.Repeat([]byte("long "), 100_000)
		c.Send(perch.Text, long)
		clear(long)
		refs <- c.Ref()
	}
	srv := enginetest.StartRoute(t, perch.Config{}, h)
	r, err := srv.Rooms().Create("r", room.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := enginetest.Dial(t, srv)
	ref := wstest.Receive(t, "OnOpen", refs)
	c.ExpectText("Conn.Send")
	c.ExpectMessage(perch.Text, bytes.Repeat([]byte("long "), 100_000))

	p := []byte("Ref.Send")
	ref.Send(perch.Text, p)
	clear(p)
	c.ExpectText("Ref.Send")

	long := bytes.Repeat([]byte("long "), 100_000)
	ref.Send(perch.Text, long)
	clear(long)
	c.ExpectMessage(perch.Text, bytes.Repeat([]byte("long "), 100_000))

	p = []byte("Prepare")
	m := perch.Prepare(perch.Text, p)
	clear(p)
	ref.SendPrepared(m)
	c.ExpectText("Prepare")

	joined := make(chan error, 1)
	ref.Do(func(c perch.Conn) {
		_, err := c.Join(r, room.JoinOptions{})
		joined <- err
	})
	if err := wstest.Receive(t, "the join", joined); err != nil {
		t.Fatal(err)
	}
	p = []byte("Publish")
	r.Publish(room.Message{Payload: p}, nil)
	clear(p)
	c.ExpectText("Publish")
}
